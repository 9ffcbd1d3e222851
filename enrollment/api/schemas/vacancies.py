"""The vacancy ledger on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire

VacancyStatus = Literal["open", "left-empty", "filled", "removed"]


class VacancyOut(Wire):
    """A seat that opened, and how the school's rules decided about the seat."""

    school: str
    program: str
    number: int
    group: str
    opened_at: datetime
    opened_by: str
    status: VacancyStatus
    decided_at: datetime | None
    round: str | None
    rules_version: Annotated[int | None, Field(description="The version of the program's rules behind the decision.")]
    rule_of: Annotated[
        str | None,
        Field(
            description="The level whose rule left the seat empty: `operator:…`, `school:…`, `program:…`, `default`."
        ),
    ]
    why: str | None
    filled_class: Annotated[str | None, Field(description="The priority class of the child who got the seat.")]
    filled_group: str | None
    detail: Annotated[str, Field(description="The same in a sentence.")]


class SchoolVacanciesOut(Wire):
    """A school's vacancies in numbers."""

    school: str
    opened: int
    open: int
    left_empty: int
    filled: int
    removed: int
    by_why: Annotated[dict[str, int], Field(description="Seats left empty or removed, by reason.")]


class VacancyCountsOut(Wire):
    """The vacancies of the schools that the reader may see, in numbers."""

    cycle: str
    data: list[SchoolVacanciesOut]
