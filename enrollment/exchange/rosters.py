"""A roster: which children a school has on its roll, from a CSV file; packages of OneRoster are `roster_packages`.

A row's SIS id is digested as it is read, and the id itself goes no further: it is in no answer, no problem, no log.
Nothing of a file is quoted in a fault either: where columns have slipped, what stands there may be a name.
"""

import csv
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import BufferedIOBase, BytesIO
from typing import Final, Literal, NoReturn, TypeAlias

from enrollment.plain_text import SAYS as TEXT_FAULTS
from enrollment.plain_text import flaw_of
from enrollment.problems import Fault, Problem, sentence

Format: TypeAlias = Literal["csv", "oneroster-1.1", "oneroster-1.2"]

MAX_FAULTS: Final = 200
MAX_LINES: Final = 10_000_000
MAX_ENROLLED: Final = 2_000_000
LONGEST_LINE: Final = 1 << 20
LONGEST_ID: Final = 500

CSV_FILE: Final = "roster.csv"
"""What a CSV body is called in places: it has no name of its own."""

COLUMNS: Final = ("sis_id", "school", "grade")
SINCE: Final = "enrolled_on"
OTHER_DELIMITERS: Final = ";\t|"

CODES: Final = frozenset(["IT", "PR", "PK", "TK", "KG", *(f"{year:02}" for year in range(1, 14)), "PS", "UG", "Other"])
"""OneRoster's codes of grades. A city's own labels, such as PK3 and PK4, are taken besides."""


class UnusableRoster(Problem):
    """A roster that cannot be compared as it is."""

    status = 422
    title = sentence("The roster cannot be used")
    detail = sentence(
        "Correct every listed place, given as /file/line/field, and send the whole roster again; nothing was compared "
        "or stored. At most {most} places are listed."
    )


class Faults:
    """Gathers what is wrong with a roster, and refuses it when it has seen enough."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, place: Sequence[str | int], code: str, detail: str, **values: str | int) -> None:
        """Note a fault at a file, a line, a field, or as much of it as is known.

        Raises:
            UnusableRoster: if as many are found as are listed.
        """
        self.found.append(Fault("".join(f"/{part}" for part in place), code, detail, values))
        if len(self.found) >= MAX_FAULTS:
            self.refuse()

    def end(self, place: Sequence[str | int], code: str, detail: str, **values: str | int) -> NoReturn:
        """Refuse the roster for a fault after which there is no reading on, and for what was found before.

        Raises:
            UnusableRoster: always.
        """
        self.add(place, code, detail, **values)
        raise UnusableRoster(faults=self.found, most=MAX_FAULTS)

    def refuse(self) -> None:
        """Refuse the roster if anything is wrong with it.

        Raises:
            UnusableRoster: naming what is.
        """
        if self.found:
            raise UnusableRoster(faults=self.found, most=MAX_FAULTS)


@dataclass(frozen=True, slots=True)
class Known:
    """What a roster is read against."""

    schools: Mapping[str, str]
    """The directory's schools, each by its id and by its NCES id."""
    grades: Collection[str]
    """What the city calls its grades, in any cycle."""
    digest: Callable[[str], bytes]
    """Makes of a SIS id what children are found by."""
    today: date


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A child on a school's roll, as a row says."""

    file: str
    line: int
    child: bytes
    """The digest of its SIS id."""
    school: str
    grade: str
    since: date | None
    """The first day there; None: the row does not say."""


@dataclass(frozen=True, slots=True)
class Roster:
    """A roster that was read: each child once at each school."""

    format: Format
    enrolled: Sequence[Enrolled]
    left_out: Mapping[str, int]
    """Rows that put no child on a school's roll, counted by why."""


class Roll:
    """Puts rows on the roll one by one, and notes what is wrong with them."""

    def __init__(self, known: Known, faults: Faults) -> None:
        self.left_out = Counter[str]()
        self._known, self._faults = known, faults
        self._there: dict[tuple[bytes, str], Enrolled] = {}

    def grade_of(self, place: Sequence[str | int], grade: str) -> str | None:
        """Return a grade if it is one."""
        if grade in CODES or grade in self._known.grades:
            return grade
        detail = sentence("must be a grade as OneRoster or this city writes it: KG and not K, 01 and not 1")
        self._faults.add(place, "unknown-grade", detail)
        return None

    def child_of(self, place: Sequence[str | int], sis_id: str) -> bytes | None:
        """Return what a child is found by."""
        plain = unicodedata.normalize("NFC", sis_id.strip())
        flaw = flaw_of(plain)
        if flaw is not None and flaw.kind == "blank-text":
            self._faults.add(place, "no-sis-id", sentence("is empty; give the child's SIS id, or leave the row out"))
            return None
        if flaw is not None:
            self._faults.add(place, flaw.kind, TEXT_FAULTS[flaw.kind], number=flaw.place)
            return None
        if len(plain) > LONGEST_ID:
            detail = sentence("must be an id of at most {most} characters")
            self._faults.add(place, "not-an-id", detail, most=LONGEST_ID)
            return None
        return self._known.digest(plain)

    def day_of(self, place: Sequence[str | int], day: str) -> date | None:
        """Return a day, or None where none is given."""
        try:
            return date.fromisoformat(day.strip()) if day.strip() else None
        except ValueError:
            self._faults.add(place, "not-a-date", sentence("must be a date such as 2027-01-31, or empty"))
            return None

    def put(self, row: Enrolled) -> None:
        """Put a child on the roll, unless the same row was there before; two grades at one school are a fault."""
        former = self._there.setdefault((row.child, row.school), row)
        if former is row:
            if len(self._there) > MAX_ENROLLED:
                detail = sentence(
                    "is beyond the {most} children that are compared at once; send some schools at a time"
                )
                self._faults.end([row.file, row.line], "too-many-children", detail, most=MAX_ENROLLED)
            return
        if former.grade == row.grade:
            self.left_out["repeated"] += 1
            return
        detail = sentence("the same child is at the same school in another grade on line {line}; keep the right row")
        self._faults.add([row.file, row.line], "two-grades", detail, line=former.line)

    def roster(self, format_: Format) -> Roster:
        """Return the roster.

        Raises:
            UnusableRoster: if anything is wrong with it, or there is nobody on it.
        """
        if not self._there and not self._faults.found:
            detail = sentence("no child is on the roll of a school here; export the roster again and look into it")
            self._faults.add([], "nobody", detail)
        self._faults.refuse()
        return Roster(format_, tuple(self._there.values()), dict(self.left_out))


