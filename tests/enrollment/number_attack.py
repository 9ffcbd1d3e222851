"""Attack hidden numbers: what anybody can work out from everything that is public together, by linear programming.

The answers come as the service gives them. Every published number is an equation; every hidden one is unknown. Then
come the identities that anybody knows, and the seats. A hidden number is found out if only one value is possible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
from scipy.optimize import linprog

from lottery.market.canonical import Json

Answer = Mapping[str, Json]
Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublicAnswers:
    """What a stranger has read about one round."""

    report: Answer
    cutoffs: Sequence[Answer]
    grade_of: Mapping[str, str]
    """Each program's grade."""
    applicants: int
    """From the log's entry of the freeze."""
    vacancies: Sequence[Answer] = ()
    """Lines or log entries about seats that were not filled, if they are public."""


@dataclass(slots=True)
class System:
    """Equations over whole numbers between bounds."""

    bounds: dict[Name, tuple[float, float]] = field(default_factory=dict)
    equal: list[tuple[dict[Name, int], int]] = field(default_factory=list)

    def add(self, name: Name, number: Json, *, most: float = inf, least: int = 0) -> None:
        """Add a number: published, or unknown between bounds."""
        self.bounds[name] = (number, number) if isinstance(number, int) else (least, most)

    def add_sum(self, total: Name, parts: Sequence[Name]) -> None:
        """Say that parts add up to a total."""
        if parts:
            self.equal.append(({total: -1, **dict.fromkeys(parts, 1)}, 0))

    def range_of(self, name: Name) -> tuple[int, int | None]:
        """Return the smallest and the largest possible value; None: there is no largest."""
        least, most = self._extreme(name, 1), self._extreme(name, -1)
        assert least is not None
        return -(-round(least * 1000) // 1000), None if most is None else round(-most * 1000) // 1000

    def _extreme(self, name: Name, sign: int) -> float | None:
        places = {one: place for place, one in enumerate(self.bounds)}
        rows = np.zeros((len(self.equal), len(places)))
        for number, (row, _) in enumerate(self.equal):
            for one, factor in row.items():
                rows[number, places[one]] = factor
        aim = np.zeros(len(places))
        aim[places[name]] = sign
        right = [right for _, right in self.equal]
        found = linprog(aim, A_eq=rows, b_eq=right, bounds=list(self.bounds.values()), method="highs")
        assert found.status in (0, 3), found.message
        return float(found.fun) if found.status == 0 else None


def system_of(public: PublicAnswers) -> System:
    """Return all that is known about a round's numbers."""
    system, report = System(), public.report
    seats = sum(_whole(row["seats"]) for row in public.cutoffs)
    system.add(("applicants",), public.applicants)
    system.add(("placed",), report["placed"], most=seats)
    system.add(("unplaced",), report["unplaced"])
    system.add_sum(("applicants",), [("placed",), ("unplaced",)])
    _add_groups(system, public)
    _add_grades(system, public)
    choices = [("choice", str(row["choice"])) for row in _rows(report["by_choice"])]
    for name, row in zip(choices, _rows(report["by_choice"]), strict=True):
        system.add(name, row["applicants"], least=1)
    system.add_sum(("placed",), choices)
    return system


def _add_groups(system: System, public: PublicAnswers) -> None:
    waited_for = {
        str(row["program"]) for row in public.cutoffs if isinstance(row["waiting"], int) and row["waiting"] > 0
    }
    for row in public.cutoffs:
        key = (str(row["program"]), str(row["group"]))
        filled, seats = row["filled"], _whole(row["seats"])
        is_full = row["last"] is not None or key[0] in waited_for
        system.add(("filled", *key), seats if filled is None and is_full else filled, most=seats)
        system.add(("waiting", *key), row["waiting"], most=public.applicants)
        opened = [line for line in public.vacancies if (line["program"], line["group"]) == key]
        if public.vacancies:
            system.equal.append(({("filled", *key): 1}, seats - len(opened)))


def _add_grades(system: System, public: PublicAnswers) -> None:
    grades = _rows(public.report["by_grade"])
    for row in grades:
        grade = str(row["grade"])
        system.add(("applicants", grade), row["applicants"])
        system.add(("placed", grade), row["placed"], most=_whole(row["seats"]))
        system.add(("unplaced", grade), None)
        system.add_sum(("applicants", grade), [("placed", grade), ("unplaced", grade)])
        groups = [name for name in system.bounds if name[0] == "filled" and public.grade_of[name[1]] == grade]
        system.add_sum(("placed", grade), groups)
    for kind in ("applicants", "placed", "unplaced"):
        system.add_sum((kind,), [(kind, str(row["grade"])) for row in grades])


def found_out(public: PublicAnswers, truth: Mapping[Name, int]) -> dict[Name, int]:
    """Return every hidden number from 1 to 9 that only one value fits.

    The number of applicants of the whole round is no secret: the log has an entry for each.
    """
    system = system_of(public)
    pinned = {}
    for name, number in truth.items():
        least, most = system.bounds[name]
        if not 0 < number < 10 or (least == most and name == ("applicants",)):
            continue
        lowest, highest = system.range_of(name)
        assert lowest <= number <= (number if highest is None else highest), (name, lowest, number, highest)
        if lowest == highest:
            pinned[name] = number
    return pinned


def truth_of(report: Answer, groups: Sequence[Answer]) -> dict[Name, int]:
    """Return the true numbers by name, from the full report and the true groups."""
    truth: dict[Name, int] = {(name,): _whole(report[name]) for name in ("placed", "unplaced")}
    for row in _rows(report["by_grade"]):
        grade = str(row["name"])
        truth |= {(kind, grade): _whole(row[kind]) for kind in ("applicants", "placed")}
        truth["unplaced", grade] = truth["applicants", grade] - truth["placed", grade]
    truth |= {("choice", str(row["choice"])): _whole(row["applicants"]) for row in _rows(report["by_choice"])}
    for row in groups:
        key = (str(row["program"]), str(row["group"]))
        truth |= {(kind, *key): _whole(row[kind]) for kind in ("filled", "waiting")}
    return truth


def _rows(value: Json) -> Sequence[Answer]:
    assert isinstance(value, list)
    return value


def _whole(value: Json) -> int:
    assert isinstance(value, int)
    return value
