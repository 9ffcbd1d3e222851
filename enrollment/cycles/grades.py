"""Grades of a cycle."""

from enrollment.cycles.models import Cycle
from enrollment.problems import BadRequest, Fault, sentence


class GradeNotInCycle(BadRequest):
    """A grade that the cycle does not offer."""

    title = sentence("The grade is not offered in this cycle")
    detail = sentence("Leave grade out, or send one of those that GET /v1/cycles/{cycle} lists.")


def refuse_other_grades(cycle: Cycle, *grades: str | None) -> None:
    """Refuse grades that a cycle does not offer; None asks for no grade.

    Raises:
        GradeNotInCycle: if there is such a grade.
    """
    if not set(grades) <= {None, *cycle.grades}:
        fault = Fault("grade", "grade-not-offered", sentence("is not a grade of this cycle"), place="query")
        raise GradeNotInCycle(faults=[fault], cycle=cycle.id)
