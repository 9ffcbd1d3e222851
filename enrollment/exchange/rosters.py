"""Read a roster: the children whom schools enroll, from a CSV file.

A row's SIS id is digested at once. No answer, problem or log has the id. A fault quotes nothing from a file, because
the text in a wrong column may be a name.
"""

import csv
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import BufferedIOBase, BytesIO
from typing import Final, Literal, NoReturn, TypeAlias

from enrollment.exchange.roster_days import DayNotUsed, day_from, why_impossible
from enrollment.plain_text import SAYS as TEXT_FAULTS
from enrollment.plain_text import flaw_of
from enrollment.problems import Fault, Problem, sentence

Format: TypeAlias = Literal["csv", "oneroster-1.1", "oneroster-1.2"]

MAX_FAULTS: Final = 200
MAX_LINES: Final = 10_000_000
MAX_ENROLLED: Final = 2_000_000
MAX_LINE_BYTES: Final = 1 << 20
MAX_ID_LENGTH: Final = 500

CSV_FILE: Final = "roster.csv"
"""The name of a CSV body in the places of faults. The body itself has no file name."""

COLUMNS: Final = ("sis_id", "school", "grade")
SINCE: Final = "enrolled_on"
OTHER_DELIMITERS: Final = ";\t|"

GRADE_CODES: Final = frozenset(
    ["IT", "PR", "PK", "TK", "KG", *(f"{year:02}" for year in range(1, 14)), "PS", "UG", "Other"]
)
"""OneRoster's grade codes. A roster may also use the city's own grades, such as PK3 and PK4."""


UNKNOWN_SCHOOL: Final = sentence(
    "is not a school in the directory (this fault is listed once, even if more rows have it); write the school's id or "
    "12-digit NCES id, or ask an administrator to add the school"
)


class UnusableRoster(Problem):
    """The roster has faults."""

    status = 422
    title = sentence("Roster not usable")
    detail = sentence(
        "Nothing was compared or stored. Correct every listed place (/file/line/field), then send the whole roster "
        "again. At most {most} places are listed."
    )


class Faults:
    """Collects the faults of a roster, and refuses the roster once the list is full."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, place: Sequence[str | int], code: str, detail: str, **values: str | int) -> None:
        """Add a fault at a file, a line and a field, as far as they are known.

        Raises:
            UnusableRoster: if the list is full.
        """
        self.found.append(Fault("".join(f"/{part}" for part in place), code, detail, values))
        if len(self.found) >= MAX_FAULTS:
            self.refuse()

    def end(self, place: Sequence[str | int], code: str, detail: str, **values: str | int) -> NoReturn:
        """Refuse the roster for a fault after which the rest cannot be read, and for all faults before it.

        Raises:
            UnusableRoster: always.
        """
        self.add(place, code, detail, **values)
        raise UnusableRoster(faults=self.found, most=MAX_FAULTS)

    def refuse(self) -> None:
        """Refuse the roster if it has faults.

        Raises:
            UnusableRoster: listing the faults.
        """
        if self.found:
            raise UnusableRoster(faults=self.found, most=MAX_FAULTS)


@dataclass(frozen=True, slots=True)
class Reference:
    """The schools, grades and other facts that a roster is read against."""

    schools: Mapping[str, str]
    """The ids of the directory's schools, by school id and by NCES id."""
    grades: Collection[str]
    """The city's own grades, in any cycle."""
    digest: Callable[[str], bytes]
    """Returns the digest of a SIS id."""
    opened: date
    """The day on which the cycle opened, in its time zone."""
    today: date
    """Today in the cycle's time zone."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A row that enrolls a child at a school."""

    file: str
    line: int
    child: bytes
    """The digest of the child's SIS id."""
    school: str
    grade: str
    since: date | None
    """The first day at the school; None: the row gives no day, or no possible day."""


