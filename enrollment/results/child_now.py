"""What holds for a child now: the seat, what happened to the last seat, and the waitlists. Nothing of it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import CycleNow
from enrollment.seats.offer_stories import OfferStory, stories_of
from enrollment.seats.offers import offers_to
from enrollment.waitlists.places import PlaceOnWaitlist, places_now

Status = Literal["no-seat", "offered", "accepted", "declined", "expired", "withdrawn"]


@dataclass(frozen=True, slots=True)
class ChildNow:
    """A child's seat and waitlists at a time."""

    at: datetime
    offers: Sequence[OfferStory]
    """The stories of all offers to the child, the newest first."""
    places: Sequence[PlaceOnWaitlist]

    @property
    def seat(self) -> OfferStory | None:
        """Return the story of the seat that the child holds, if any."""
        return next((story for story in self.offers if story.is_live), None)

    @property
    def last(self) -> OfferStory | None:
        """Return the story of the held seat, or else of the last seat that the child lost."""
        closed = [story for story in self.offers if story.offer.closed_at is not None]
        return self.seat or max(closed, key=lambda story: story.offer.closed_at or self.at, default=None)

    @property
    def status(self) -> Status:
        """Return the status of the held seat, or else how the child lost the last seat."""
        if self.seat:
            return "offered" if self.seat.offer.status == "open" else "accepted"
        match self.last and self.last.offer.status:
            case "declined":
                return "declined"
            case "expired":
                return "expired"
            case "withdrawn":
                return "withdrawn"
            case _:
                return "no-seat"

    def offer_at(self, program: str | None) -> OfferStory | None:
        """Return the story of the newest offer of a seat at a program, if any."""
        return next((story for story in self.offers if story.offer.program_id == program), None)


def child_now(session: Session, cycle_now: CycleNow, applicant: Applicant) -> ChildNow:
    """Read what holds for a child now."""
    places = places_now(session, applicant)
    offers = offers_to(session, applicant.child_id)
    stories = stories_of(session, cycle_now.cycle, offers, cycle_now.now, waits=bool(places))
    return ChildNow(cycle_now.now, stories, places)
