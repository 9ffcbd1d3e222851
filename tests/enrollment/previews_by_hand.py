"""A city of three schools for the tests of previews: forty children, with zones, facts and rankings."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import httpx2
import pytest
from sqlalchemy import select, update

from databases import TEMPLATE, new_database
from enrollment.applicants.models import Applicant, Claim
from enrollment.database import transaction
from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CYCLE, apply, join
from rows import add_cycle, add_school
from rules_spoken import add_zone

PROGRAM = f"{CYCLE}/programs/lincoln-kg/rules"
CHILDREN = 48
SEATS = 20

Document: TypeAlias = dict[str, Any]  # type: ignore[explicit-any]  # of any depth


@dataclass(frozen=True, slots=True)
class Town:
    """Who acts in it."""

    service: Service
    ann: Caller
    otto: Caller
    lincoln: Caller
    adams: Caller
    dora: Caller
    portal: Caller

    def ask(self, body: Mapping[str, Json], path: str = PROGRAM, caller: Caller | None = None) -> httpx2.Response:
        """Ask for a preview, and have it run if it was accepted."""
        answer = (caller or self.lincoln).post(f"{path}/preview", dict(body))
        if answer.status_code == 202:
            self.service.run_job("preview", answer.json()["id"])
        return answer

    def preview(self, body: Mapping[str, Json], path: str = PROGRAM, caller: Caller | None = None) -> "Shown":
        """Return what a preview shows."""
        asked = self.ask(body, path, caller)
        assert asked.status_code == 202, asked.text
        answer = (caller or self.lincoln).get(asked.headers["Location"])
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "done", answer.text
        return Shown(answer.json()["result"])


@dataclass(frozen=True, slots=True)
class Shown:
    """A preview's result, for short tests."""

    result: Document

    def program(self, name: str = "lincoln-kg", *, order: str | None = None) -> Document:
        """Return a program's numbers in one outcome."""
        (outcome,) = (one for one in self.result["outcomes"] if one["order"] == order)
        (found,) = (one for one in outcome["programs"] if one["program"] == name)
        return cast("Document", found)

    def line(self, table: str, name: str | None, *, order: str | None = None) -> dict[str, int] | None:
        """Return a line of a program's table."""
        (found,) = (one["children"] for one in self.program(order=order)[table] if one["name"] == name)
        return cast("dict[str, int] | None", found)

    def why_hidden(self) -> list[tuple[str, str]]:
        """Return the programs without numbers, with the reason."""
        return [(one["program"], one["reason"]) for one in self.result["hidden"]]


NAMES = ("ann", "otto", "lincoln", "adams", "dora", "portal")
"""The callers of a town: administrator, auditor, two schools, the operator and a partner."""


def make_town(database: str, *, children: int = CHILDREN) -> dict[str, str]:
    """Make the town in a database, and return the callers' tokens.

    Every child ranks Lincoln first, then Adams or Hill in turn. Every other child lives near Lincoln.
    """
    with Service(database) as service:
        with transaction(service.sessions) as session:
            add_cycle(session)
            for name in ("lincoln", "adams", "hill"):
                add_school(session, name, grades=["KG"])
            session.flush()
            add_zone(session, "near", "lincoln", ["KG"])
            add_zone(session, "far", "adams", ["KG"])
        dora = service.operator_staff("district", "dora")
        for name in ("lincoln", "adams", "hill"):
            join(dora, name, SEATS)
        callers = [
            service.administrator("ann"),
            service.auditor("otto"),
            service.school_staff("lincoln"),
            service.school_staff("adams"),
            dora,
            service.partner(),
        ]
        for number in range(children):
            apply(callers[-1], reference(number), ["lincoln-kg", "adams-kg" if number % 2 else "hill-kg"])
        live_in(service, "near", range(0, children, 2))
        live_in(service, "far", range(1, children, 2))
        tokens = [caller.headers["Authorization"].removeprefix("Bearer ") for caller in callers]
    return dict(zip(NAMES, tokens, strict=True))


@contextmanager
def another_town(server: str, database: str, tokens: Mapping[str, str]) -> Iterator[Town]:
    """Open a copy of a town."""
    template = database.partition("?")[0].rpartition("/")[2]
    with new_database(server, template) as copy, Service(copy) as service:
        yield Town(service, *(service.with_token(tokens[name]) for name in NAMES))


def reference(number: int) -> str:
    """Return a child's reference."""
    return f"child-{number:02}"


def live_in(service: Service, zone: str, children: Iterable[int]) -> None:
    """Have children live in a zone."""
    chosen = [reference(number) for number in children]
    with transaction(service.sessions) as session:
        session.execute(update(Applicant).where(Applicant.reference.in_(chosen)).values(zones=[zone]))


def have(service: Service, fact: str, children: Iterable[int], school: str | None = None) -> None:
    """Give children an approved fact."""
    chosen = [reference(number) for number in children]
    with transaction(service.sessions) as session:
        for child in session.scalars(select(Applicant).where(Applicant.reference.in_(chosen))):
            session.add(
                Claim(
                    cycle_id=child.cycle_id,
                    applicant_id=child.id,
                    fact=fact,
                    school_id=school,
                    status="approved",
                    made_by="partner:city-portal",
                    decided_by="staff:administrator",
                    basis="imported",
                )
            )


@pytest.fixture(scope="session")
def made_town(server: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Return the database of the town, and its callers' tokens."""
    with new_database(server, TEMPLATE) as database:
        yield database, make_town(database)


@pytest.fixture
def town(server: str, made_town: tuple[str, Mapping[str, str]]) -> Iterator[Town]:
    """Return a copy of the town."""
    with another_town(server, *made_town) as opened:
        yield opened
