"""Decide once, when a main round is published, which numbers of children the public sees.

A number below 10 is hidden, zero too. A total over hidden numbers is shown only if every hidden number below it can
still have each value from 0 to 9, as far as the seats allow. docs/reference/log-and-proofs.md has the rule, and the
tests attack it with linear programs.

The public numbers form a tree: the city, its grades, and their seat groups; the choices divide the city once more. In
a tree of sums, the smallest and the largest value of every hidden number follow from the totals next to it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SMALLEST = 10
"""The smallest published number of children."""

ROOM = SMALLEST - 1
"""A hidden number has room if it can be anything from 0 to this, or to its seats if they are fewer."""

Group = tuple[str, str]
"""A program and the name of a seat group."""

Choice = int | None


@dataclass(frozen=True, slots=True)
class GroupNumbers:
    """A seat group after a round."""

    key: Group
    grade: str
    seats: int
    filled: int
    waiting: int


@dataclass(frozen=True, slots=True)
class GradeNumbers:
    """A grade after a round."""

    grade: str
    applicants: int
    placed: int
    seats: int

    @property
    def unplaced(self) -> int:
        """Return the number of children without a seat."""
        return self.applicants - self.placed


@dataclass(frozen=True, slots=True)
class RoundNumbers:
    """The numbers of a round. `by_choice` has only choices at which somebody got a seat."""

    applicants: int
    placed: int
    groups: Sequence[GroupNumbers]
    grades: Sequence[GradeNumbers]
    by_choice: Mapping[Choice, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """The numbers of a round that the public sees. All others are hidden."""

    totals: bool = False
    """Whether the city's numbers of children with and without a seat are shown."""
    groups: frozenset[Group] = frozenset()
    """Groups whose filled seats and last admitted child are shown."""
    waiting: frozenset[Group] = frozenset()
    grades: frozenset[str] = frozenset()
    choices: frozenset[Choice] = frozenset()


@dataclass(slots=True)
class _Part:
    """Hidden numbers that add up to a total between two bounds."""

    low: int
    high: int
    cells: Sequence[GroupNumbers] = field(default_factory=list)

    def has_room(self) -> bool:
        """Say whether each small group and each small grade among the hidden numbers has room."""
        return all(self._is_free([cell]) for cell in self.cells) and all(
            self._is_free([cell for cell in self.cells if cell.grade == grade])
            for grade in {cell.grade for cell in self.cells}
        )

    def _is_free(self, cells: Sequence[GroupNumbers]) -> bool:
        if not 0 < sum(cell.filled for cell in cells) < SMALLEST:
            return True
        seats = sum(cell.seats for cell in cells)
        others = sum(cell.seats for cell in self.cells) - seats
        return self.low <= others and min(self.high, seats) >= min(ROOM, seats)


def decide(numbers: RoundNumbers) -> Shown:
    """Decide which numbers of a main round are shown: first groups, then grades, then the city, then choices."""
    choices = _shown_choices(numbers.by_choice, numbers.placed)
    groups = {group.key for group in numbers.groups if group.filled >= SMALLEST}
    grades = set() if choices is None else _shown_grades(numbers, groups)
    pool = [group for group in numbers.groups if group.grade not in grades]
    groups -= _revealing_groups(numbers, pool, groups)
    waiting = _shown_waiting(numbers, groups)
    hidden = [group for group in pool if group.key not in groups]
    rest = sum(group.filled for group in hidden)
    if choices is not None and _Part(rest, rest, hidden).has_room() and _totals_are_safe(numbers, grades):
        totals = True
    else:
        totals, choices = False, _choices_without_totals(numbers, hidden)
    return Shown(totals, frozenset(groups), frozenset(waiting), frozenset(grades), frozenset(choices))


def _shown_waiting(numbers: RoundNumbers, shown: Collection[Group]) -> set[Group]:
    """Return the groups whose waiting children are shown: those of programs with no hidden group.

    A child who waits was turned away at every group that takes the child. So waiting children at one group reveal that
    other groups of the program are full.
    """
    hidden_at = {group.key[0] for group in numbers.groups if group.seats and group.key not in shown}
    return {group.key for group in numbers.groups if group.waiting >= SMALLEST and group.key[0] not in hidden_at}


