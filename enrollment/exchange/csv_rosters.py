"""Read a roster from a CSV file: one row for each child at a school."""

from collections.abc import Sequence
from io import BytesIO
from typing import Final

from enrollment.exchange.csv_text import DELIMITERS, rows_of
from enrollment.exchange.rosters import UNKNOWN_SCHOOL, Enrolled, Faults, Reference, Roster, RosterBuilder
from enrollment.problems import sentence

CSV_FILE: Final = "roster.csv"
"""The name of a CSV body in the places of faults. The body itself has no file name."""

COLUMNS: Final = ("sis_id", "school", "grade")
SINCE: Final = "enrolled_on"


def read_csv_roster(raw: bytes, reference: Reference) -> Roster:
    """Read a CSV file with the columns `sis_id`, `school`, `grade`, and optionally `enrolled_on`.

    The school is the directory's id or the NCES id. Columns can be in any order. Other columns are ignored. A row that
    cannot be read is left out.

    Raises:
        UnusableRoster: if the file cannot be read, or no row enrolls a child.
    """
    faults = Faults()
    reader = _RowReader(RosterBuilder(reference, faults), reference, faults)
    rows = rows_of(CSV_FILE, BytesIO(raw), faults, delimiters=DELIMITERS)
    header = _header(without_empty_end(next(rows, (1, []))[1]), faults)
    for line, fields in rows:
        if any(field.strip() for field in fields):
            reader.read(line, header, without_empty_end(fields, len(header)))
    return reader.builder.roster("csv")


class _RowReader:
    """Reads the rows of one file."""

    def __init__(self, builder: RosterBuilder, reference: Reference, faults: Faults) -> None:
        self.builder, self._reference, self._faults = builder, reference, faults
        self._unknown_schools: set[str] = set()

    def read(self, line: int, header: Sequence[str], fields: Sequence[str]) -> None:
        """Add a row to the roster, or count it as left out."""
        if len(fields) != len(header):
            refuse_length(CSV_FILE, line, found=len(fields), wanted=len(header), faults=self._faults)
            self.builder.left_out["unreadable"] += 1
            return
        row, faults_before = dict(zip(header, fields, strict=True)), len(self._faults.of_rows)
        school = self._school(line, row["school"].strip())
        child = self.builder.child_of([CSV_FILE, line, "sis_id"], row["sis_id"])
        grade = self.builder.grade_of([CSV_FILE, line, "grade"], row["grade"].strip())
        since = self.builder.day_of([CSV_FILE, line, SINCE], row.get(SINCE, ""))
        if school is None or child is None or grade is None or len(self._faults.of_rows) > faults_before:
            self.builder.left_out["unreadable"] += 1
        else:
            since = self.builder.possible_day(since, file=CSV_FILE, line=line, field=SINCE, grade=grade)
            self.builder.add(Enrolled(CSV_FILE, line, child, school, grade, since))

    def _school(self, line: int, name: str) -> str | None:
        school = self._reference.schools.get(name)
        if school is None and name not in self._unknown_schools:
            self._unknown_schools.add(name)
            self._faults.leave_out([CSV_FILE, line, "school"], "unknown-school", UNKNOWN_SCHOOL)
        return school


def _header(fields: Sequence[str], faults: Faults) -> list[str]:
    """Return the column names.

    Raises:
        UnusableRoster: if a needed column is missing or repeated.
    """
    header = [field.strip().lower() for field in fields]
    for column in COLUMNS:
        if column not in header:
            detail = sentence("is missing in the header; the first line must be: sis_id,school,grade")
            faults.add([CSV_FILE, 1, column], "missing-column", detail)
    for column in (*COLUMNS, SINCE):
        if header.count(column) > 1:
            detail = sentence("is repeated in the header; keep one column of this name")
            faults.add([CSV_FILE, 1, column], "column-twice", detail)
    faults.refuse()
    return header


def without_empty_end(fields: Sequence[str], wanted: int = 0) -> Sequence[str]:
    """Return a row without the empty fields after its last column, which spreadsheets write."""
    length = len(fields)
    while length > wanted and not fields[length - 1].strip():
        length -= 1
    return fields[:length]


def refuse_length(file: str, line: int, *, found: int, wanted: int, faults: Faults) -> None:
    """Leave out a row that has more or fewer fields than the header."""
    detail = sentence(
        "has {found} fields, but the header has {wanted}; put quotation marks around a field that has a comma in it"
    )
    faults.leave_out([file, line], "wrong-length", detail, found=found, wanted=wanted)
