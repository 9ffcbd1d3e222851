"""Rankings and batches in requests and answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, InstanceOf, ValidationError
from pydantic.json_schema import SkipJsonSchema

from enrollment.field_faults import faults_of
from enrollment.field_types import Wire
from enrollment.problems import Fault
from enrollment.rankings.inputs import BatchRowIn
from enrollment.stored_values import StoredTexts

MAX_ROWS = 200


class ProgramWarningOut(Wire):
    """A ranked program that no longer takes part."""

    program: str
    code: str
    reason: str | None


class RankingReceiptOut(Wire):
    """The log entry of a ranking. Its receipt is ready once the log has published the entry."""

    leaf_hash: Annotated[str, Field(description="The hash of the log entry, in hex. /v1/log/entries has the entry.")]


class RankingOut(Wire):
    """One version of a ranking."""

    version: int
    programs: StoredTexts
    draft: bool
    withdrawn: bool
    late: Annotated[bool, Field(description="Whether the ranking came after the deadline that applies now.")]
    confirmation: Annotated[str | None, Field(description="The family's confirmation number.")]
    at: datetime
    receipt: RankingReceiptOut | None
    warnings: list[ProgramWarningOut]


class RankingFaultOut(Wire):
    """A fault in a ranking, and its place."""

    pointer: str
    code: str
    detail: str


class RankingCheckOut(Wire):
    """The result of checking a ranking without saving it."""

    usable: bool
    errors: list[RankingFaultOut]


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A row of a batch that does not have the form of a row."""

    reference: str
    """The reference, if it could be read; otherwise empty."""
    faults: Sequence[Fault]


def _read_row(row: object) -> BatchRowIn | MalformedRow:
    try:
        return BatchRowIn.model_validate(row)
    except ValidationError as error:
        errors = [{**found, "loc": ("body", *found["loc"])} for found in error.errors(include_url=False)]
        faults = list(faults_of(errors, row))
        named = row.get("reference") if isinstance(row, Mapping) else None
        readable = isinstance(named, str) and all(fault.pointer != "/reference" for fault in faults)
        return MalformedRow(str(named) if readable else "", faults)


Row = Annotated[BatchRowIn | SkipJsonSchema[InstanceOf[MalformedRow]], BeforeValidator(_read_row)]
"""A row. A malformed row is kept with its faults, so that the other rows are stored."""


class BatchIn(Wire):
    """Many rows. Each row is stored or refused separately."""

    rows: Annotated[list[Row], Field(min_length=1, max_length=MAX_ROWS)]


class BatchRowOut(Wire):
    """The result of one row."""

    reference: Annotated[str, Field(description="Empty if the row has no readable reference.")]
    done: bool
    status: int
    code: Annotated[str | None, Field(description="The code of the problem, if the row was refused.")]
    detail: str | None
    errors: Annotated[list[RankingFaultOut], Field(description="The faults, with pointers into the body as sent.")]
    version: int | None
    confirmation: str | None


class BatchOut(Wire):
    """The result of each row, in the order sent."""

    rows: list[BatchRowOut]


class ApplicantWarningsOut(Wire):
    """An applicant who ranked programs that no longer take part."""

    reference: str
    warnings: list[ProgramWarningOut]