def read_csv_roster(raw: bytes, known: Known) -> Roster:
    """Return the roster of a CSV file with the columns `sis_id`, `school`, `grade`, and `enrolled_on` if wanted.

    The school is the directory's id or its NCES id. Columns may stand in any order, and further ones are not read.

    Raises:
        UnusableRoster: naming every fault with its line and column.
    """
    faults = Faults()
    roll = Roll(known, faults)
    rows = rows_of(CSV_FILE, BytesIO(raw), faults)
    header = _header(next(rows, (1, []))[1], faults)
    strangers: set[str] = set()
    for line, fields in rows:
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            refuse_length(CSV_FILE, line, found=len(fields), wanted=len(header), faults=faults)
            continue
        told = dict(zip(header, fields, strict=True))
        name = told["school"].strip()
        school = known.schools.get(name)
        if school is None and name not in strangers:
            strangers.add(name)
            detail = sentence(
                "names no school of the directory, here and wherever it stands again; write the school's id or its "
                "12-digit NCES id, or have an administrator add the school"
            )
            faults.add([CSV_FILE, line, "school"], "unknown-school", detail)
        child = roll.child_of([CSV_FILE, line, "sis_id"], told["sis_id"])
        grade = roll.grade_of([CSV_FILE, line, "grade"], told["grade"].strip())
        since = roll.day_of([CSV_FILE, line, SINCE], told.get(SINCE, ""))
        if school is not None and child is not None and grade is not None:
            roll.put(Enrolled(CSV_FILE, line, child, school, grade, since))
    return roll.roster("csv")


def _header(fields: Sequence[str], faults: Faults) -> list[str]:
    """Return the columns' names.

    Raises:
        UnusableRoster: if those that are needed are not there, once each.
    """
    header = [field.strip().lower() for field in fields]
    if len(header) == 1 and any(mark in header[0] for mark in OTHER_DELIMITERS):
        detail = sentence("the columns are not separated by commas; save the file as CSV with commas")
        faults.add([CSV_FILE, 1], "wrong-delimiter", detail)
    else:
        for column in COLUMNS:
            if column not in header:
                detail = sentence("the first line has no such column; it is the header: sis_id,school,grade")
                faults.add([CSV_FILE, 1, column], "missing-column", detail)
    for column in (*COLUMNS, SINCE):
        if header.count(column) > 1:
            faults.add([CSV_FILE, 1, column], "column-twice", sentence("stands there twice; keep the one that counts"))
    faults.refuse()
    return header


def refuse_length(file: str, line: int, *, found: int, wanted: int, faults: Faults) -> None:
    """Note that a row has other fields than the header."""
    detail = sentence(
        "has {found} fields where the header has {wanted}; put quotation marks around what has a comma in it"
    )
    faults.add([file, line], "wrong-length", detail, found=found, wanted=wanted)


def rows_of(file: str, stream: BufferedIOBase, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Yield a file's rows, each with the line that it begins on, but for empty lines; UTF-8, with a BOM or without.

    Raises:
        UnusableRoster: if there is no reading on.
    """
    reader = csv.reader(_lines(file, stream, faults), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            detail = sentence("cannot be read as CSV from here on: quotation marks or line ends are amiss")
            faults.end([file, line], "broken-row", detail)
        if fields:
            yield line, fields


def _lines(file: str, stream: BufferedIOBase, faults: Faults) -> Iterator[str]:
    number = 0
    while raw := stream.readline(LONGEST_LINE):
        number += 1
        if len(raw) == LONGEST_LINE:
            faults.end([file, number], "long-line", sentence("is longer than a line of a roster is; export it again"))
        if number > MAX_LINES:
            detail = sentence("is beyond the {most} lines that are read; send some schools at a time")
            faults.end([file, number], "too-many-lines", detail, most=MAX_LINES)
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            faults.end([file, number], "not-utf-8", sentence("is not UTF-8; save the file as CSV in UTF-8"))
