"""A round as the files that `lottery verify` takes: its market, its outcome, its draw."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.rounds.freeze import frozen_lines
from enrollment.rounds.models import FrozenRow, Round
from lottery.market.canonical import Json, canonical_line

MARKET, OUTCOME, DRAW = "market.json", "outcome.json", "draw.json"


def market_file(session: Session, round_: Round) -> Iterator[bytes]:
    """Yield a frozen market as one JSON document: its canonical lines, put together."""
    yield (round_.head or "").removesuffix("}").encode() + b',"applicants":[\n'
    for place, line in enumerate(frozen_lines(session, round_)):
        yield b",\n" * (place > 0) + line.encode()
    yield b"\n]}\n"


def outcome_file(round_: Round) -> bytes:
    """Return the outcome's bytes as they were when the round was matched."""
    return zlib.decompress(round_.outcome or b"")


def draw_file(session: Session, round_: Round) -> bytes:
    """Return what the numbers were drawn from: the freeze, the dice, the seed; and the seeds of earlier rounds."""
    told: dict[str, Json] = {
        "round": round_.id,
        "freeze": (round_.freeze_leaf or b"").hex(),
        "dice": round_.dice,
        "seed": (round_.seed or b"").hex(),
        "seeds": {name: seed.hex() for name, seed in seeds_before(session, round_).items()},
    }
    return canonical_line(told).encode() + b"\n"


def seeds_before(session: Session, round_: Round) -> Mapping[str, bytes]:
    """Return the seeds of the earlier rounds in which a round's applicants were drawn."""
    drawn_in = select(FrozenRow.drawn_in).where(FrozenRow.round_id == round_.id).distinct()
    rows = session.execute(
        select(Round.id, Round.seed).where(Round.id.in_(drawn_in), Round.id != round_.id).order_by(Round.id)
    )
    return {name: seed for name, seed in rows if seed is not None}


def sha256_of(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of a file that comes in parts, in hex."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()


def manifest(session: Session, round_: Round, outcome: bytes) -> dict[str, Json]:
    """Return the SHA-256 of each of a round's files."""
    return {
        MARKET: sha256_of(market_file(session, round_)),
        OUTCOME: sha256_of([outcome]),
        DRAW: sha256_of([draw_file(session, round_)]),
    }
