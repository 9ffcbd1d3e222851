"""Write, order and read the log.

An entry is pending from its commit until the sequencer gives it an index. All tables are append-only.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import rfc8785
from sqlalchemy import Row, Select, func, insert, select
from sqlalchemy.orm import Session

from enrollment.audit.models import LogEntry, LogLeaf, LogNode
from enrollment.database import clock, copy_rows
from lottery.market.canonical import Json
from lottery.transparency_log.merkle import fold, leaf_hash, node_hash, peaks

VERSION = 1

SEQUENCER = 0x656E726F6C6C
"""The advisory lock of the sequencer: `enroll` in hex."""

RECENT = timedelta(minutes=2)
"""The age of entries in an ordinary pass. A full pass looks at every entry."""

MAX_A_PASS = 50_000


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The size of the log and its RFC 6962 root."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Sequenced:
    """An entry with its index."""

    index: int
    body: str
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as canonical JSON, with its leaf hash."""

    body: str
    leaf_hash: bytes


def entry_of(
    type_: str, *, cycle: str | None, actor: str, at: datetime, fields: Mapping[str, Json], reason: str | None = None
) -> Entry:
    """Return an entry without writing it. `at` is the database's time in the transaction that writes the entry."""
    entry: dict[str, Json] = {"v": VERSION, "type": type_, "actor": actor, "at": _to_the_second(at), **fields}
    if cycle is not None:
        entry["cycle"] = cycle
    if reason is not None:
        entry["reason"] = reason
    body = rfc8785.dumps(_plain(entry))
    return Entry(body.decode(), leaf_hash(body))


def _to_the_second(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def append(
    session: Session,
    type_: str,
    *,
    cycle: str | None,
    actor: str,
    fields: Mapping[str, Json],
    reason: str | None = None,
    at: datetime | None = None,
) -> bytes:
    """Write an entry in the verb's transaction, and return its leaf hash (RFC 6962, section 2.1).

    Args:
        session: the transaction of the verb.
        type_: the entry type, such as `ranking.put`.
        cycle: the cycle's id.
        actor: the actor: `partner:ID`, `staff:ROLE`, `family`, `service`.
        fields: the other fields of the type; no child's name, no floats.
        reason: the reason, if the type needs one. The database refuses an empty reason.
        at: the database's time, if the verb has read it in this transaction. Otherwise it is read here.
    """
    entry = entry_of(type_, cycle=cycle, actor=actor, at=at or clock(session), fields=fields, reason=reason)
    session.execute(
        insert(LogEntry).values(
            type=type_, cycle_id=cycle, actor=actor, reason=reason, body=entry.body, leaf_hash=entry.leaf_hash
        )
    )
    return entry.leaf_hash


def append_many(
    session: Session, type_: str, entries: Sequence[Entry], *, cycle: str | None, actor: str, reason: str | None
) -> None:
    """Write many entries of one type, actor and reason, made with `entry_of`, in the verb's transaction."""
    columns = ["type", "cycle_id", "actor", "reason", "body", "leaf_hash"]
    rows = [(type_, cycle, actor, reason, entry.body, entry.leaf_hash) for entry in entries]
    copy_rows(session, LogEntry, columns, rows)


def sequence_recent(session: Session) -> int:
    """Give indexes to recent pending entries. Return their number."""
    return _sequence(session, _pending().where(LogEntry.written_at > func.clock_timestamp() - RECENT))


def sequence_all(session: Session) -> int:
    """Give an index to every pending entry, however late it was committed. Return their number."""
    return _sequence(session, _pending())


def tree_head(session: Session) -> TreeHead:
    """Return the size and root of the log. The root of an empty log is the hash of no bytes."""
    size = _size(session)
    if size == 0:
        return TreeHead(0, hashlib.sha256().digest())
    return TreeHead(size, fold(list(_peak_hashes(session, size).values())))


def read_entries(session: Session, *, start: int, end: int) -> list[Sequenced]:
    """Return the entries from index `start` to before `end`."""
    rows = session.execute(
        select(LogLeaf.index, LogEntry.body, LogEntry.leaf_hash)
        .join(LogEntry, LogEntry.id == LogLeaf.entry_id)
        .where(LogLeaf.index >= start, LogLeaf.index < end)
        .order_by(LogLeaf.index)
    )
    return [Sequenced(index, body, leaf) for index, body, leaf in rows]


def _pending() -> Select[int, bytes]:
    """Select pending entries by anti-join, which also finds a late commit with a low id."""
    return (
        select(LogEntry.id, LogEntry.leaf_hash)
        .outerjoin(LogLeaf, LogLeaf.entry_id == LogEntry.id)
        .where(LogLeaf.entry_id.is_(None))
        .order_by(LogEntry.id)
        .limit(MAX_A_PASS)
    )


def _sequence(session: Session, pending: Select[int, bytes]) -> int:
    if not session.execute(pending.limit(1)).first():
        return 0
    session.execute(select(func.pg_advisory_xact_lock(SEQUENCER)))
    placed = 0
    while rows := session.execute(pending).all():
        _place(session, rows)
        placed += len(rows)
    return placed


def _place(session: Session, rows: Sequence[Row[int, bytes]]) -> None:
    size = _size(session)
    copy_rows(session, LogLeaf, ["index", "entry_id"], [(size + place, row.id) for place, row in enumerate(rows)])
    edge = _peak_hashes(session, size)
    nodes: list[tuple[int, int, bytes]] = []
    for index, row in enumerate(rows, start=size):
        for level, place, digest in _completed(edge, index, row.leaf_hash):
            edge[level, place] = digest
            nodes.append((level, place, digest))
    copy_rows(session, LogNode, ["level", "index", "hash"], nodes)


def _completed(edge: Mapping[tuple[int, int], bytes], index: int, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the subtrees that leaf `index` completes, smallest first: one for each trailing 1 bit of `index`."""
    level, place, digest = 0, index, leaf
    yield level, place, digest
    while place % 2:
        digest = node_hash(edge[level, place - 1], digest)
        level, place = level + 1, place // 2
        yield level, place, digest


def _size(session: Session) -> int:
    return session.execute(select(func.coalesce(func.max(LogLeaf.index) + 1, 0))).scalar_one()


def _peak_hashes(session: Session, size: int) -> dict[tuple[int, int], bytes]:
    """Return the hashes of the complete subtrees of the tree, leftmost first."""
    places = peaks(size)
    if not places:
        return {}
    found = {
        (level, index): digest
        for level, index, digest in session.execute(
            select(LogNode.level, LogNode.index, LogNode.hash).where(
                func.row(LogNode.level, LogNode.index).in_([func.row(level, index) for level, index in places])
            )
        )
    }
    return {place: found[place] for place in places}


def _plain(value: Json) -> Json:
    """Return the value as plain lists and dicts for `rfc8785`."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value