@dataclass(frozen=True, slots=True)
class Roster:
    """A roster without faults. Each child is listed once at each school."""

    format: Format
    enrolled: Sequence[Enrolled]
    left_out: Mapping[str, int]
    """Rows that enroll no child, counted by reason."""
    days_not_used: Sequence[DayNotUsed]


class RosterBuilder:
    """Adds rows to a roster one by one, and collects their faults."""

    def __init__(self, reference: Reference, faults: Faults) -> None:
        self.left_out = Counter[str]()
        self.days_not_used: list[DayNotUsed] = []
        self._reference, self._faults = reference, faults
        self._enrolled: dict[tuple[bytes, str], Enrolled] = {}

    def grade_of(self, place: Sequence[str | int], grade: str) -> str | None:
        """Return a grade, or None after adding a fault."""
        if grade in GRADE_CODES or grade in self._reference.grades:
            return grade
        detail = sentence("must be a grade of OneRoster or of this city; write KG for kindergarten and 01 for grade 1")
        self._faults.add(place, "unknown-grade", detail)
        return None

    def child_of(self, place: Sequence[str | int], sis_id: str) -> bytes | None:
        """Return the digest of a SIS id, or None after adding a fault."""
        plain = unicodedata.normalize("NFC", sis_id.strip())
        flaw = flaw_of(plain)
        if flaw is not None and flaw.kind == "blank-text":
            self._faults.add(place, "no-sis-id", sentence("is empty; add the child's SIS id, or remove the row"))
            return None
        if flaw is not None:
            self._faults.add(place, flaw.kind, TEXT_FAULTS[flaw.kind], number=flaw.place)
            return None
        if len(plain) > MAX_ID_LENGTH:
            detail = sentence("must have at most {most} characters")
            self._faults.add(place, "not-an-id", detail, most=MAX_ID_LENGTH)
            return None
        return self._reference.digest(plain)

    def day_of(self, place: Sequence[str | int], day: str) -> date | None:
        """Return a day, or None if the field is empty, or None after adding a fault."""
        try:
            return day_from(day.strip()) if day.strip() else None
        except ValueError:
            self._faults.add(place, "not-a-date", sentence("must be a date such as 2027-01-31, or empty"))
            return None

    def possible_day(self, day: date | None, *, file: str, line: int, field: str, grade: str) -> date | None:
        """Return a day of the school years in which a child of the grade can be at school.

        Some systems write 1900-01-01 or 0001-01-01 for an empty field. Such a day proves nothing: the report lists it.
        """
        if day is None:
            return None
        reason = why_impossible(day, grade, opened=self._reference.opened)
        if reason is None:
            return day
        self.days_not_used.append(DayNotUsed(file, line, field, reason))
        return None

    def add(self, row: Enrolled) -> None:
        """Enroll a child at a school, unless an earlier row did. Two grades at one school are a fault."""
        former = self._enrolled.setdefault((row.child, row.school), row)
        if former is row:
            if len(self._enrolled) > MAX_ENROLLED:
                detail = sentence("is beyond the limit of {most} children; send fewer schools at a time")
                self._faults.end([row.file, row.line], "too-many-children", detail, most=MAX_ENROLLED)
            return
        if former.grade == row.grade:
            self.left_out["repeated"] += 1
            return
        detail = sentence("lists the child at this school in another grade than line {line}; keep the correct row")
        self._faults.add([row.file, row.line], "two-grades", detail, line=former.line)

    def roster(self, format_: Format) -> Roster:
        """Return the roster.

        Raises:
            UnusableRoster: if the roster has faults, or lists no child.
        """
        if not self._enrolled and not self._faults.found:
            detail = sentence("the roster lists no child at a school; check the export, then export the roster again")
            self._faults.add([], "nobody", detail)
        self._faults.refuse()
        return Roster(format_, tuple(self._enrolled.values()), dict(self.left_out), tuple(self.days_not_used))


