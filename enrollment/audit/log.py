"""Write entries, put them in order, read the log.

An entry is pending from its act's commit until the sequencer gives it an index. Everything here is append-only.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import rfc8785
from sqlalchemy import Row, Select, func, insert, select
from sqlalchemy.orm import Session

from enrollment.audit.models import LogEntry, LogLeaf, LogNode
from enrollment.database import copy_rows
from lottery.market.canonical import Json
from lottery.transparency_log.merkle import fold, leaf_hash, node_hash, peaks

VERSION = 1

SEQUENCER = 0x656E726F6C6C
"""The advisory lock that makes the sequencer one: `enroll` in hex."""

RECENT = timedelta(minutes=2)
"""How far back an ordinary pass looks; a whole pass looks at every entry."""

MAX_A_PASS = 50_000


@dataclass(frozen=True, slots=True)
class TreeHead:
    """How many entries the log has, and its RFC 6962 root."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Sequenced:
    """One entry in its place."""

    index: int
    body: str
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is written: canonical JSON, and its leaf hash."""

    body: str
    leaf_hash: bytes


def entry_of(
    type_: str, *, cycle: str | None, actor: str, fields: Mapping[str, Json], reason: str | None = None
) -> Entry:
    """Return an entry of a type, which nobody has written yet."""
    told: dict[str, Json] = {"v": VERSION, "type": type_, "actor": actor, **fields}
    if cycle is not None:
        told["cycle"] = cycle
    if reason is not None:
        told["reason"] = reason
    body = rfc8785.dumps(_plain(told))
    return Entry(body.decode(), leaf_hash(body))


def append(
    session: Session,
    type_: str,
    *,
    cycle: str | None,
    actor: str,
    fields: Mapping[str, Json],
    reason: str | None = None,
) -> bytes:
    """Write an entry in the act's transaction, and return its leaf hash (RFC 6962, section 2.1).

    Args:
        session: the transaction of the act that the entry tells of.
        type_: one of the types of entries, such as `ranking.put`.
        cycle: the cycle's id.
        actor: who acted: `partner:ID`, `staff:ROLE`, `family`, `service`.
        fields: what the type asks for besides; no child's name, no floats.
        reason: why, where the type asks for it; the database refuses an empty one.
    """
    entry = entry_of(type_, cycle=cycle, actor=actor, fields=fields, reason=reason)
    session.execute(
        insert(LogEntry).values(
            type=type_, cycle_id=cycle, actor=actor, reason=reason, body=entry.body, leaf_hash=entry.leaf_hash
        )
    )
    return entry.leaf_hash


def append_all(
    session: Session, type_: str, *, cycle: str, actor: str, told: Iterable[Mapping[str, Json]]
) -> list[bytes]:
    """Write many entries of one type in the act's transaction, in order, and return their leaf hashes."""
    entries = [entry_of(type_, cycle=cycle, actor=actor, fields=fields) for fields in told]
    copy_rows(
        session,
        LogEntry,
        ["type", "cycle_id", "actor", "body", "leaf_hash"],
        [(type_, cycle, actor, entry.body, entry.leaf_hash) for entry in entries],
    )
    return [entry.leaf_hash for entry in entries]


def sequence_recent(session: Session) -> int:
    """Give pending entries of the last minutes their places; return how many were given one."""
    return _sequence(session, _pending().where(LogEntry.written_at > func.clock_timestamp() - RECENT))


def sequence_all(session: Session) -> int:
    """Give every pending entry its place, however late it was committed; return how many were given one."""
    return _sequence(session, _pending())


def tree_head(session: Session) -> TreeHead:
    """Return the log's size and root. The root of an empty log is the hash of nothing."""
    size = _size(session)
    if size == 0:
        return TreeHead(0, hashlib.sha256().digest())
    return TreeHead(size, fold(list(_peak_hashes(session, size).values())))


def read_entries(session: Session, *, start: int, end: int) -> list[Sequenced]:
    """Return the entries from index `start` up to and without `end`."""
    rows = session.execute(
        select(LogLeaf.index, LogEntry.body, LogEntry.leaf_hash)
        .join(LogEntry, LogEntry.id == LogLeaf.entry_id)
        .where(LogLeaf.index >= start, LogLeaf.index < end)
        .order_by(LogLeaf.index)
    )
    return [Sequenced(index, body, leaf) for index, body, leaf in rows]


def _pending() -> Select[int, bytes]:
    """Select what has no place yet, by anti-join: an entry committed late has a low id and is found all the same."""
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
    """Yield the subtrees that leaf number `index` completes, smallest first: one for each low bit of it that is 1."""
    level, place, digest = 0, index, leaf
    yield level, place, digest
    while place % 2:
        digest = node_hash(edge[level, place - 1], digest)
        level, place = level + 1, place // 2
        yield level, place, digest


def _size(session: Session) -> int:
    return session.execute(select(func.coalesce(func.max(LogLeaf.index) + 1, 0))).scalar_one()


def _peak_hashes(session: Session, size: int) -> dict[tuple[int, int], bytes]:
    """Return the hashes of the complete subtrees that make up the tree, leftmost first."""
    wanted = peaks(size)
    if not wanted:
        return {}
    found = {
        (level, index): digest
        for level, index, digest in session.execute(
            select(LogNode.level, LogNode.index, LogNode.hash).where(
                func.row(LogNode.level, LogNode.index).in_([func.row(level, index) for level, index in wanted])
            )
        )
    }
    return {place: found[place] for place in wanted}


def _plain(value: Json) -> Json:
    """Return the value in the plain lists and dicts that `rfc8785` takes."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value
