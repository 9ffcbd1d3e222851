"""Grades in turn, and what a sibling's placement does to a ranking (lottery.md, sections 4 and 6)."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from lottery.market.model import Applicant, Market


def grades_in_turn(market: Market) -> list[Sequence[Applicant]]:
    """Return the applicants of each grade in `grade_order`, or all of them at once where siblings do not matter."""
    if not market.siblings_matter():
        return [market.applicants]
    by_grade: dict[str, list[Applicant]] = {grade: [] for grade in market.policy.grade_order}
    for applicant in market.applicants:
        by_grade[applicant.grade].append(applicant)
    return list(by_grade.values())


def ranking_as_matched(
    applicant: Applicant, school_of: Mapping[str, str], siblings_at: Collection[str]
) -> Sequence[str]:
    """Return the programs that the applicant proposes to, best first.

    What is ranked below a held seat is dropped, and a held seat that was not ranked is added at the end. Of what
    stands above it, `together` moves the programs of schools where siblings were placed to the front (Correa et al.
    2022).
    """
    above, held = applicant.ranking, applicant.holds
    if held and held.program in above:
        above = above[: above.index(held.program)]
    if applicant.together and siblings_at:
        above = tuple(sorted(above, key=lambda program: school_of[program] not in siblings_at))
    return (*above, held.program) if held else above


class PlacedSiblings:
    """Where an outcome placed siblings, grade by grade."""

    def __init__(self, market: Market, placed: Iterable[tuple[Applicant, str]]) -> None:
        """`placed` are applicants with the school that each was placed at."""
        self._turn = {grade: turn for turn, grade in enumerate(market.policy.grade_order)}
        self._schools: dict[str, list[tuple[str, str]]] = {}
        if market.siblings_matter():
            for applicant, school in placed:
                if applicant.household:
                    self._schools.setdefault(applicant.household, []).append((applicant.grade, school))

    def schools(self, applicant: Applicant) -> Collection[str]:
        """Return the schools where siblings were placed in grades matched before the applicant's."""
        placed = self._schools.get(applicant.household or "", ())
        return {school for grade, school in placed if self._turn[grade] < self._turn[applicant.grade]}
