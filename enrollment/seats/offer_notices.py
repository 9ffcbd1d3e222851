"""Notify partners of offers, of moves from one seat to another, and of what concerns all families of a cycle."""

import uuid
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, String, and_, case, cast, func, insert, literal, null, select
from sqlalchemy.orm import Session, aliased

from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import rfc3339
from enrollment.cycles.models import Cycle
from enrollment.notify.models import Notice
from enrollment.notify.notices import NewNotice, notify
from enrollment.seats.models import Offer

RFC3339 = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
"""The format of a UTC time in PostgreSQL."""


def notify_of_offers(session: Session, cycle: Cycle, which: ColumnElement[bool]) -> None:
    """Notify partners of new offers, in the database, since there can be many.

    A child who leaves a seat for another has one notice, `offer.moved`, of the seat lost and of the seat gained. It
    asks for no answer if the seat is accepted already. Nothing else writes notices about these offers, so no check for
    duplicates is needed.
    """
    session.flush()
    former = aliased(Offer)
    is_open, moved = Offer.status == "open", former.id.is_not(None)
    answer_by = func.to_char(func.timezone("UTC", Offer.answer_by), RFC3339)
    about = func.jsonb_build_object(
        *("offer", Offer.id, "reference", Applicant.reference, "program", Offer.program_id, "source", Offer.source),
        *("status", Offer.status, "answer_by", case((is_open, answer_by), else_=null())),
        *("time_zone", cycle.time_zone),
    )
    left = func.jsonb_build_object("replaces", former.id, "left_program", former.program_id)
    notices = (
        select(
            Offer.cycle_id,
            Applicant.partner_id,
            case((moved, literal("offer.moved")), else_=literal("offer.made")),
            cast(Offer.id, String),
            case((moved, about.op("||")(left)), else_=about),
        )
        .join(Applicant, Applicant.child_id == Offer.child_id)
        .outerjoin(
            former,
            and_(former.child_id == Offer.child_id, former.status == "replaced", former.closed_at == Offer.made_at),
        )
        .where(which, Applicant.cycle_id == cycle.id, Applicant.withdrawn_at.is_(None))
        .order_by(Applicant.partner_id, Applicant.reference)
    )
    session.execute(insert(Notice).from_select(["cycle_id", "partner_id", "event", "subject", "about"], notices))


def notify_partners(session: Session, cycle: str, event: str, subject: str, about: Mapping[str, str | None]) -> None:
    """Notify each partner that brought a child, once for each subject."""
    partners = session.scalars(
        select(Applicant.partner_id)
        .where(Applicant.cycle_id == cycle, Applicant.withdrawn_at.is_(None))
        .distinct()
        .order_by(Applicant.partner_id)
    )
    notify(session, [NewNotice(cycle, partner, event, f"{subject} {partner}", about) for partner in partners])


def about_answer(offer: uuid.UUID, reference: str, answer_by: datetime, zone: str) -> dict[str, str | int | None]:
    """Return what a notice says about an offer that waits, or waited, for an answer."""
    return {"offer": str(offer), "reference": reference, "answer_by": rfc3339(answer_by), "time_zone": zone}
