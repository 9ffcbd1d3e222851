"""Rankings and batches in requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire
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
    late: Annotated[bool, Field(description="Whether it came after the deadline, as the deadline is now.")]
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


class BatchIn(Wire):
    """Many rows. Each row is stored or refused separately."""

    rows: Annotated[list[BatchRowIn], Field(min_length=1, max_length=MAX_ROWS)]


class BatchRowOut(Wire):
    """The result of one row."""

    reference: str
    done: bool
    status: int
    code: Annotated[str | None, Field(description="The code of the problem, if the row was refused.")]
    detail: str | None
    errors: list[RankingFaultOut]
    version: int | None
    confirmation: str | None


class BatchOut(Wire):
    """The result of each row, in the order sent."""

    rows: list[BatchRowOut]


class ApplicantWarningsOut(Wire):
    """An applicant who ranked programs that no longer take part."""

    reference: str
    warnings: list[ProgramWarningOut]
