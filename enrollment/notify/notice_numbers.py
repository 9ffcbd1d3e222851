"""Number notices in the order of their commits, so a partner that keeps reading misses none."""

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from enrollment.database import transaction
from enrollment.jobs import Loop
from enrollment.notify.models import Notice

SECONDS = 0.25

NUMBERING = 0x6E6F74696365
"""The advisory lock for one numbering pass at a time: `notice` in hex."""

ROWS_PER_PASS = 20_000

NUMBER = text("""
    UPDATE notice SET number = following.number
    FROM (
        SELECT waiting.id, coalesce(last.number, 0)
            + row_number() OVER (PARTITION BY waiting.cycle_id, waiting.partner_id ORDER BY waiting.id) AS number
        FROM (SELECT id, cycle_id, partner_id FROM notice WHERE number IS NULL ORDER BY id LIMIT :rows) waiting
        LEFT JOIN LATERAL (
            SELECT max(given.number) AS number FROM notice given
            WHERE given.cycle_id = waiting.cycle_id AND given.partner_id = waiting.partner_id
        ) last ON true
    ) following
    WHERE notice.id = following.id
    RETURNING notice.id
""")


def number_notices(session: Session) -> int:
    """Number committed notices, from 1 in each partner's list of a cycle, and return the count.

    A pass sees only committed notices, and holds its lock until its own commit. So a reader of number N can already
    read all lower numbers, however late a transaction with lower ids commits.
    """
    if not session.scalars(select(Notice.id).where(Notice.number.is_(None)).limit(1)).first():
        return 0
    session.execute(select(func.pg_advisory_xact_lock(NUMBERING)))
    numbered = 0
    while rows := len(session.execute(NUMBER, {"rows": ROWS_PER_PASS}).all()):
        numbered += rows
    return numbered


def numbering_notices() -> Loop:
    """Return the loop that workers run. Any number of workers may run it."""

    def run(sessions: "sessionmaker[Session]") -> None:
        with transaction(sessions) as session:
            number_notices(session)

    return Loop("notices", run, SECONDS)
