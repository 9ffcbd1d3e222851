"""The sequencer: gives pending entries their places, several times a second while there are any."""

from itertools import count

from sqlalchemy.orm import Session, sessionmaker

from enrollment.audit.log import sequence_all, sequence_recent
from enrollment.database import transaction
from enrollment.jobs import Loop

SEQUENCER_LOOP = "sequencer"
SECONDS = 0.25
WHOLE_EVERY = 240
"""Every so many passes, once a minute, one looks at every entry, for an act that took minutes to commit."""


def sequencing() -> Loop:
    """Return the loop that a worker runs. Any number of workers may: a lock makes them one."""
    passes = count()

    def run(sessions: "sessionmaker[Session]") -> None:
        sequence = sequence_recent if next(passes) % WHOLE_EVERY else sequence_all
        with transaction(sessions) as session:
            sequence(session)

    return Loop(SEQUENCER_LOOP, run, SECONDS)
