"""The grades of a cycle."""

from enrollment.cycles.models import Cycle
from enrollment.problems import BadRequest, Fault, listed, sentence


class GradeNotInCycle(BadRequest):
    """The cycle does not offer the grade."""

    title = sentence("Grade not offered in this cycle")
    detail = sentence("Leave out grade, or send a grade that GET /v1/cycles/{cycle} lists.")


def refuse_other_grades(cycle: Cycle, *grades: str | None) -> None:
    """Refuse grades that a cycle does not offer. None means no grade.

    Raises:
        GradeNotInCycle: if the cycle does not offer one of the grades.
    """
    if not set(grades) <= {None, *cycle.grades}:
        detail = sentence("must be a grade of this cycle: {allowed}")
        fault = Fault("grade", "grade-not-offered", detail, {"allowed": listed(cycle.grades)}, place="query")
        raise GradeNotInCycle(faults=[fault], cycle=cycle.id)
