"""Offers on the wire: for the partner that brought the child, and for the school."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire

OfferStatus = Literal["open", "accepted", "declined", "expired", "replaced", "withdrawn"]
OfferSource = Literal["main", "backfill", "outside"]


class OfferOut(Wire):
    """An offer of a seat, and what happened to the offer."""

    id: uuid.UUID
    reference: str
    program: str
    program_name: str
    school_name: str
    group: str
    choice: Annotated[
        int | None,
        Field(
            description="The program's number in the ranking as submitted, when the seat was given. Null: it was not "
            "ranked."
        ),
    ]
    source: OfferSource
    round: str | None
    made_at: datetime
    answer_by: Annotated[datetime, Field(description="The deadline to answer, by the service's clock.")]
    time_zone: Annotated[
        str, Field(description="The zone in which families read times and days.", examples=["America/New_York"])
    ]
    status: Annotated[
        OfferStatus, Field(description="`replaced`: the child got another seat, usually a higher choice.")
    ]
    closed_at: datetime | None
    needs_answer: Annotated[
        bool, Field(description="True: the offer is open, and the deadline to answer has not passed.")
    ]
    replaces: Annotated[
        uuid.UUID | None, Field(description="The offer of the seat that the child left for this seat, if any.")
    ]
    replaced_by: Annotated[
        uuid.UUID | None, Field(description="The offer of the seat for which the child left this seat, if any.")
    ]
    if_silent: Annotated[
        Literal["accept", "decline"], Field(description="What happens if the family does not answer in time.")
    ]
    detail: Annotated[str, Field(description="What happened to the offer, in sentences for the family.")]


class OffersOut(Wire):
    """A child's offers, the newest first. At most one offer is open or accepted."""

    data: list[OfferOut]


class SeatedChildOut(Wire):
    """A child's name and birth date, for the school that offers the child a seat."""

    given_name: str
    family_name: str
    birth_date: str


class ProgramOfferOut(Wire):
    """An offer of a seat at a program, for its school, and what happened to the offer."""

    ticket: str
    group: str
    priority_class: Annotated[str, Field(description="The child's priority class when the seat was given.")]
    source: OfferSource
    status: OfferStatus
    made_at: datetime
    answer_by: datetime
    closed_at: datetime | None
    partner: str | None
    child: Annotated[
        SeatedChildOut | None, Field(description="Null for auditors, and after the application is withdrawn.")
    ]
