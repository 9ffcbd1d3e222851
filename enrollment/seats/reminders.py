"""Remind families of offers that wait for an answer, and extend the time to answer."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import CycleNow
from enrollment.cycles.models import Cycle
from enrollment.database import transaction
from enrollment.failures import for_each, not_waiting
from enrollment.notify.notices import NewNotice, notify
from enrollment.seats.models import Offer
from enrollment.seats.offer_notices import about_answer

A_DAY = timedelta(days=1)
AT_ONCE = 500
REMINDERS = "reminders"


def remind_due(sessions: "sessionmaker[Session]") -> None:
    """Notify partners once of each open offer whose deadline is close, each in its own transaction.

    An offer that another transaction has locked is left to the next pass. So reminders wait for nothing, and need no
    other lock.
    """
    with transaction(sessions) as session:
        due = session.scalars(
            select(Offer.id)
            .where(*_reminder_is_due(), not_waiting(REMINDERS, Offer.id))
            .order_by(Offer.remind_at, Offer.id)
            .limit(AT_ONCE)
        ).all()
    for_each(sessions, REMINDERS, map(str, due), _remind_one)


def remind_at(made: datetime, answer_by: datetime) -> datetime:
    """Return when to remind a family: a day before the deadline, or halfway to a deadline that is closer."""
    return answer_by - min(A_DAY, (answer_by - made) / 2)


def extend_answers(session: Session, cycle_now: CycleNow, former: datetime | None) -> None:
    """Give open offers the cycle's new deadline to answer, if they had the former one. No deadline gets earlier.

    The caller holds an exclusive lock on the cycle, so no offer of the cycle is answered or expires meanwhile.
    """
    new = cycle_now.cycle.answer_by
    if former is None or new is None or new <= former:
        return
    session.execute(
        update(Offer)
        .where(
            Offer.cycle_id == cycle_now.cycle.id,
            Offer.status == "open",
            Offer.source == "main",
            Offer.answer_by == former,
        )
        .values(
            answer_by=new,
            remind_at=remind_at(cycle_now.now, new),
            reminded_at=None,
            version=Offer.version + 1,
        )
        .execution_options(synchronize_session=False)
    )


def _reminder_is_due() -> tuple[ColumnElement[bool], ...]:
    return (
        Offer.status == "open",
        Offer.reminded_at.is_(None),
        Offer.remind_at <= func.clock_timestamp(),
        Offer.answer_by > func.clock_timestamp(),
        Cycle.id == Offer.cycle_id,
        Applicant.child_id == Offer.child_id,
        Applicant.withdrawn_at.is_(None),
    )


def _remind_one(sessions: "sessionmaker[Session]", offer_id: str) -> None:
    with transaction(sessions) as session:
        unlocked = select(Offer.id).where(Offer.id == uuid.UUID(offer_id))
        if session.scalar(unlocked.with_for_update(key_share=True, skip_locked=True)) is None:
            return
        reminded = session.execute(
            update(Offer)
            .where(Offer.id == uuid.UUID(offer_id), *_reminder_is_due())
            .values(reminded_at=func.clock_timestamp())
            .returning(Offer.cycle_id, Offer.answer_by, Applicant.partner_id, Applicant.reference, Cycle.time_zone)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if reminded is None:
            return  # another worker reminded the family, or the offer was answered
        cycle, answer_by, partner, reference, zone = reminded
        about = about_answer(uuid.UUID(offer_id), reference, answer_by, zone)
        # A family is reminded again if the deadline is extended.
        subject = f"{offer_id} {about['answer_by']}"
        notify(session, [NewNotice(cycle, partner, "offer.expiring", subject, about)])
