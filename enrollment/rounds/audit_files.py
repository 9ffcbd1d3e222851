"""The files of a round that `lottery verify` reads: market, outcome, and draw."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from sqlalchemy.orm import Session

from enrollment.rounds.frozen_market import frozen_lines
from enrollment.rounds.models import Round
from enrollment.rounds.seeds import seeds_before
from lottery.market.canonical import Json, canonical_line

MARKET, OUTCOME, DRAW = "market.json", "outcome.json", "draw.json"


def market_file(session: Session, round_: Round) -> Iterator[bytes]:
    """Yield a frozen market as one JSON document, made of its canonical lines."""
    yield (round_.head or "").removesuffix("}").encode() + b',"applicants":[\n'
    for place, line in enumerate(frozen_lines(session, round_)):
        yield b",\n" * (place > 0) + line.encode()
    yield b"\n]}\n"


def outcome_file(round_: Round) -> bytes:
    """Return the exact bytes of the outcome that was matched."""
    return zlib.decompress(round_.outcome or b"")


def draw_file(session: Session, round_: Round) -> bytes:
    """Return the sources of the lottery numbers: the freeze, the dice, the seed, and the seeds of earlier rounds."""
    document: dict[str, Json] = {
        "round": round_.id,
        "freeze": (round_.freeze_leaf or b"").hex(),
        "dice": round_.dice,
        "seed": (round_.seed or b"").hex(),
        "seeds": {name: seed.hex() for name, seed in seeds_before(session, round_).items()},
    }
    return canonical_line(document).encode() + b"\n"


def file_digest(parts: Iterable[bytes]) -> str:
    """Return the digest of a file in parts: `sha256:` and the SHA-256 of its bytes in hex.

    The round, the manifest in the log, and whoever hashes the download have this one value for a file.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return f"sha256:{digest.hexdigest()}"


def manifest(session: Session, round_: Round, outcome: bytes) -> dict[str, Json]:
    """Return the digest of each file of a round."""
    return {
        MARKET: file_digest(market_file(session, round_)),
        OUTCOME: file_digest([outcome]),
        DRAW: file_digest([draw_file(session, round_)]),
    }
