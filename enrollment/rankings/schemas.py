"""Rankings on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.applicants.schemas import ApplicantIn
from enrollment.field_types import Id, Wire
from enrollment.stored_values import StoredTexts

MAX_PROGRAMS = 500
MAX_ROWS = 200


class RankingIn(Wire):
    """A family's ranking, best first."""

    programs: Annotated[list[Id], Field(max_length=MAX_PROGRAMS, examples=[["lincoln-kg", "adams-kg"]])]
    draft: Annotated[bool, Field(description="True: kept, and does not count.")] = False


class Warned(Wire):
    """A program that the family ranked and that has left since."""

    program: str
    code: str
    reason: str | None


class Sealed(Wire):
    """What a receipt will be made of, once the log has the entry in its place."""

    leaf_hash: Annotated[str, Field(description="Of the log's entry, in hex; find it in /v1/log/entries.")]


class RankingOut(Wire):
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


class FaultOut(Wire):
    """What is wrong with a ranking, and where."""

    pointer: str
    code: str
    detail: str


class Validated(Wire):
    """What would be said to a ranking if it were sent."""

    usable: bool
    errors: list[FaultOut]


class BatchRow(Wire):
    """One application, or its ranking, or both."""

    cycle: Id
    reference: Id
    applicant: ApplicantIn | None = None
    ranking: RankingIn | None = None


class Batch(Wire):
    """Many rows; each is done or refused by itself."""

    rows: Annotated[list[BatchRow], Field(min_length=1, max_length=MAX_ROWS)]


class RankingRowOut(Wire):
    """What became of a row."""

    reference: str
    done: bool
    status: int
    code: Annotated[str | None, Field(description="Of the problem, where it was refused.")]
    detail: str | None
    errors: list[FaultOut]
    version: int | None
    confirmation: str | None


class BatchOut(Wire):
    """What became of each row, in order."""

    rows: list[RankingRowOut]


class WarnedApplicant(Wire):
    """An applicant whose ranking in force names programs that have left."""

    reference: str
    warnings: list[Warned]
