"""What happened to a child's offers: the seat that a child left for each, and the seat that took its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.names import ProgramName, names_of_programs
from enrollment.seats.models import LIVE, Offer


@dataclass(frozen=True, slots=True)
class OfferStory:
    """An offer with all that tells its story. Nothing of it is stored: it follows from the child's offers."""

    offer: Offer
    seat: ProgramName
    replaces: Offer | None
    """The offer of the seat that the child left for this seat."""
    former: ProgramName | None
    replaced_by: Offer | None
    """The offer of the seat for which the child left this seat."""
    next: ProgramName | None
    silence: str
    """What silence means in the cycle: `accept` or `decline`."""
    time_zone: str
    """The cycle's time zone."""
    ran_out: bool
    """Whether the offer is open, and the deadline to answer has passed."""
    waits: bool
    """Whether the child is on waitlists now."""

    @property
    def is_live(self) -> bool:
        """Tell whether the child holds the seat."""
        return self.offer.status in LIVE

    @property
    def keeps_acceptance(self) -> bool:
        """Tell whether the seat was accepted when it was given: nobody was asked to answer."""
        return self.offer.status == "accepted" and self.offer.closed_at == self.offer.made_at

    @property
    def by_silence(self) -> bool:
        """Tell whether the seat was accepted because nobody answered. An answer always comes before the deadline."""
        offer = self.offer
        late = offer.closed_at is not None and offer.closed_at >= offer.answer_by
        return offer.status == "accepted" and late and not self.keeps_acceptance

    @property
    def answer_by(self) -> datetime | None:
        """Return the deadline to answer. None: there is nothing to answer."""
        return self.offer.answer_by if self.offer.status == "open" else None

    @property
    def needs_answer(self) -> bool:
        """Tell whether the family can still answer the offer, and has not answered."""
        return self.offer.status == "open" and not self.ran_out


def stories_of(
    session: Session, cycle: Cycle, offers: Sequence[Offer], now: datetime, *, waits: bool
) -> list[OfferStory]:
    """Return the stories of all offers to a child, in the order given.

    A child leaves a seat in the same moment in which the child gets another, so equal times connect two offers.
    """
    names = names_of_programs(session, {offer.program_id for offer in offers})
    left = {offer.closed_at: offer for offer in offers if offer.status == "replaced"}
    taken = {offer.made_at: offer for offer in offers}
    stories = []
    for offer in offers:
        former = left.get(offer.made_at)
        following = taken.get(offer.closed_at) if offer.status == "replaced" and offer.closed_at else None
        stories.append(
            OfferStory(
                offer=offer,
                seat=names[offer.program_id],
                replaces=former,
                former=names[former.program_id] if former else None,
                replaced_by=following,
                next=names[following.program_id] if following else None,
                silence=cycle.silence,
                time_zone=cycle.time_zone,
                ran_out=offer.status == "open" and offer.answer_by <= now,
                waits=waits,
            )
        )
    return stories
