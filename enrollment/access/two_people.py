"""The two-person rule: check that an approver is not the requester."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.models import StaffAccount
from enrollment.problems import Conflict, sentence


class AccountConfirmedLater(Conflict):
    """The approving account was made, reset or reopened after the request."""

    title = sentence("Account confirmed after the request")
    detail = sentence(
        "Your account was confirmed after this request was made. Ask another administrator to approve the request."
    )


class SponsorCannotApprove(Conflict):
    """One of the two administrators handed out the other's code alone."""

    title = sentence("Approval by the account's sponsor")
    detail = sentence(
        "You cannot approve a request from an administrator whose code you handed out alone, or who handed "
        "out yours. Ask another administrator to approve it."
    )


def refuse_second_person(
    session: Session, approver: str, *, asked_by: str | None, begun_at: datetime | None, same: type[Conflict]
) -> None:
    """Refuse an approver who could be the same person as the requester.

    Args:
        session: the transaction of the approval.
        approver: the account that approves.
        asked_by: the account that made the request.
        begun_at: when the request was made, if known.
        same: the refusal of an approval by the requester.

    Raises:
        same: if both are the same account.
        AccountConfirmedLater: if the approving account was confirmed after the request.
        SponsorCannotApprove: if one of the two handed out the other's invitation code alone.
    """
    if approver == asked_by:
        raise same
    found = session.execute(
        select(StaffAccount.id, StaffAccount.confirmed_at, StaffAccount.sponsor).where(
            StaffAccount.id.in_([approver, asked_by])
        )
    )
    accounts = {row.id: row for row in found}
    confirmed_at = accounts[approver].confirmed_at if approver in accounts else None
    if confirmed_at is None or (begun_at is not None and confirmed_at > begun_at):
        raise AccountConfirmedLater
    sponsors = {name: row.sponsor for name, row in accounts.items()}
    if asked_by is not None and (sponsors.get(asked_by) == approver or sponsors.get(approver) == asked_by):
        raise SponsorCannotApprove
