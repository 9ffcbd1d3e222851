"""Small markets that show what lint finds, and markets that nearly do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import lottery
from lottery.lint import lint
from lottery.lint.findings import Check, Finding, Weight
from lottery.market.canonical import Json
from lottery.market.model import Market
from worked_examples import Document

EVERYONE: Json = {"everyone": True}
SIBLING: Json = {"sibling_placed": True}
GRADES = ["01", "KG"]
TICKETS = [f"t{number:02}" for number in range(40)]


def program(school: str = "oak", grade: str = "KG", seats: int = 2, **rules: Json) -> Document:
    return {"id": f"{school}-{grade}", "school": school, "grade": grade, "seats": seats, **rules}


def child(ticket: str = "ann", ranking: Sequence[str] = ("oak-KG",), **facts: Json) -> Document:
    return {"id": ticket, "grade": "KG", "ranking": list(ranking), **facts}


def children(number: int, *, start: int = 0, ranking: Sequence[str] = ("oak-KG",), **facts: Json) -> list[Document]:
    return [child(ticket, ranking, **facts) for ticket in TICKETS[start : start + number]]


def market(
    programs: Sequence[Document], applicants: Sequence[Document] = (), *, kind: str = "main", **policy: Json
) -> Market:
    return lottery.read_market(
        {
            "format": "lottery-market/1",
            "round": {"id": "this", "kind": kind},
            "policy": policy,
            "programs": list(programs),
            "applicants": list(applicants),
        }
    )


def after_main(market: Market) -> Market:
    """Return a backfill market that lists the main round before it."""
    return replace(market, round=replace(market.round, earlier=("main",)))


def ruled(*applicants: Document, kind: str = "main", **rules: Json) -> Market:
    """Oak's kindergarten under some rules."""
    return market([{**program(), **rules}], applicants, kind=kind, grade_order=GRADES)


def zone(*zones: str) -> Json:
    return {"zone_in": list(zones)}


def flag(name: str) -> Json:
    return {"has": name}


def class_(name: str, when: Json) -> Json:
    return {"name": name, "when": when}


def reserve(name: str, when: Json, seats: int = 1, **rules: Json) -> Json:
    return {"name": name, "when": when, "seats": seats, **rules}


def classes(*conditions: Json) -> Json:
    return [class_(f"class-{number}", when) for number, when in enumerate(conditions, start=1)]


def found(where: Market, check: Check, *, draws: int = 0) -> list[Finding]:
    return [finding for finding in lint(where, draws=draws) if finding.check is check]


@dataclass(frozen=True)
class Case:
    """A market that shows something, what is said of it there, and a market that nearly does."""

    check: Check
    story: str
    shows: Market
    near_miss: Market
    path: str
    weight: Weight = Weight.NOTE
    says: str = ""

    def __str__(self) -> str:
        return self.story


def is_found(case: Case) -> None:
    """Hold a case's market to show what it is for, in its place."""
    one = next(finding for finding in found(case.shows, case.check) if finding.places[0].path == case.path)
    assert (one.weight, case.says in one.wrong) == (case.weight, True), one.wrong
    assert one.change


def is_not_found(case: Case) -> None:
    """Hold the market that nearly shows it to be spared."""
    assert case.path not in [finding.places[0].path for finding in found(case.near_miss, case.check)]
