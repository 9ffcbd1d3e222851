"""The command `check-seed`: does a seed follow from the freeze and the dice? (docs/reference/log-and-proofs.md).

It reads what GET gave and asks nobody else.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from lottery.cli.match_commands import DONE, REFUSED
from lottery.market.canonical import Json
from lottery.market.files import read_bytes
from lottery.market.json_reader import Fault, NotJson, UnusableInput, decode
from lottery.transparency_log.commitments import UnusableDice, dice_digits, seed_of
from lottery.transparency_log.merkle import leaf_hash

HASH_DIGITS = 64

Document = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class DrawnRound:
    """What a round says about its seed."""

    id: str
    freeze: str
    dice: str | None
    seed: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the log, with the leaf hash that its text has."""

    index: int
    body: Document
    leaf: str


def run_check_seed(options: argparse.Namespace) -> int:
    """Compute the seed again, look the freeze and the dice up in the log, and print what holds."""
    round_ = _read_round(options.round)
    found = _checks(round_, _read_entries(options.entries) if options.entries else None)
    for holds, text in found:
        print(f"{'yes' if holds else 'NO '}  {text}")
    if all(holds for holds, _ in found):
        print(f"The seed of {round_.id} is right.")
        return DONE
    print(f"The seed of {round_.id} failed a check. Do not trust lottery numbers made from this seed.")
    return REFUSED


def _checks(round_: DrawnRound, entries: Sequence[LogEntry] | None) -> list[tuple[bool, str]]:
    seed = seed_of(freeze_leaf=bytes.fromhex(round_.freeze), dice=round_.dice)
    found = [(seed.hex() == round_.seed, "the seed follows from the freeze and the dice")]
    if entries is None:
        return found
    freezes = [entry for entry in entries if _is(entry, "round.freeze", round_)]
    freeze = next((entry for entry in freezes if entry.leaf == round_.freeze), None)
    draws = [entry for entry in entries if _is(entry, "round.draw", round_)]
    draws = [entry for entry in draws if entry.body.get("freeze") == round_.freeze]
    found.append((freeze is not None, "the log has the freeze of this round"))
    found.append(([draw.body.get("dice") for draw in draws] == [round_.dice], "the log has these dice for this freeze"))
    if freeze is not None:
        found.append((all(freeze.index < draw.index for draw in draws), "the freeze came before the dice"))
        found.append(
            (
                _needs_dice(freeze) == (round_.dice is not None),
                "the round has dice exactly when the freeze asks for dice",
            )
        )
    return found


def _is(entry: LogEntry, type_: str, round_: DrawnRound) -> bool:
    return entry.body.get("type") == type_ and entry.body.get("round") == round_.id


def _needs_dice(freeze: LogEntry) -> bool:
    randomness = freeze.body.get("randomness")
    return isinstance(randomness, Mapping) and randomness.get("dice") is True


def _read_round(path: str) -> DrawnRound:
    """Read what GET /v1/rounds/ROUND gives, or the draw file.

    Raises:
        UnusableInput: with the first fault.
    """
    document = _read_object(path)
    name = document.get("id", document.get("round"))
    if not isinstance(name, str):
        _refuse(path, "$.id", "is missing", "use the file from GET /v1/rounds/ROUND or GET /v1/rounds/ROUND/draw")
    return DrawnRound(name, _hash(document, "freeze", path), _dice(document, path), _hash(document, "seed", path))


def _dice(document: Document, path: str) -> str | None:
    dice = document.get("dice")
    if dice is None:
        return None
    if not isinstance(dice, str):
        _refuse(path, "$.dice", "is not text", "give the digits as text, as the service does")
    try:
        return dice_digits(dice)
    except UnusableDice as refusal:
        _refuse(path, "$.dice", *str(refusal).split("; ", 1))


def _read_entries(paths: Sequence[str]) -> list[LogEntry]:
    """Read what GET /v1/log/entries gives, page by page.

    Raises:
        UnusableInput: with the first fault.
    """
    return [entry for path in paths for entry in _read_page(path)]


def _read_page(path: str) -> list[LogEntry]:
    entries = _read_object(path).get("entries")
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        _refuse(path, "$.entries", "is not a list", "use the file from GET /v1/log/entries")
    return [_entry(entry, path, f"$.entries[{place}]") for place, entry in enumerate(entries)]


def _entry(entry: Json, path: str, place: str) -> LogEntry:
    index = entry.get("index") if isinstance(entry, Mapping) else None
    text = entry.get("entry") if isinstance(entry, Mapping) else None
    if not isinstance(index, int) or not isinstance(text, str):
        _refuse(path, place, "is not an entry of the log", "use the file from GET /v1/log/entries")
    raw = text.encode()
    return LogEntry(index, _object(raw, path, place), leaf_hash(raw).hex())


def _read_object(path: str) -> Document:
    return _object(read_bytes(path), path, "$")


def _object(raw: bytes, path: str, place: str) -> Document:
    try:
        document = decode(raw)
    except NotJson as refusal:
        _refuse(path, place, *str(refusal).split("; ", 1))
    if not isinstance(document, Mapping):
        _refuse(path, place, "is not an object", "use the file as GET returned it")
    return document


def _hash(document: Document, key: str, path: str) -> str:
    value = document.get(key)
    digits = value if isinstance(value, str) else ""
    if len(digits) != HASH_DIGITS or not set(digits) <= set("0123456789abcdef"):
        _refuse(path, f"$.{key}", f"does not have {HASH_DIGITS} hex digits", "use the file of a round that is drawn")
    return digits


def _refuse(file: str, path: str, problem: str, remedy: str) -> NoReturn:
    raise UnusableInput([Fault(file, path, problem, remedy)])
