"""The worked cases, and markets small enough to follow by hand."""

import json
from pathlib import Path
from typing import cast

import lottery
from lottery.market.canonical import Json
from lottery.market.model import Market
from lottery.market.outcome import Outcome

CASES = Path(__file__).parent / "cases"
ALL_CASES = sorted(path.stem for path in CASES.glob("*.json"))

Document = dict[str, Json]


def case(name: str) -> Document:
    """Return a worked case as it stands in its file."""
    return cast("Document", json.loads((CASES / f"{name}.json").read_text(encoding="utf-8")))


def market_of(name: str) -> Document:
    """Return a worked case's market."""
    return cast("Document", case(name)["market"])


def seeds_of(name: str) -> tuple[bytes, dict[str, bytes]]:
    """Return a worked case's seed, 32 zero bytes if it needs none, and those of earlier rounds."""
    worked = case(name)
    earlier = cast("dict[str, str]", worked.get("seeds", {}))
    seed = cast("str", worked.get("seed", "00" * 32))
    return bytes.fromhex(seed), {round_id: bytes.fromhex(its_seed) for round_id, its_seed in earlier.items()}


def matched(name: str) -> tuple[Market, Outcome, dict[str, bytes]]:
    """Return a worked case's market with its outcome, and the seeds of earlier rounds."""
    market = lottery.read_market(market_of(name))
    seed, earlier = seeds_of(name)
    return market, lottery.match_market(market, seed=seed, seeds=earlier), earlier
