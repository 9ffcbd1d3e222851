"""Rankings on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.applicants.schemas import ApplicantBody
from enrollment.field_types import Id, Wire
from enrollment.stored_values import StoredTexts

MOST_PROGRAMS = 500
MOST_ROWS = 200


class RankingBody(Wire):
    """A family's ranking, best first."""

    programs: Annotated[list[Id], Field(max_length=MOST_PROGRAMS, examples=[["lincoln-kg", "adams-kg"]])]
    draft: Annotated[bool, Field(description="True: kept, and does not count.")] = False


class Warned(Wire):
    """A program that the family ranked and that has left since."""

    program: str
    code: str
    reason: str | None


class Sealed(Wire):
    """What a receipt will be made of, once the log has the entry in its place."""

    leaf_hash: Annotated[str, Field(description="Of the log's entry, in hex; find it in /v1/log/entries.")]


class RankingShown(Wire):
    """A ranking in one version."""

    version: int
    programs: StoredTexts
    draft: bool
    withdrawn: bool
    late: Annotated[bool, Field(description="Whether it came after the deadline, by the database's clock.")]
    confirmation: Annotated[str | None, Field(description="The family's confirmation number.")]
    at: datetime
    receipt: Sealed | None
    warnings: list[Warned]


class FaultShown(Wire):
    """What is wrong with a ranking, and where."""

    pointer: str
    code: str
    detail: str


class Validated(Wire):
    """What would be said to a ranking if it were sent."""

    usable: bool
    errors: list[FaultShown]


class BatchRow(Wire):
    """One application, or its ranking, or both."""

    cycle: Id
    reference: Id
    applicant: ApplicantBody | None = None
    ranking: RankingBody | None = None


class Batch(Wire):
    """Many rows; each is done or refused by itself."""

    rows: Annotated[list[BatchRow], Field(min_length=1, max_length=MOST_ROWS)]


class RowShown(Wire):
    """What became of a row."""

    reference: str
    done: bool
    status: int
    code: Annotated[str | None, Field(description="Of the problem, where it was refused.")]
    detail: str | None
    errors: list[FaultShown]
    version: int | None
    confirmation: str | None


class BatchShown(Wire):
    """What became of each row, in order."""

    rows: list[RowShown]


class WarnedApplicant(Wire):
    """An applicant whose ranking in force names programs that have left."""

    reference: str
    warnings: list[Warned]
