"""Watch the order in which a transaction takes its locks, and hold it against `docs/explanation/locks.md`.

What is watched are statements: what they lock for others to wait for. A lock that is only tried is not waited for, so
it has no place in the order. A table that was locked before in the transaction may be locked again.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType

from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import Params, QueryNoTemplate
from psycopg.pq.abc import PGconn
from sqlalchemy import Connection, Engine, TextClause, event

from enrollment.access.accounts import ACCESS
from enrollment.audit.log import SEQUENCER
from enrollment.rules.levels import RULES_LOCK

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "locks.md"
TESTS, SERVICE = Path(__file__).parents[1], Path(__file__).parents[2] / "enrollment"
LINE = re.compile(r"^\| (\d+) \| (.+?) \| (.*?) ?\| ", re.MULTILINE)
NAME = re.compile(r"`(\w+)`")
LOCKING = re.compile(r"\bFOR (UPDATE|NO KEY UPDATE|SHARE|KEY SHARE)\b(?: OF ([\w, ]+?))?(?= (?:SKIP|NOWAIT)|\)|\s*$)")
FROM = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)(?:\s+(?!JOIN|ON|WHERE|LEFT|ORDER|FOR)(\w+))?")
WRITING = re.compile(r"\b(?:(UPDATE|DELETE FROM|INSERT INTO)\s+(\w+))")
ADVISORY = re.compile(r"\bpg_advisory_xact_lock\(")
IN_A_LIST = re.compile(r"\bIN \(")

Row = tuple[object, ...]

ALONE = ("FOR UPDATE", "FOR NO KEY UPDATE", "UPDATE")
KEYS_STAY = frozenset({"cycle", "round"})
"""Tables that no foreign key may have to wait for."""

TO_SHARE = frozenset({"household", "child"})
"""Tables of which two transactions may insert the same row, and one waits for the other."""


@cache
def places() -> Mapping[str, int]:
    """Return the place of each lock, as the page has it."""
    lines = LINE.findall(PAGE.read_text(encoding="utf-8"))
    return {name: int(place) for place, locks, _ in lines for name in NAME.findall(locks)}


@cache
def heads() -> Mapping[str, str]:
    """Return under which lock each further table's rows change, as the page has it."""
    lines = LINE.findall(PAGE.read_text(encoding="utf-8"))
    return {name: NAME.findall(locks)[0] for _, locks, under in lines for name in NAME.findall(under)}


@dataclass(frozen=True, slots=True)
class Lock:
    """What a statement locks: a table's rows, or an advisory lock."""

    of: str
    how: str
    waits: bool
    sorts: bool = True


@cache
def locks_in(statement: str) -> tuple[Lock, ...]:
    """Return what a statement locks, in order; advisory locks are named by their number, which is a parameter."""
    return (*_selected(" ".join(statement.split())), *_written(" ".join(statement.split())))


def _selected(statement: str) -> Iterator[Lock]:
    found = LOCKING.search(statement)
    if found is None or not statement.lstrip("(").startswith("SELECT"):
        return
    how, of = found.groups()
    aliases = {alias or table: table for table, alias in FROM.findall(statement)}
    names = [name.strip() for name in of.split(",")] if of else list(aliases)[:1]
    waits = not re.search(r"\b(SKIP LOCKED|NOWAIT)\b", statement)
    sorts = not IN_A_LIST.search(statement) or "ORDER BY" in statement
    for name in names:
        yield Lock(aliases.get(name, name), f"FOR {how}", waits=waits, sorts=sorts)


def _written(statement: str) -> Iterator[Lock]:
    if not re.match(r"(UPDATE|DELETE|INSERT|WITH)\b", statement):
        return
    for verb, table in WRITING.findall(statement):
        if verb != "INSERT INTO" or table in TO_SHARE:
            yield Lock(table, verb, waits=True)


@dataclass(slots=True)
class Transaction:
    """What one transaction has locked so far."""

    held: dict[str, int] = field(default_factory=dict)
    """Places by name."""
    alone: bool = False
    """Whether it has the cycle alone."""
    skipping: set[str] = field(default_factory=set)
    """Tables of which it locked what was free."""


