"""Reading a market straight into columns: quick where a file is surely right, by the strict reader where it is not.

The quick way tells no faults and only finds out whether there could be any. It parses applicants with msgspec, checks
whole columns, and gives up at anything unusual; then `lottery.market.files.load_market` reads the file again, and
accepts or refuses it. So what is refused, and in which words, is said in one place.

msgspec keeps the last of a key that stands twice and says nothing. What it kept, written again as canonical lines, has
as many quotes as the file and the defaults together just if nothing was lost: every lost key had quotes.
"""

import hashlib
import re
import string
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence
from itertools import chain, compress, pairwise, repeat
from operator import getitem, is_
from pathlib import Path
from types import GenericAlias
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast
from unicodedata import is_normalized

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType
from numpy.typing import NDArray

from lottery.fast.columns import (
    NONE,
    Coded,
    Coding,
    Columns,
    FactSet,
    Int32s,
    Int64s,
    MarketInColumns,
    Truths,
    coded,
    in_columns,
    starts_of,
)
from lottery.market.canonical import Json
from lottery.market.files import APPLICANTS, HEAD, MAX_LINE_BYTES, load_market, parts_of
from lottery.market.json_reader import decode
from lottery.market.model import Market
from lottery.market.reader import MarketReader, read_market_in_parts
from lottery.market.rules import OPEN, Program
from lottery.progress import Track, untracked

Word = TypeVar("Word", bound=Hashable)
Field = TypeVar("Field")
Number = TypeVar("Number", np.int32, np.int64, np.bool_)
Facts: TypeAlias = tuple[str, ...]

NULL, FALSE, NO_FACTS, NOWHERE, OPEN_LEFT_OUT = map(Raw, ("null", "false", "[]", "{}", f'"{OPEN}"'))
"""Stand where a key was left out: encoded as the default is, and told from a default that stands in the file."""

QUOTE = b'"'

APPLICANTS_AT_ONCE = 1 << 11
BYTES_AT_ONCE = 1 << 19
CELLS_AT_ONCE = 1 << 20
"""What is handled in one go, so that it stays in a processor's cache."""

_ID_BYTES = (string.ascii_letters + string.digits + "._:-").encode()
_LONGEST_ID = 64
_ODD_CHARACTER = re.compile('[\x00-\x1f"\\\\\ud800-\udfff]')  # half a surrogate pair, or escaped in canonical lines


