"""Which numbers of a round the public sees, under attack by linear programs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from enrollment.rounds.suppression import SMALLEST, GradeNumbers, GroupNumbers, RoundNumbers, Shown, decide
from lottery.market.canonical import Json
from number_attack import Answer, Name, PublicAnswers, found_out, system_of, truth_of


@st.composite
def rounds(draw: st.DrawFn) -> RoundNumbers:
    """Draw the numbers of a round: a few grades, full and empty groups, small and large."""
    groups: list[GroupNumbers] = []
    grades: list[GradeNumbers] = []
    for number in range(draw(st.integers(1, 4))):
        grade, unplaced = f"{number:02}", draw(st.integers(0, 12) | st.integers(0, 60))
        for place in range(draw(st.integers(1, 4))):
            seats = draw(st.integers(0, 6) | st.integers(7, 40))
            filled = draw(st.just(seats) | st.integers(0, seats))
            waiting = draw(st.integers(0, unplaced)) if filled == seats else 0
            groups.append(GroupNumbers((f"p{number}", f"g{place}"), grade, seats, filled, waiting))
        own = [group for group in groups if group.grade == grade]
        placed = sum(group.filled for group in own)
        grades.append(GradeNumbers(grade, placed + unplaced, placed, sum(group.seats for group in own)))
    placed = sum(grade.placed for grade in grades)
    by_choice: dict[int | None, int] = {}
    while placed > sum(by_choice.values()):
        left = placed - sum(by_choice.values())
        by_choice[len(by_choice) + 1] = draw(st.integers(1, left) | st.integers(1, min(left, 4)) | st.just(left))
    return RoundNumbers(sum(grade.applicants for grade in grades), placed, groups, grades, by_choice)


def answers(numbers: RoundNumbers, shown: Shown, vacancies: Sequence[Answer] = ()) -> PublicAnswers:
    """Return what the public sees."""
    one_grade = len(numbers.grades) == 1
    report: dict[str, Json] = {
        "placed": numbers.placed if shown.totals else None,
        "unplaced": numbers.applicants - numbers.placed if shown.totals else None,
        "by_choice": [
            {"choice": choice, "applicants": number if choice in shown.choices else None}
            for choice, number in numbers.by_choice.items()
        ],
        "by_grade": [
            {
                "grade": grade.grade,
                "applicants": grade.applicants if one_grade or grade.grade in shown.grades else None,
                "placed": grade.placed if grade.grade in shown.grades else None,
                "seats": grade.seats,
            }
            for grade in numbers.grades
        ],
    }
    cutoffs: list[dict[str, Json]] = [
        {
            "program": group.key[0],
            "group": group.key[1],
            "seats": group.seats,
            "filled": group.filled if group.key in shown.groups else None,
            "waiting": group.waiting if group.key in shown.waiting else None,
            "last": "told" if group.key in shown.groups and group.filled == group.seats else None,
        }
        for group in numbers.groups
    ]
    grade_of = {group.key[0]: group.grade for group in numbers.groups}
    return PublicAnswers(report, cutoffs, grade_of, numbers.applicants, vacancies)


def truth(numbers: RoundNumbers) -> Mapping[Name, int]:
    """Return the true numbers that are secrets if they are small."""
    report: dict[str, Json] = {
        "placed": numbers.placed,
        "unplaced": numbers.applicants - numbers.placed,
        "by_choice": [{"choice": choice, "applicants": number} for choice, number in numbers.by_choice.items()],
        "by_grade": [
            {"name": grade.grade, "applicants": grade.applicants, "placed": grade.placed} for grade in numbers.grades
        ],
    }
    groups: list[dict[str, Json]] = [
        {"program": group.key[0], "group": group.key[1], "filled": group.filled, "waiting": group.waiting}
        for group in numbers.groups
    ]
    found = truth_of(report, groups)
    if len(numbers.grades) == 1:  # its applicants are all applicants, whom the log counts
        del found["applicants", numbers.grades[0].grade]
    return found


@given(rounds())
@settings(max_examples=150, deadline=None)
def test_no_hidden_number_can_be_worked_out(numbers: RoundNumbers) -> None:
    secrets = truth(numbers)
    found = found_out(answers(numbers, decide(numbers)), secrets)
    if found:  # the seats and the applicants alone may say it, as where there are no seats
        assert found == found_out(answers(numbers, Shown()), secrets)


@given(rounds())
@settings(max_examples=100, deadline=None)
def test_no_small_number_is_shown(numbers: RoundNumbers) -> None:
    system = system_of(answers(numbers, decide(numbers)))
    secrets = truth(numbers)
    small = [name for name, number in secrets.items() if 0 < number < SMALLEST]
    assert [name for name in small if system.bounds[name][0] == system.bounds[name][1]] == []


@given(rounds())
@settings(max_examples=100, deadline=None)
def test_waiting_children_do_not_reveal_that_a_hidden_group_next_to_them_is_full(numbers: RoundNumbers) -> None:
    shown = decide(numbers)
    programs = {program for program, _ in shown.waiting}
    next_to_them = [group for group in numbers.groups if group.key[0] in programs and group.seats]
    assert {group.key for group in next_to_them} <= shown.groups


@given(rounds())
@settings(max_examples=100, deadline=None)
def test_a_total_that_is_shown_leaves_every_small_group_all_its_values(numbers: RoundNumbers) -> None:
    shown = decide(numbers)
    system = system_of(answers(numbers, shown))
    for group in numbers.groups:
        if group.grade in shown.grades and 0 < group.filled < SMALLEST:
            lowest, highest = system.range_of(("filled", *group.key))
            assert lowest == 0
            assert highest is None or highest >= min(SMALLEST - 1, group.seats)


TWO_GRADES = RoundNumbers(
    applicants=75,
    placed=45,
    groups=[
        GroupNumbers(("p0", "open"), "00", 20, 12, 0),
        GroupNumbers(("p1", "open"), "01", 40, 28, 0),
        GroupNumbers(("p1", "ell"), "01", 9, 5, 0),
    ],
    grades=[GradeNumbers("00", 15, 12, 20), GradeNumbers("01", 60, 33, 49)],
    by_choice={1: 35, 2: 10},
)
"""One grade has one program, and three children of it have no seat. The other has a small group."""


def test_the_attack_finds_what_deciding_table_by_table_lets_out() -> None:
    groups = frozenset({("p0", "open"), ("p1", "open")})  # the small group is hidden, and the placed of both grades
    public = answers(TWO_GRADES, Shown(totals=True, groups=groups, choices=frozenset({1, 2})))
    report = {**public.report, "by_grade": [{**row, "applicants": number} for row, number in _applicants(public)]}
    found = found_out(replace(public, report=report), truth(TWO_GRADES))
    assert found == {("unplaced", "00"): 3, ("filled", "p1", "ell"): 5}


def _applicants(public: PublicAnswers) -> list[tuple[Answer, int]]:
    grades = public.report["by_grade"]
    assert isinstance(grades, list)
    return list(zip(grades, (15, 60), strict=True))


def test_the_attack_finds_what_the_lines_of_empty_seats_let_out() -> None:
    shown = decide(TWO_GRADES)
    lines: list[Answer] = [
        {"program": program, "group": group}
        for program, group, number in (("p0", "open", 8), ("p1", "open", 12), ("p1", "ell", 4))
        for _ in range(number)
    ]
    secrets = truth(TWO_GRADES)
    assert found_out(answers(TWO_GRADES, shown), secrets) == {}
    found = found_out(answers(TWO_GRADES, shown, lines), secrets)
    assert found[("filled", "p1", "ell")] == 5
