"""Tell the public log that staff read a list of applicants or a whole file."""

from sqlalchemy.orm import Session

from enrollment.audit.log import append


def record_read(session: Session, *, cycle: str, actor: str, **fields: str) -> None:
    """Write a `record.read` entry in the transaction of the read.

    Args:
        session: the transaction.
        cycle: the cycle's id.
        actor: the role that reads, as the log names it: `staff:auditor`.
        fields: the list or the file, its place, and the `reader`; never a child's name.
    """
    append(session, "record.read", cycle=cycle, actor=actor, fields=fields)
