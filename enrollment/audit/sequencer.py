"""The sequencer: give pending entries their indexes, several times a second."""

from itertools import count

from sqlalchemy.orm import Session, sessionmaker

from enrollment.audit.log import sequence_all, sequence_recent
from enrollment.database import transaction
from enrollment.jobs import Loop

SEQUENCER_LOOP = "sequencer"
SECONDS = 0.25
WHOLE_EVERY = 240
"""Every this many passes, once a minute, a full pass finds entries that took minutes to commit."""


def sequencing() -> Loop:
    """Return the loop for a worker. Any number of workers may run it, because a lock serializes them."""
    passes = count()

    def run(sessions: "sessionmaker[Session]") -> None:
        sequence = sequence_recent if next(passes) % WHOLE_EVERY else sequence_all
        with transaction(sessions) as session:
            sequence(session)

    return Loop(SEQUENCER_LOOP, run, SECONDS)
