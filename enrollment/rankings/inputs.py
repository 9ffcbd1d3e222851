"""Rankings and batches, as partners send them."""

from typing import Annotated, ClassVar

from pydantic import Field

from enrollment.applicants.inputs import ApplicantIn
from enrollment.field_types import Id, Resource, Wire

MAX_PROGRAMS = 500


class RankingIn(Resource):
    """A family's ranking, first choice first."""

    shown: ClassVar = frozenset({"version", "withdrawn", "late", "confirmation", "at", "receipt", "warnings"})

    programs: Annotated[list[Id], Field(max_length=MAX_PROGRAMS, examples=[["lincoln-kg", "adams-kg"]])]
    draft: Annotated[bool, Field(description="True: store a draft, which does not count.")] = False


class BatchRowIn(Wire):
    """An application, a ranking, or both."""

    cycle: Id
    reference: Id
    applicant: ApplicantIn | None = None
    ranking: RankingIn | None = None