def _revealing_groups(numbers: RoundNumbers, pool: Sequence[GroupNumbers], shown: Collection[Group]) -> set[Group]:
    """Return the groups to hide so that they do not add up to a small number of children without a seat.

    The number of applicants is public, because the log has an entry for each.
    """
    revealing: set[Group] = set()
    if not _below(numbers.applicants - numbers.placed):
        return revealing
    for group in sorted(pool, key=lambda group: (group.filled, group.key)):
        free = [other for other in pool if other.key not in shown or other.key in revealing]
        known = numbers.placed - sum(other.filled for other in free)
        if min(numbers.applicants - known, sum(other.seats for other in free)) >= ROOM:
            break
        if group.key in shown:
            revealing.add(group.key)
    return revealing


def _shown_grades(numbers: RoundNumbers, groups: Collection[Group]) -> set[str]:
    """Return the grades whose applicants and placed children are shown, both or neither."""
    shown = {grade.grade for grade in numbers.grades if _grade_is_safe(grade, numbers.groups, groups)}
    by_size = sorted(numbers.grades, key=lambda grade: (grade.applicants, grade.grade))
    for grade in by_size:
        hidden = [other for other in numbers.grades if other.grade not in shown]
        free = sum(other.applicants for other in hidden) - _shown_children(numbers, groups, hidden)
        if not any(_is_small(other) for other in hidden) or (len(hidden) > 1 and free >= SMALLEST):
            break
        shown.discard(grade.grade)
    return shown


def _grade_is_safe(grade: GradeNumbers, all_groups: Iterable[GroupNumbers], shown: Collection[Group]) -> bool:
    hidden = [group for group in all_groups if group.grade == grade.grade and group.key not in shown]
    rest = sum(group.filled for group in hidden)
    large = grade.applicants >= SMALLEST and grade.placed >= SMALLEST
    return large and not _below(grade.unplaced) and _Part(rest, rest, hidden).has_room()


def _is_small(grade: GradeNumbers) -> bool:
    return any(map(_below, (grade.applicants, grade.placed, grade.unplaced)))


def _below(number: int) -> bool:
    return 0 < number < SMALLEST


def _shown_children(numbers: RoundNumbers, groups: Collection[Group], grades: Sequence[GradeNumbers]) -> int:
    """Return the children of some grades who are in groups that are shown."""
    names = {grade.grade for grade in grades}
    return sum(group.filled for group in numbers.groups if group.grade in names and group.key in groups)


def _totals_are_safe(numbers: RoundNumbers, grades: Collection[str]) -> bool:
    """Say whether the city's totals reveal neither themselves nor how many children of a small grade have no seat."""
    unplaced = numbers.applicants - numbers.placed
    if numbers.placed < SMALLEST or _below(unplaced):
        return False
    hidden = [grade for grade in numbers.grades if grade.grade not in grades]
    return not any(_below(grade.unplaced) for grade in hidden) or sum(grade.unplaced for grade in hidden) >= SMALLEST


def _shown_choices(by_choice: Mapping[Choice, int], placed: int) -> set[Choice] | None:
    """Return the choices that are shown next to the number of placed children; None if that number cannot be shown."""
    shown = set(by_choice)
    for choice in _smallest_first(by_choice):
        hidden = by_choice.keys() - shown
        rest = placed - sum(by_choice[other] for other in shown)
        has_room = len(hidden) > 1 and rest - len(hidden) >= ROOM
        if by_choice[choice] >= SMALLEST and (not hidden or has_room):
            return shown
        shown.discard(choice)
    small = any(number < SMALLEST for number in by_choice.values())
    return None if small and placed - len(by_choice) < ROOM else shown


def _choices_without_totals(numbers: RoundNumbers, hidden_groups: Sequence[GroupNumbers]) -> set[Choice]:
    """Return the choices that are shown if the number of placed children is hidden.

    Their sum is the least number of placed children. It must leave the hidden groups their room.
    """
    known = numbers.placed - sum(group.filled for group in hidden_groups)
    most = min(numbers.applicants, known + sum(group.seats for group in hidden_groups))
    shown = set(numbers.by_choice)
    for choice in _smallest_first(numbers.by_choice):
        hidden = numbers.by_choice.keys() - shown
        least = sum(numbers.by_choice[other] for other in shown) + len(hidden)
        part = _Part(max(least - known, 0), max(most - known, 0), hidden_groups)
        has_room = len(hidden) > 1 and most - least >= ROOM
        if numbers.by_choice[choice] >= SMALLEST and has_room and part.has_room():
            break
        shown.discard(choice)
    return shown


def _smallest_first(by_choice: Mapping[Choice, int]) -> list[Choice]:
    return sorted(by_choice, key=lambda choice: (by_choice[choice], choice is None, choice or 0))