def read_csv_roster(raw: bytes, reference: Reference) -> Roster:
    """Read a CSV file with the columns `sis_id`, `school`, `grade`, and optionally `enrolled_on`.

    The school is the directory's id or the NCES id. Columns can be in any order. Other columns are ignored.

    Raises:
        UnusableRoster: listing every fault with its line and column.
    """
    faults = Faults()
    builder = RosterBuilder(reference, faults)
    rows = rows_of(CSV_FILE, BytesIO(raw), faults)
    header = _header(next(rows, (1, []))[1], faults)
    unknown_schools: set[str] = set()
    for line, fields in rows:
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            refuse_length(CSV_FILE, line, found=len(fields), wanted=len(header), faults=faults)
            continue
        row = dict(zip(header, fields, strict=True))
        name = row["school"].strip()
        school = reference.schools.get(name)
        if school is None and name not in unknown_schools:
            unknown_schools.add(name)
            faults.add([CSV_FILE, line, "school"], "unknown-school", UNKNOWN_SCHOOL)
        child = builder.child_of([CSV_FILE, line, "sis_id"], row["sis_id"])
        grade = builder.grade_of([CSV_FILE, line, "grade"], row["grade"].strip())
        since = builder.day_of([CSV_FILE, line, SINCE], row.get(SINCE, ""))
        if school is not None and child is not None and grade is not None:
            since = builder.possible_day(since, file=CSV_FILE, line=line, field=SINCE, grade=grade)
            builder.add(Enrolled(CSV_FILE, line, child, school, grade, since))
    return builder.roster("csv")


def _header(fields: Sequence[str], faults: Faults) -> list[str]:
    """Return the column names.

    Raises:
        UnusableRoster: if a needed column is missing or repeated.
    """
    header = [field.strip().lower() for field in fields]
    if len(header) == 1 and any(mark in header[0] for mark in OTHER_DELIMITERS):
        detail = sentence("the columns must be separated by commas; save the file as CSV with commas")
        faults.add([CSV_FILE, 1], "wrong-delimiter", detail)
    else:
        for column in COLUMNS:
            if column not in header:
                detail = sentence("is missing in the header; the first line must be: sis_id,school,grade")
                faults.add([CSV_FILE, 1, column], "missing-column", detail)
    for column in (*COLUMNS, SINCE):
        if header.count(column) > 1:
            faults.add(
                [CSV_FILE, 1, column],
                "column-twice",
                sentence("is repeated in the header; keep one column of this name"),
            )
    faults.refuse()
    return header


def refuse_length(file: str, line: int, *, found: int, wanted: int, faults: Faults) -> None:
    """Add a fault for a row that has more or fewer fields than the header."""
    detail = sentence(
        "has {found} fields, but the header has {wanted}; put quotation marks around a field that has a comma in it"
    )
    faults.add([file, line], "wrong-length", detail, found=found, wanted=wanted)


def rows_of(file: str, stream: BufferedIOBase, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a UTF-8 file that are not empty, each with its first line. A BOM is ignored.

    Raises:
        UnusableRoster: if the rest of the file cannot be read.
    """
    reader = csv.reader(_lines(file, stream, faults), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            detail = sentence("cannot be read as CSV; check quotation marks and line ends")
            faults.end([file, line], "broken-row", detail)
        if fields:
            yield line, fields


def _lines(file: str, stream: BufferedIOBase, faults: Faults) -> Iterator[str]:
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(raw) == MAX_LINE_BYTES:
            faults.end(
                [file, number], "long-line", sentence("is too long for a line of a roster; export the roster again")
            )
        if number > MAX_LINES:
            detail = sentence("is beyond the limit of {most} lines; send fewer schools at a time")
            faults.end([file, number], "too-many-lines", detail, most=MAX_LINES)
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            faults.end([file, number], "not-utf-8", sentence("is not UTF-8 text; save the file as CSV in UTF-8"))
