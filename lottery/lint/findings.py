"""Findings: rules that cannot work as written, and effects that a school may not expect."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from heapq import nsmallest

from lottery.market.canonical import Json

MAX_TICKETS = 3
"""Applicants' ids that a finding shows; `applicants` counts all."""


class Weight(StrEnum):
    """Whether a rule cannot work as written, or has an effect that a school may not expect."""

    CANNOT = "cannot"
    NOTE = "note"


class Basis(StrEnum):
    """The basis of a finding: the rules alone, the rules with the current applicants, or simulated draws."""

    RULES = "rules"
    APPLICANTS = "applicants"
    SIMULATION = "simulation"


class Check(StrEnum):
    """The kinds of findings, in the order of the findings of one school; `titles.py` has plain titles."""

    CONDITION_NEVER = "condition that nobody can meet"
    CONDITION_ALWAYS = "condition that everybody meets"
    PART_NEVER = "part of a condition that nobody can meet"
    PART_IDLE = "part of a condition that changes nothing"
    UNKNOWN_WORD = "word that no applicant has"
    SIBLING_NEVER = "sibling rule that can hold for nobody"
    ELIGIBLE_NOBODY = "nobody eligible"
    CLASS_UNREACHABLE = "class that no one can reach"
    CLASS_EMPTY = "class that nobody is in"
    CLASS_FOR_ALL = "class that everybody is in"
    CLASS_FOLLOWS_RANKING = "class that follows the ranking"
    RESERVE_WITHOUT_SEATS = "reserve without seats"
    RESERVE_FOR_NOBODY = "reserve for nobody"
    RESERVE_LIKE_OPEN = "reserve no different from open"
    RESERVE_IDLE = "reserve made idle by its precedence"
    OVERFLOW_IDLE = "overflow that changes nothing"
    RESERVE_LEFT_EMPTY = "closed reserve with more seats than children"
    RESERVE_BEHIND_OPEN = "closed reserve filled after others"
    ALL_CLOSED = "all seats in closed reserves"
    LIST_EMPTY = "empty list"
    LIST_SHORT = "list shorter than the seats"
    LIST_STRANGERS = "list with tickets that are not in the market"
    LIST_AFTER_CLASSES = "list that classes go before"
    BACKFILL_IDLE = "backfill rule that changes nothing"
    NEW_NUMBERS = "backfill order that can reward a false first ranking"
    MANY_NUMBERS = "a lottery number of its own at each program"
    LATE_EQUAL = "late applications equal to others"
    DRAWS_NOT_LISTED = "draws whose order is not known"
    GRADE_ORDER_IGNORED = "grade order that nothing needs"
    SIBLING_REPORTS = "sibling rules that can be gamed"
    TWINS_IDLE = "twins' shared number that nobody shares"
    NOT_CONSIDERED = "choices that are not considered"
    NO_SEATS = "program without seats"
    NOT_RANKED = "program that nobody ranks"
    GRADE_WITHOUT_PROGRAM = "grade without a program"
    RANKING_EMPTY = "empty ranking"
    HELD_NOT_RANKED = "held seat that is not ranked"
    BELOW_HELD = "choices below a held seat"
    TOGETHER_IDLE = "wish to be together that does nothing"
    SCHOOL_UNKNOWN = "facts at a school that has no program"
    NO_APPLICANTS = "no applicants"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a rule: its program (None for a rule of the cycle) and its JSON path in the market file."""

    program: str | None
    path: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem or note: what happens, and what to do.

    `school` is None for a finding about the whole cycle. `places` has one entry for each program with the same rule and
    the same finding. `applicants` counts the applicants concerned at each program, or is 0, and `tickets` has the ids
    of a few of them.
    """

    check: Check
    weight: Weight
    basis: Basis
    school: str | None
    places: tuple[Place, ...]
    group: str | None
    class_: str | None
    applicants: int
    tickets: tuple[str, ...]
    wrong: str
    change: str

    @property
    def program(self) -> str | None:
        """Return the program, if the finding has exactly one."""
        return self.places[0].program if len(self.places) == 1 else None

    @property
    def programs(self) -> tuple[str, ...]:
        """Return the programs with this rule, each once."""
        return tuple(dict.fromkeys(place.program for place in self.places if place.program is not None))

    def document(self) -> dict[str, Json]:
        """Return the finding in the form of `lottery lint --json`."""
        return {
            "check": self.check,
            "weight": self.weight,
            "basis": self.basis,
            "school": self.school,
            "places": [{"program": place.program, "path": place.path} for place in self.places],
            "group": self.group,
            "class": self.class_,
            "applicants": self.applicants,
            "tickets": list(self.tickets),
            "wrong": self.wrong,
            "change": self.change,
        }


def about_cycle(
    check: Check,
    path: str,
    *,
    wrong: str,
    change: str,
    basis: Basis = Basis.APPLICANTS,
    weight: Weight = Weight.NOTE,
    tickets: Iterable[str] = (),
) -> Finding:
    """Return a finding about the whole cycle."""
    concerned = list(tickets)
    shown = few_of(concerned)
    return Finding(check, weight, basis, None, (Place(None, path),), None, None, len(concerned), shown, wrong, change)


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Merge equal findings about several programs of a school."""
    same: dict[Finding, list[Finding]] = {}
    for finding in findings:
        same.setdefault(replace(finding, places=(), applicants=0, tickets=()), []).append(finding)
    return [_as_one(alike) for alike in same.values()]


def _as_one(alike: Sequence[Finding]) -> Finding:
    return replace(
        alike[0],
        places=tuple(dict.fromkeys(place for finding in alike for place in finding.places)),
        applicants=sum(finding.applicants for finding in alike),
        tickets=few_of({ticket for finding in alike for ticket in finding.tickets}),
    )


def few_of(tickets: Iterable[str]) -> tuple[str, ...]:
    """Return the first few ids in sorted order, so that the order of applicants does not matter."""
    return tuple(nsmallest(MAX_TICKETS, tickets))


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def named(names: Iterable[str]) -> str:
    """Return names in quotation marks, as a list in a sentence."""
    quoted = [f"“{name}”" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
