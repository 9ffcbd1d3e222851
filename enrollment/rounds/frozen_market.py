"""Store a frozen market as canonical lines, and read the market back from them."""

import hashlib
from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.audit.salts import new_salt
from enrollment.database import copy_rows
from enrollment.rounds.models import Exclusion, FrozenProgram, FrozenRow, Round
from enrollment.rounds.snapshot import Snapshot
from lottery.explain.report import Submitted
from lottery.market.canonical import canonical_line
from lottery.market.json_reader import decode
from lottery.market.model import Market, program_document
from lottery.market.reader import Entries, MarketReader, read_market_in_parts
from lottery.transparency_log.commitments import keyed
from lottery.transparency_log.merkle import leaf_hash, root

ROWS_AT_ONCE = 5_000


def store_market(session: Session, round_: Round, snapshot: Snapshot) -> None:
    """Store a snapshot's market, its rules and its exclusions, and set the round's digest and root."""
    _store_applicants(session, round_, snapshot)
    _store_programs(session, round_, snapshot)
    copy_rows(
        session, Exclusion, ["round_id", "tag", "reason"], [(round_.id, tag, why) for tag, why in snapshot.excluded]
    )


def _store_applicants(session: Session, round_: Round, snapshot: Snapshot) -> None:
    """Store each applicant's line with the salt of its leaf."""
    market = snapshot.market
    lines = market.canonical_lines()
    round_.head = next(lines)
    digest = hashlib.sha256(round_.head.encode())
    leaves: list[bytes] = []

    def rows() -> Iterator[Sequence[object]]:
        for applicant, line in zip(sorted(market.applicants, key=lambda one: one.id), lines, strict=True):
            salt = new_salt()
            digest.update(b"\n" + line.encode())
            leaves.append(row_leaf(salt, line))
            yield (
                round_.id, applicant.id, applicant.household, applicant.late, applicant.drawn_in, salt, line,
                snapshot.submitted.get(applicant.id),
            )  # fmt: skip

    columns = ["round_id", "tag", "household", "late", "drawn_in", "salt", "line", "submitted"]
    copy_rows(session, FrozenRow, columns, rows())
    round_.market_digest = f"sha256:{digest.hexdigest()}"
    round_.snapshot_root = root(leaves)


def _store_programs(session: Session, round_: Round, snapshot: Snapshot) -> None:
    documents = {program.id: canonical_line(program_document(program)) for program in snapshot.market.programs}
    copy_rows(
        session,
        FrozenProgram,
        ["round_id", "program_id", "rules_version", "document", "seats_said", "why_not"],
        [
            (round_.id, rules.program, rules.version, documents[rules.program], settled.target, settled.why_not)
            for rules in snapshot.rules
            for settled in [snapshot.settled[rules.program]]
        ],
    )


def count_exclusions(session: Session, round_: Round) -> dict[str, int]:
    """Count the children that a round's freeze left out, by reason."""
    rows = session.execute(
        select(Exclusion.reason, func.count())
        .where(Exclusion.round_id == round_.id)
        .group_by(Exclusion.reason)
        .order_by(Exclusion.reason)
    )
    return dict(rows.all())


def row_leaf(salt: bytes, line: str) -> bytes:
    """Return the hash of an applicant's leaf in the snapshot's tree: the hash of M(salt, "row", line)."""
    return leaf_hash(keyed(salt, "row", line.encode()))


def frozen_market(session: Session, round_: Round) -> Market:
    """Return a frozen round's market, read strictly from its stored lines.

    Raises:
        UnusableInput: if the lines are not a valid market.
    """
    return read_market_in_parts(
        decode((round_.head or "").encode()), _entries(session, round_), file=round_.id, reader=MarketReader()
    )


def read_back_whole(market: Market) -> Market:
    """Return a market as a match would read it after a freeze. A rehearsal fails here if the real round would fail.

    Raises:
        UnusableInput: if the market's lines are not a valid market.
    """
    head, *lines = market.canonical_lines()
    name = market.round.id
    entries = (((None, f"{name}:{number}"), decode(line.encode())) for number, line in enumerate(lines, start=1))
    return read_market_in_parts(decode(head.encode()), entries, file=name, reader=MarketReader())


def submitted_rankings(session: Session, round_: Round, tickets: Collection[str] | None = None) -> Submitted:
    """Return the rankings as submitted that have programs which are not in the market. None: of all children."""
    query = select(FrozenRow.tag, FrozenRow.submitted).where(
        FrozenRow.round_id == round_.id, FrozenRow.submitted.is_not(None)
    )
    if tickets is not None:
        query = query.where(FrozenRow.tag.in_(tickets))
    return {tag: submitted or () for tag, submitted in session.execute(query)}


def _entries(session: Session, round_: Round) -> Entries:
    for number, line in enumerate(frozen_lines(session, round_), start=1):
        yield (None, f"{round_.id}:{number}"), decode(line.encode())


def frozen_lines(session: Session, round_: Round) -> Iterator[str]:
    """Yield the canonical lines of a frozen round's applicants, in the order of their tickets."""
    query = select(FrozenRow.line).where(FrozenRow.round_id == round_.id).order_by(FrozenRow.tag.collate("C"))
    yield from session.scalars(query.execution_options(yield_per=ROWS_AT_ONCE))