class Watch:
    """Watches the transactions of a service, and keeps what broke the order."""

    def __init__(self, *, counts: Callable[[], bool] = lambda: True) -> None:
        self.broken: list[str] = []
        self._counts = counts

    def note(self, transaction: Transaction, statement: str, parameters: object) -> None:
        """Note a statement of a transaction."""
        for lock in locks_in(statement):
            self._note(transaction, lock, statement)
        if ADVISORY.search(statement):
            self._note(transaction, Lock(_advisory(parameters), "UPDATE", waits=True), statement)

    def _note(self, transaction: Transaction, lock: Lock, statement: str) -> None:
        complaint = self._complaint(transaction, lock)
        if complaint and self._counts():
            self.broken.append(f"{complaint}: {' '.join(statement.split())[:200]}")
        if lock.waits and lock.of in places():
            transaction.held.setdefault(lock.of, places()[lock.of])
        elif not lock.waits:
            transaction.skipping.add(lock.of)
        if lock.of == "cycle" and lock.how in ALONE:
            transaction.alone = True

    def _complaint(self, transaction: Transaction, lock: Lock) -> str | None:
        if not lock.waits or lock.of in transaction.held:
            return None
        if lock.of in KEYS_STAY and lock.how == "FOR UPDATE":
            return f"{lock.of} is locked FOR UPDATE, so foreign keys wait for it"
        if not lock.sorts:
            return f"{lock.of} is locked in any order"
        place = places().get(lock.of)
        if place is not None:
            later = [name for name, its in transaction.held.items() if its > place]
            return f"{lock.of} is locked after {', '.join(later)}" if later else None
        head = heads().get(lock.of)
        covered = {head, *_beside(head)} & transaction.held.keys() or lock.of in transaction.skipping
        return None if head is None or transaction.alone or covered else f"{lock.of} is changed without {head}"


def _beside(head: str | None) -> Sequence[str]:
    """Return what else covers the rows under a lock: rules of a cycle are changed one after another."""
    return ("RULES_LOCK",) if head == "offering" else ()


def _advisory(parameters: object) -> str:
    known: Mapping[object, str] = {ACCESS: "ACCESS", SEQUENCER: "SEQUENCER", RULES_LOCK: "RULES_LOCK"}
    values = parameters.values() if isinstance(parameters, Mapping) else ()
    return next((known[value] for value in values if value in known), "another advisory lock")


def by_the_service() -> bool:
    """Say whether the code that runs now is the service's: tests put rows into tables as they like."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the stack is what is asked about
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(SERVICE) and path.name != "database.py":
            return True
        if path.is_relative_to(TESTS) and path != Path(__file__):
            return False
        frame = frame.f_back
    return True


def watch_engine(engine: Engine, watch: Watch) -> None:
    """Watch what an engine's connections say, each from the beginning of a transaction to its end.

    Statements that are written as text are tests' own; none of the service's that lock are.
    """

    def said(
        connection: Connection, _: object, statement: str, parameters: object, context: object, __: object
    ) -> None:
        compiled = getattr(context, "compiled", None)
        if compiled is not None and not isinstance(compiled.statement, TextClause):
            watch.note(connection.info.setdefault("locks", Transaction()), statement, parameters)

    def ended(connection: Connection) -> None:
        if not connection.invalidated:
            connection.info["locks"] = Transaction()

    event.listen(engine, "before_cursor_execute", said)
    for end in ("begin", "commit", "rollback"):
        event.listen(engine, end, ended)


def watched_connection(watch: Watch) -> type[AsyncConnection[Row]]:
    """Return the class of connections of the path that most requests take, watched likewise."""

    class Watched(AsyncConnection[Row]):
        """Tells the watch what it says."""

        def __init__(self, pgconn: PGconn) -> None:
            super().__init__(pgconn)
            self.locks = Transaction()

        async def execute(  # type: ignore[override]  # the service has no templates
            self,
            query: QueryNoTemplate,
            params: Params | None = None,
            *,
            prepare: bool | None = None,
            binary: bool = False,
        ) -> AsyncCursor[Row]:
            watch.note(self.locks, str(query), params)
            return await super().execute(query, params, prepare=prepare, binary=binary)

        async def commit(self) -> None:
            self.locks = Transaction()
            await super().commit()

        async def rollback(self) -> None:
            self.locks = Transaction()
            await super().rollback()

    return Watched
