"""Number notices in the order in which they are committed, so that a partner who reads on misses none."""

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from enrollment.database import transaction
from enrollment.jobs import Loop
from enrollment.notify.models import Notice

SECONDS = 0.25

NUMBERING = 0x6E6F74696365
"""The advisory lock under which one pass at a time gives numbers: `notice` in hex."""

AT_ONCE = 20_000

NUMBER = text("""
    UPDATE notice SET number = following.number
    FROM (
        SELECT waiting.id, coalesce(last.number, 0)
            + row_number() OVER (PARTITION BY waiting.cycle_id, waiting.partner_id ORDER BY waiting.id) AS number
        FROM (SELECT id, cycle_id, partner_id FROM notice WHERE number IS NULL ORDER BY id LIMIT :at_once) waiting
        LEFT JOIN LATERAL (
            SELECT max(given.number) AS number FROM notice given
            WHERE given.cycle_id = waiting.cycle_id AND given.partner_id = waiting.partner_id
        ) last ON true
    ) following
    WHERE notice.id = following.id
    RETURNING notice.id
""")


def number_notices(session: Session) -> int:
    """Give committed notices their numbers, from 1 in each partner's list of a cycle; return how many got one.

    A pass sees only what is committed, and the lock ends with the pass's own commit. So whoever reads number N can
    read every number below N already, however late a transaction with lower ids commits.
    """
    if not session.scalars(select(Notice.id).where(Notice.number.is_(None)).limit(1)).first():
        return 0
    session.execute(select(func.pg_advisory_xact_lock(NUMBERING)))
    numbered = 0
    while given := len(session.execute(NUMBER, {"at_once": AT_ONCE}).all()):
        numbered += given
    return numbered


def numbering_notices() -> Loop:
    """Return the loop that a worker runs; any number of workers may."""

    def run(sessions: "sessionmaker[Session]") -> None:
        with transaction(sessions) as session:
            number_notices(session)

    return Loop("notices", run, SECONDS)