class _HeldRow(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A held seat in a file."""

    group: str = cast("str", OPEN_LEFT_OUT)
    program: str


class _Row(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """An applicant in a file; fields stand in the order of canonical lines. Facts are sorted in place."""

    at: dict[str, Facts] = cast("dict[str, Facts]", NOWHERE)
    attends: str | None = cast("None", NULL)
    drawn_in: str
    flags: Facts = cast("Facts", NO_FACTS)
    grade: str
    holds: _HeldRow | None = cast("None", NULL)
    household: str | None = cast("None", NULL)
    id: str
    late: bool = cast("bool", FALSE)
    ranking: list[str]
    together: bool = cast("bool", FALSE)
    zones: Facts = cast("Facts", NO_FACTS)


class _Document(Struct, gc=False, forbid_unknown_fields=True):
    """A market in one document, its parts unread."""

    format: Raw
    round: Raw
    programs: Raw
    applicants: list[Raw]
    policy: Raw | UnsetType = UNSET


class _Text(NamedTuple):
    """A market's text: its head is read, applicants, in lines or one by one, have that many quotes."""

    head: Json
    applicants: bytes | Sequence[Raw]
    quotes: int


class Unusual(ValueError):
    """There is something about a file of which only the strict reader can say whether it is right."""


def load_columns(path: str | Path, *, track: Track = untracked) -> MarketInColumns:
    """Read a market from a JSON file, a folder or a zip, as `lottery.market.files.load_market` does, into columns.

    Raises:
        UnusableInput: with every fault found, each with its file, its JSON path, what is wrong and what to do.
    """
    market = read_quickly(path, track=track)
    return in_columns(load_market(path, track=track)) if market is None else market


def read_quickly(path: str | Path, *, track: Track = untracked) -> MarketInColumns | None:
    """Read a market if it is surely right; None leaves it to the strict reader, which may well accept it."""
    try:
        text = _text_of(Path(path))
        head = read_market_in_parts(text.head, (), file="", reader=MarketReader())
        return _market(head, text, track)
    except (ValueError, RecursionError):  # a refusal of msgspec, of the strict reader or of this one
        return None


def _demand(truth: bool) -> None:  # noqa: FBT001
    if not truth:
        raise Unusual


# ---- from bytes to rows


def _text_of(path: Path) -> _Text:
    with parts_of(path) as open_part:
        if open_part is None:
            return _one_document(path.read_bytes())
        with open_part(HEAD) as stream:
            head = decode(stream.read())
        with open_part(APPLICANTS) as stream:
            applicants = stream.read()
    return _Text(head, applicants, _quotes(applicants))


def _one_document(raw: bytes) -> _Text:
    document = msgspec.json.decode(raw, type=_Document)
    head = {"format": document.format, "round": document.round, "programs": document.programs}
    if document.policy is not UNSET:
        head["policy"] = document.policy
    elsewhere = sum(2 + _quotes(part) for part in head.values()) + len('""')  # keys' own, that of applicants too
    quotes = _quotes(raw) - elsewhere
    return _Text({key: decode(bytes(part)) for key, part in head.items()}, document.applicants, quotes)


def _quotes(text: bytes) -> int:
    """Count the quotes around texts, if there are none inside of them."""
    _demand(b"\\" not in bytes(text) or b'\\"' not in bytes(text))
    array = np.frombuffer(text, np.uint8)
    pieces = (array[first : first + BYTES_AT_ONCE] for first in range(0, array.size, BYTES_AT_ONCE))
    return sum(int(np.count_nonzero(piece == ord('"'))) for piece in pieces)


def _pieces(applicants: bytes | Sequence[Raw]) -> Iterator[bytes]:
    """Give applicants some at a time, one a line."""
    if not isinstance(applicants, bytes):
        for first in range(0, len(applicants), APPLICANTS_AT_ONCE):
            yield b"\n".join(applicants[first : first + APPLICANTS_AT_ONCE])
        return
    start = 0
    while start < len(applicants):
        end = applicants.find(b"\n", start + BYTES_AT_ONCE) + 1 or len(applicants)
        yield applicants[start:end]
        start = end


def _row_type(programs: Sequence[Program], this_round: Raw) -> type[_Row]:
    """Make the type of this market's rows: in rankings are its programs' ids only, which are kept once each."""
    ids = tuple(program.id for program in programs)
    _demand(bool(ids))
    fields = (("drawn_in", str, this_round), ("ranking", GenericAlias(list, (getitem(Literal, ids),))))
    made = msgspec.defstruct("_RowOfRound", fields, bases=(_Row,), kw_only=True, gc=False, forbid_unknown_fields=True)
    return cast("type[_Row]", made)


def _demand_one_a_line(text: bytes, rows: int) -> None:
    """Refuse lines that are empty, too long, or without just one object: msgspec goes by objects, not by lines."""
    end = b"\r\n" if b"\r\n" in text else b"\n"
    between_objects = b"}" + end + b"{"
    between = text.count(between_objects)  # neither inside of an object nor of a text can this be
    breaks = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
    _demand(between == rows - 1)
    _demand(between == breaks.size - text.endswith(b"}" + end))
    _demand(int(np.diff(breaks, prepend=-1, append=len(text) - 1).max()) <= MAX_LINE_BYTES)


# ---- from rows to columns


def _market(head: Market, text: _Text, track: Track) -> MarketInColumns:
    programs = tuple(sorted(head.programs, key=lambda program: program.id))
    this_round = Raw(f'"{head.round.id}"')
    decoder = msgspec.json.Decoder(_row_type(programs, this_round))
    reading = _Reading(programs, head.round.id, this_round)
    for piece in track(_pieces(text.applicants), "reading", None):
        rows = decoder.decode_lines(piece)
        if isinstance(text.applicants, bytes):
            _demand_one_a_line(piece, len(rows))
        reading.read(rows)
    applicants = reading.columns()
    _demand_grades_in_order(head, applicants)
    order = _order(applicants.tickets)
    digest = reading.lines.digest(next(head.canonical_lines()), order, text.quotes + reading.quotes_of_defaults)
    return MarketInColumns(head.round, head.policy, programs, _in_order(applicants, order), digest)


def _order(tickets: Sequence[str]) -> Int64s:
    """Return the order of tickets by bytes, if no two are the same."""
    words = np.array(tickets, f"S{_LONGEST_ID}")
    order = words.argsort()
    words = words[order]
    _demand(bool((words[1:] != words[:-1]).all()))
    return order


def _demand_ids(words: Collection[str]) -> None:
    joined = "".join(words)
    _demand(joined.isascii() and not joined.encode().translate(None, _ID_BYTES))
    _demand(all(words) and max(map(len, words), default=0) <= _LONGEST_ID)


class _Growing(Generic[Word]):
    """A column that grows."""

    def __init__(self) -> None:
        self.coding = Coding[Word]()
        self._codes: list[Int32s] = []

    def add(self, words: Sequence[Word | None]) -> Int32s:
        """Take some more words, and return their numbers."""
        codes = self.coding.codes(words)
        self._codes.append(codes)
        return codes

    def column(self) -> Coded[Word]:
        """Return all there is."""
        return Coded(self.coding.words(), _joined(self._codes, np.int32))


class _Facts:
    """A column of facts, which grows."""

    def __init__(self) -> None:
        self._given = _Growing[Facts]()
        self._canonical: list[Facts] = []
        self._unsorted: list[bool] = []

    def add(self, facts: Sequence[Facts]) -> Iterator[tuple[int, Facts]]:
        """Take some more facts, and return the canonical form of those that are not in it, each with its index."""
        codes = self._given.add(facts)
        for given in self._given.coding.words(len(self._canonical)):
            _demand(len(set(given)) == len(given))
            _demand(not any(_ODD_CHARACTER.search(fact) or not is_normalized("NFC", fact) for fact in given))
            self._canonical.append(tuple(sorted(given)))
            self._unsorted.append(self._canonical[-1] != given)
        indices = np.flatnonzero(np.array(self._unsorted, np.bool_)[codes]).tolist()
        return ((index, self._canonical[codes[index]]) for index in indices)

    def column(self) -> Coded[FactSet]:
        """Return all there is, equal sets once."""
        given = self._given.column()
        same: Coded[FactSet] = coded(self._canonical)
        return Coded(same.words, same.codes[given.codes])


class _Lines:
    """Canonical lines of applicants, some to a text."""

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()
        self._texts: list[bytes] = []
        self._ends: list[Int64s] = []
        self._quotes = 0

    def add(self, rows: Sequence[_Row]) -> None:
        """Write some more."""
        text = self._encoder.encode_lines(rows)
        self._texts.append(text)
        self._ends.append(np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")))  # inside texts none is as it is
        self._quotes += _quotes(text)

    def digest(self, head: str, order: Int64s, quotes: int) -> str:
        """Return the digest of the canonical form, whose lines of applicants must have that many quotes."""
        _demand(self._quotes == quotes)
        digest = hashlib.sha256(head.encode())
        text = np.repeat(np.arange(len(self._texts)), [ends.size for ends in self._ends])
        starts = _joined([np.concatenate([[0], ends[:-1] + 1]) for ends in self._ends], np.int64)
        ends = _joined(self._ends, np.int64)
        for first in range(0, order.size, APPLICANTS_AT_ONCE):
            some = order[first : first + APPLICANTS_AT_ONCE]
            places = zip(text[some].tolist(), starts[some].tolist(), ends[some].tolist(), strict=True)
            digest.update(b"\n")
            digest.update(b"\n".join([self._texts[which][start:end] for which, start, end in places]))
        return f"sha256:{digest.hexdigest()}"


class _Reading:
    """Turns rows into columns, some at a time; counts the quotes of the defaults of keys that were left out."""

    def __init__(self, programs: Sequence[Program], round_id: str, this_round: Raw) -> None:
        self._programs = programs
        self._place = {program.id: index for index, program in enumerate(programs)}
        self._round_id = round_id
        self._this_round = this_round
        self._tickets: list[str] = []
        self._lengths: list[Int64s] = []
        self._ranking: list[Int32s] = []
        self._table = np.empty(CELLS_AT_ONCE + len(programs), np.int32)
        self._grade = _Growing[str]()
        self._grade_of_program = self._grade.coding.codes([program.grade for program in programs])
        self._zones, self._flags, self._at_facts = _Facts(), _Facts(), _Facts()
        self._at_applicant: list[int] = []
        self._at_school, self._attends, self._household, self._drawn_in = (_Growing[str]() for _ in range(4))
        self._together: list[Truths] = []
        self._late: list[Truths] = []
        self._holds = _Growing[tuple[str, str]]()
        self.lines = _Lines()
        self.quotes_of_defaults = 0

    def read(self, rows: Sequence[_Row]) -> None:
        """Take some more rows, whose facts are put into canonical form."""
        grades = self._grade.add([row.grade for row in rows])
        self._read_rankings([row.ranking for row in rows], grades)
        self._read_facts(rows)
        self._attends.add(self._fill([row.attends for row in rows], NULL, None))
        self._household.add(self._fill([row.household for row in rows], NULL, None))
        self._drawn_in.add(self._fill([row.drawn_in for row in rows], self._this_round, self._round_id))
        self._together.append(np.array(self._fill([row.together for row in rows], FALSE, default=False), np.bool_))
        self._late.append(np.array(self._fill([row.late for row in rows], FALSE, default=False), np.bool_))
        self._read_held_seats(self._fill([row.holds for row in rows], NULL, None))
        tickets = [row.id for row in rows]
        _demand_ids(tickets)
        self._tickets += tickets
        self.lines.add(rows)

    def columns(self) -> Columns:
        """Return all that was read, in the order in which it came."""
        lengths = _joined(self._lengths, np.int64)
        grade = self._grade.column()
        holds_program, holds_group = self._held_seats(grade)
        return Columns(
            tickets=self._tickets,
            ranking_start=starts_of(lengths),
            ranking=_joined(self._ranking, np.int32),
            grade=_of_ids(grade),
            zones=self._zones.column(),
            flags=self._flags.column(),
            at_applicant=np.array(self._at_applicant, np.int32),
            at_school=_of_ids(self._at_school.column()),
            at_facts=self._at_facts.column(),
            attends=_of_ids(self._attends.column()),
            household=_of_ids(self._household.column()),
            drawn_in=_of_ids(self._drawn_in.column()),
            together=_joined(self._together, np.bool_),
            late=_joined(self._late, np.bool_),
            holds_program=holds_program,
            holds_group=holds_group,
        )

    def _fill(self, words: list[Field], left_out: Raw, default: Field) -> list[Field]:
        """Put the default where a key was left out."""
        times = sum(map(is_, words, repeat(left_out)))
        self.quotes_of_defaults += times * (len('""') + bytes(left_out).count(QUOTE))
        if times == len(words):
            return [default] * times
        return [default if word is left_out else word for word in words] if times else words

    def _read_rankings(self, rankings: Sequence[Sequence[str]], grades: Int32s) -> None:
        lengths = np.fromiter(map(len, rankings), np.int64, len(rankings))
        places = map(self._place.__getitem__, chain.from_iterable(rankings))
        ranking = np.fromiter(places, np.int32, int(lengths.sum()))
        _demand(bool((self._grade_of_program[ranking] == np.repeat(grades, lengths)).all()))
        self._demand_no_repeats(lengths, ranking)
        self._lengths.append(lengths)
        self._ranking.append(ranking)

    def _demand_no_repeats(self, lengths: Int64s, ranking: Int32s) -> None:
        """Refuse rankings with repeats: in a table of applicants and programs, the later entry hides the earlier."""
        at_once = self._table.size // len(self._programs)
        owner = np.repeat(np.arange(lengths.size), lengths)
        cells = owner % at_once * len(self._programs) + ranking
        bounds = np.searchsorted(owner, np.arange(0, lengths.size + at_once, at_once))
        for start, end in pairwise(bounds.tolist()):
            entries = np.arange(end - start, dtype=np.int32)
            self._table[cells[start:end]] = entries
            _demand(bool((self._table[cells[start:end]] == entries).all()))

    def _read_facts(self, rows: Sequence[_Row]) -> None:
        for index, facts in self._zones.add(self._fill([row.zones for row in rows], NO_FACTS, ())):
            rows[index].zones = facts
        for index, facts in self._flags.add(self._fill([row.flags for row in rows], NO_FACTS, ())):
            rows[index].flags = facts
        column = self._fill([row.at for row in rows], NOWHERE, {})
        schools: list[str] = []
        given: list[Facts] = []
        places: list[int] = []
        for index in compress(range(len(column)), column):
            at = column[index]
            if len(at) > 1:
                at = rows[index].at = dict(sorted(at.items()))
            schools.extend(at)
            given.extend(at.values())
            places.extend([index] * len(at))
        _demand(all(given))
        for place, facts in self._at_facts.add(given):
            rows[places[place]].at[schools[place]] = facts
        self._at_school.add(schools)
        self._at_applicant.extend([len(self._tickets) + index for index in places])

    def _read_held_seats(self, held: Sequence[_HeldRow | None]) -> None:
        seats = [seat for seat in held if seat is not None]
        groups = iter(self._fill([seat.group for seat in seats], OPEN_LEFT_OUT, OPEN))
        self._holds.add([None if seat is None else (seat.program, next(groups)) for seat in held])

    def _held_seats(self, grade: Coded[str]) -> tuple[Int32s, Int32s]:
        """Return the columns of programs and groups, where there are seats for so many holders of that grade."""
        named = self._holds.column()
        holders = np.flatnonzero(named.codes != NONE)
        codes = named.codes[holders]
        times = np.bincount(codes, minlength=len(named.words)).tolist()
        places = [self._place_of_seats(*seat, held) for seat, held in zip(named.words, times, strict=True)]
        columns = np.full((2, named.codes.size), NONE, np.int32)
        columns[:, holders] = np.array(places, np.int32).reshape(-1, 2)[codes].T
        _demand(bool((self._grade_of_program[columns[0, holders]] == grade.codes[holders]).all()))
        return columns[0], columns[1]

    def _place_of_seats(self, program: str, group: str, holders: int) -> tuple[int, int]:
        """Return the place of a program, and of its group that has seats for so many holders."""
        place = self._place.get(program)
        if place is None:
            raise Unusual
        seats = self._programs[place].seats_as_written()
        _demand(holders <= seats.get(group, NONE))
        return place, self._programs[place].precedence.index(group)


def _joined(parts: Sequence[NDArray[Number]], kind: type[Number]) -> NDArray[Number]:
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _of_ids(column: Coded[str]) -> Coded[str]:
    _demand_ids(column.words)
    return column


def _demand_grades_in_order(head: Market, applicants: Columns) -> None:
    if head.siblings_matter() or applicants.together.any():
        times = Counter(head.policy.grade_order)
        in_use = {*applicants.grade.words, *(program.grade for program in head.programs)}
        _demand(all(times[grade] == 1 for grade in in_use))


def _in_order(columns: Columns, order: Int64s) -> Columns:
    """Put columns that are in the order of a file into another."""
    start, entries = _entries_in_order(columns.ranking_start, order)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    at_applicant = place[columns.at_applicant]
    at = at_applicant.argsort(kind="stable")
    return Columns(
        tickets=[columns.tickets[index] for index in order.tolist()],
        ranking_start=start,
        ranking=columns.ranking[entries],
        grade=_coded_in_order(columns.grade, order),
        zones=_coded_in_order(columns.zones, order),
        flags=_coded_in_order(columns.flags, order),
        at_applicant=at_applicant[at].astype(np.int32),
        at_school=_coded_in_order(columns.at_school, at),
        at_facts=_coded_in_order(columns.at_facts, at),
        attends=_coded_in_order(columns.attends, order),
        household=_coded_in_order(columns.household, order),
        drawn_in=_coded_in_order(columns.drawn_in, order),
        together=columns.together[order],
        late=columns.late[order],
        holds_program=columns.holds_program[order],
        holds_group=columns.holds_group[order],
    )


def _coded_in_order(column: Coded[Word], order: Int64s) -> Coded[Word]:
    return Coded(column.words, column.codes[order])


def _entries_in_order(start: Int64s, order: Int64s) -> tuple[Int64s, Int64s]:
    """Return where rankings start once they are in that order, and where each of their entries was before."""
    lengths = np.diff(start)[order]
    later = starts_of(lengths)
    return later, np.arange(later[-1]) + np.repeat(start[order] - later[:-1], lengths)
