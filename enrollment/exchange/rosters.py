"""Rosters: the children whom schools enroll.

A row's SIS id is digested at once. No answer, problem or log has the id. A fault quotes nothing from a file, because
the text in a wrong column may be a name.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, NoReturn, TypeAlias

from enrollment.exchange.roster_days import DayNotUsed, day_from, why_impossible
from enrollment.fault_list import FaultList
from enrollment.plain_text import SAYS as TEXT_FAULTS
from enrollment.plain_text import flaw_of, in_nfc
from enrollment.problems import Fault, Problem, sentence

Format: TypeAlias = Literal["csv", "oneroster-1.1", "oneroster-1.2"]

MAX_FAULTS: Final = 200
MAX_LISTED: Final = 10_000
"""The most rows that are listed as left out."""
MAX_ENROLLED: Final = 2_000_000
MAX_ID_LENGTH: Final = 500
MAX_DIGITS: Final = 12
"""The most digits with which an id is tried. No state's ids are longer."""
MAX_SPELLED: Final = 5_000
"""The most ids that are tried with other numbers of digits."""

GRADE_CODES: Final = frozenset(
    ["IT", "PR", "PK", "TK", "KG", *(f"{year:02}" for year in range(1, 14)), "PS", "UG", "Other"]
)
"""OneRoster's grade codes. A roster may also use the city's own grades, such as PK3 and PK4."""


UNKNOWN_SCHOOL: Final = sentence(
    "is not a school in the directory (this fault is listed once, even if more rows have it); write the school's id, "
    "or its 12-digit NCES id if no other school has it, or ask an administrator to add the school"
)


class UnusableRoster(Problem):
    """The roster has faults."""

    status = 422
    title = sentence("Roster not usable")
    detail = sentence(
        "Nothing was compared or stored. Correct every listed place (/file/line/field), then send the whole roster "
        "again."
    )


class Faults:
    """Collects the faults of a roster: those of the whole file, those of single rows, and notes for the reader.

    A fault of the whole file refuses the roster. A fault of a row leaves out that row alone.
    """

    def __init__(self) -> None:
        self.of_file = FaultList(MAX_FAULTS)
        self.of_rows = FaultList(MAX_LISTED)
        self.notes: list[Fault] = []

    def add(self, place: Sequence[str | int], code: str, detail: str, **values: str | int) -> None:
        """Add a fault of the whole file at a file, a line and a field, as far as they are known."""
        self.of_file.add(_fault(place, code, detail, values))

    def leave_out(self, place: Sequence[str | int], code: str, detail: str, **values: str | int) -> None:
        """Add a fault of a row, which the roster leaves out."""
        self.of_rows.add(_fault(place, code, detail, values))

    def note(self, place: Sequence[str | int], code: str, detail: str, **values: str | int) -> None:
        """Add a note: the file departs from its format, and was read all the same."""
        self.notes.append(_fault(place, code, detail, values))

    def end(self, place: Sequence[str | int], code: str, detail: str, **values: str | int) -> NoReturn:
        """Refuse the roster for a fault after which the rest cannot be read, and for all faults before it.

        Raises:
            UnusableRoster: always.
        """
        self.add(place, code, detail, **values)
        self.refuse_all()

    def refuse(self) -> None:
        """Refuse the roster if it has faults of the whole file.

        Raises:
            UnusableRoster: listing the faults.
        """
        if self.of_file:
            self.refuse_all()

    def refuse_all(self) -> NoReturn:
        """Refuse the roster, with the faults of the whole file before those of rows.

        Raises:
            UnusableRoster: always.
        """
        faults = FaultList(MAX_FAULTS)
        for fault in (*self.of_file, *self.of_rows):
            faults.add(fault)
        faults.count = len(self.of_file) + len(self.of_rows)
        raise UnusableRoster(faults=faults.listed())


