"""Match grades in order, and let siblings' placements change rankings (docs/reference/specification.md, section 6)."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from lottery.market.model import Applicant, Market


def grades_in_turn(market: Market) -> list[Sequence[Applicant]]:
    """Return the applicants of each grade, in `grade_order`.

    Where siblings do not matter, return all applicants as one turn.
    """
    if not market.siblings_matter():
        return [market.applicants]
    by_grade: dict[str, list[Applicant]] = {grade: [] for grade in market.policy.grade_order}
    for applicant in market.applicants:
        by_grade[applicant.grade].append(applicant)
    return list(by_grade.values())


def ranking_as_matched(
    applicant: Applicant, school_of: Mapping[str, str], siblings_at: Collection[str]
) -> Sequence[str]:
    """Return the programs to which the applicant proposes, best first.

    1. An applicant who holds a seat proposes only to programs ranked above that seat, and last to the held program.
    2. An applicant with `together` proposes first to schools where siblings were placed (Correa et al. 2022).

    `school_of` maps programs to schools. `siblings_at` has the schools where siblings were placed in this run.
    """
    above, held = applicant.ranking, applicant.holds
    if held and held.program in above:
        above = above[: above.index(held.program)]
    if applicant.together and siblings_at:
        above = tuple(sorted(above, key=lambda program: school_of[program] not in siblings_at))
    return (*above, held.program) if held else above


class PlacedSiblings:
    """The schools where an outcome placed siblings, grade by grade."""

    def __init__(self, market: Market, placed: Iterable[tuple[Applicant, str]]) -> None:
        """`placed` pairs each placed applicant with the school."""
        self._turn = {grade: turn for turn, grade in enumerate(market.policy.grade_order)}
        self._schools: dict[str, list[tuple[str, str]]] = {}
        if market.siblings_matter():
            for applicant, school in placed:
                if applicant.household:
                    self._schools.setdefault(applicant.household, []).append((applicant.grade, school))

    def schools(self, applicant: Applicant) -> Collection[str]:
        """Return the schools where siblings were placed in grades matched before the applicant's grade."""
        placed = self._schools.get(applicant.household or "", ())
        return {school for grade, school in placed if self._turn[grade] < self._turn[applicant.grade]}
