"""Parse the applicants of a file into typed rows with msgspec, and notice anything unusual in the file."""

from collections.abc import Iterator, Sequence
from operator import getitem
from pathlib import Path
from types import GenericAlias
from typing import Literal, NamedTuple, TypeAlias, cast

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from lottery.market.canonical import Json
from lottery.market.files import APPLICANTS, HEAD, MAX_LINE_BYTES, parts_of
from lottery.market.json_reader import decode
from lottery.market.rules import OPEN, Program

Facts: TypeAlias = tuple[str, ...]

NULL, FALSE, NO_FACTS, NO_SCHOOLS, DEFAULT_GROUP = map(Raw, ("null", "false", "[]", "{}", f'"{OPEN}"'))
"""Defaults of keys that a file leaves out. They encode like the default, and differ from a default in the file."""

APPLICANTS_PER_BLOCK = 1 << 11
BYTES_PER_BLOCK = 1 << 19
"""The size of a block, small enough for a processor's cache."""


class Unusual(ValueError):
    """Something in the file is unusual, and only the strict reader can accept or refuse it."""


def require(truth: bool) -> None:  # noqa: FBT001
    """Require a condition.

    Raises:
        Unusual: if the condition is false.
    """
    if not truth:
        raise Unusual


class HeldSeatInFile(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A held seat in a file."""

    group: str = cast("str", DEFAULT_GROUP)
    program: str


class Row(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """An applicant in a file, with the fields in the order of canonical lines."""

    at: dict[str, Facts] = cast("dict[str, Facts]", NO_SCHOOLS)
    attends: str | None = cast("None", NULL)
    drawn_in: str
    flags: Facts = cast("Facts", NO_FACTS)
    grade: str
    holds: HeldSeatInFile | None = cast("None", NULL)
    household: str | None = cast("None", NULL)
    id: str
    late: bool = cast("bool", FALSE)
    ranking: list[str]
    together: bool = cast("bool", FALSE)
    zones: Facts = cast("Facts", NO_FACTS)


class _Document(Struct, gc=False, forbid_unknown_fields=True):
    """A market in one document, before its parts are parsed."""

    format: Raw
    round: Raw
    programs: Raw
    applicants: list[Raw]
    policy: Raw | UnsetType = UNSET


class MarketText(NamedTuple):
    """A market's parsed head, and the bytes of its applicants with their number of quotation marks."""

    head: Json
    applicants: bytes | Sequence[Raw]
    quotes: int


def market_text(path: Path) -> MarketText:
    """Read the text of a market from a JSON file, a folder or a zip.

    Raises:
        ValueError: if the head is not JSON, or the text is unusual.
    """
    with parts_of(path) as open_part:
        if open_part is None:
            return _one_document(path.read_bytes())
        with open_part(HEAD) as stream:
            head = decode(stream.read())
        with open_part(APPLICANTS) as stream:
            applicants = stream.read()
    return MarketText(head, applicants, count_quotes(applicants))


def _one_document(raw: bytes) -> MarketText:
    document = msgspec.json.decode(raw, type=_Document)
    head = {"format": document.format, "round": document.round, "programs": document.programs}
    if document.policy is not UNSET:
        head["policy"] = document.policy
    elsewhere = sum(2 + count_quotes(part) for part in head.values()) + len('""')  # of the keys, `applicants` included
    quotes = count_quotes(raw) - elsewhere
    return MarketText({key: decode(bytes(part)) for key, part in head.items()}, document.applicants, quotes)


def count_quotes(text: bytes) -> int:
    """Count the quotation marks around texts.

    Raises:
        Unusual: if a text may contain a quotation mark.
    """
    require(b"\\" not in bytes(text) or b'\\"' not in bytes(text))
    array = np.frombuffer(text, np.uint8)
    pieces = (array[first : first + BYTES_PER_BLOCK] for first in range(0, array.size, BYTES_PER_BLOCK))
    return sum(int(np.count_nonzero(piece == ord('"'))) for piece in pieces)


def pieces(applicants: bytes | Sequence[Raw]) -> Iterator[bytes]:
    """Yield blocks of applicants, one applicant on each line."""
    if not isinstance(applicants, bytes):
        for first in range(0, len(applicants), APPLICANTS_PER_BLOCK):
            yield b"\n".join(applicants[first : first + APPLICANTS_PER_BLOCK])
        return
    start = 0
    while start < len(applicants):
        end = applicants.find(b"\n", start + BYTES_PER_BLOCK) + 1 or len(applicants)
        yield applicants[start:end]
        start = end


def row_type(programs: Sequence[Program], this_round: Raw) -> type[Row]:
    """Return the type of this market's rows. Its rankings accept only ids of the programs, and share their texts."""
    ids = tuple(program.id for program in programs)
    require(bool(ids))
    fields = (("drawn_in", str, this_round), ("ranking", GenericAlias(list, (getitem(Literal, ids),))))
    row = msgspec.defstruct("RowOfRound", fields, bases=(Row,), kw_only=True, gc=False, forbid_unknown_fields=True)
    return cast("type[Row]", row)


def require_one_per_line(text: bytes, rows: int) -> None:
    """Require one object on each line, because msgspec reads objects and ignores lines.

    Raises:
        Unusual: if a line is empty or too long, or does not have exactly one object.
    """
    end = b"\r\n" if b"\r\n" in text else b"\n"
    between_objects = b"}" + end + b"{"
    between = text.count(between_objects)  # these bytes cannot be inside an object or a text
    breaks = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
    require(between == rows - 1)
    require(between == breaks.size - text.endswith(b"}" + end))
    require(int(np.diff(breaks, prepend=-1, append=len(text) - 1).max()) <= MAX_LINE_BYTES)