def _fault(place: Sequence[str | int], code: str, detail: str, values: Mapping[str, str | int]) -> Fault:
    return Fault("".join(f"/{part}" for part in place), code, detail, values)


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
    digits: int | None = None
    """Ids of digits alone are read with this many digits, with zeros in front; None: as the roster has them."""


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
    faults: Faults
    """The faults of rows that cannot be read, and notes."""
    spellings: Mapping[bytes, Mapping[int, bytes]]
    """The digests of some ids of digits with other numbers of digits, by the digest of the id as it was read."""


class RosterBuilder:
    """Adds rows to a roster one by one, and collects their faults."""

    def __init__(self, reference: Reference, faults: Faults) -> None:
        self.left_out = Counter[str]()
        self.days_not_used: list[DayNotUsed] = []
        self._reference, self._faults = reference, faults
        self._enrolled: dict[tuple[bytes, str], Enrolled] = {}
        self._spellings: dict[bytes, Mapping[int, bytes]] = {}

    def grade_of(self, place: Sequence[str | int], grade: str) -> str | None:
        """Return a grade, or None after adding a fault. Spreadsheets turn 09 into 9, which is read as 09."""
        known = [code for code in (grade, grade.zfill(2)) if code in GRADE_CODES or code in self._reference.grades]
        if known:
            return known[0]
        if "," in grade:
            detail = sentence("has more than one grade; write the grade in which the child is enrolled")
            self._faults.leave_out(place, "several-grades", detail)
            return None
        detail = sentence("must be a grade of OneRoster or of this city; write KG for kindergarten and 01 for grade 1")
        self._faults.leave_out(place, "unknown-grade", detail)
        return None

    def child_of(self, place: Sequence[str | int], sis_id: str) -> bytes | None:
        """Return the digest of a SIS id, or None after adding a fault."""
        plain = in_nfc(_without_text_marker(sis_id))
        flaw = flaw_of(plain)
        if flaw is not None and flaw.kind == "blank-text":
            self._faults.leave_out(place, "no-sis-id", sentence("is empty; add the child's SIS id, or remove the row"))
            return None
        if flaw is not None:
            self._faults.leave_out(place, flaw.kind, TEXT_FAULTS[flaw.kind], number=flaw.place)
            return None
        if len(plain) > MAX_ID_LENGTH:
            detail = sentence("must have at most {most} characters")
            self._faults.leave_out(place, "not-an-id", detail, most=MAX_ID_LENGTH)
            return None
        return self._digest(plain)

    def _digest(self, sis_id: str) -> bytes:
        """Return the digest of an id. Some ids of digits are digested with other numbers of digits too."""
        if not (sis_id.isascii() and sis_id.isdigit()):
            return self._reference.digest(sis_id)
        number = sis_id.lstrip("0") or "0"
        digest = self._reference.digest(number.zfill(self._reference.digits or len(sis_id)))
        if len(self._spellings) < MAX_SPELLED and digest not in self._spellings:
            lengths = range(len(number), MAX_DIGITS + 1)
            self._spellings[digest] = {length: self._reference.digest(number.zfill(length)) for length in lengths}
        return digest

    def day_of(self, place: Sequence[str | int], day: str) -> date | None:
        """Return a day, or None if the field is empty, or None after adding a fault."""
        try:
            return day_from(day.strip()) if day.strip() else None
        except ValueError:
            self._faults.leave_out(place, "not-a-date", sentence("must be a date such as 2027-01-31, or empty"))
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
            UnusableRoster: if the file has faults, or no row enrolls a child.
        """
        if not self._enrolled and not self._faults.of_rows:
            detail = sentence("the roster lists no child at a school; check the export, then export the roster again")
            self._faults.add([], "nobody", detail)
        if not self._enrolled or self._faults.of_file:
            self._faults.refuse_all()
        return Roster(
            format_,
            tuple(self._enrolled.values()),
            dict(self.left_out),
            tuple(self.days_not_used),
            self._faults,
            self._spellings,
        )


def _without_text_marker(sis_id: str) -> str:
    """Return an id without what spreadsheets put around text that looks like a number: '0112 and ="0112"."""
    plain = sis_id.strip()
    if plain.startswith('="') and plain.endswith('"'):
        return plain[2:-1].strip()
    return plain.removeprefix("'").strip()
