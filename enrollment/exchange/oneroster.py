"""Read a roster from a OneRoster package, version 1.1 or 1.2: a zip of CSV files with a manifest.

Version 1.2 lists in `roles.csv` who is at which school. Version 1.1 lists it in the columns `role` and `orgSourcedIds`
of `users.csv`. `enrollments.csv` lists who is in which class, and is only checked for missing fields. Only a complete
package (`bulk`) is a roster.

A roster lists active students. In version 1.2, every row of a bulk file is active. In version 1.1, a row can be
inactive by its `status`. A role that has ended does not count. `enabledUser` is about signing in, and is ignored.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import BufferedReader, BytesIO
from typing import Final, TypeAlias, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipExtFile, ZipFile, ZipInfo

from enrollment.exchange.oneroster_format import COLUMNS, FILES, FORMATS, NEEDED, ORGS, ROLES, STUDENT, USERS, SisIdIn
from enrollment.exchange.rosters import (
    UNKNOWN_SCHOOL,
    Enrolled,
    Faults,
    Reference,
    Roster,
    RosterBuilder,
    refuse_length,
    rows_of,
)
from enrollment.problems import sentence

Row: TypeAlias = Mapping[str, str]

MAX_UNPACKED: Final = 1 << 30
MAX_MEMBERS: Final = 1000
ENCRYPTED: Final = 0x1

NO_ZIP: Final = sentence("must be a zip file without damage; export the package again")

UNREADABLE: Final = (BadZipFile, zlib.error, EOFError)
"""The exceptions of the standard library while it reads a damaged zip file."""

UNOPENABLE: Final = (*UNREADABLE, struct.error, RuntimeError, ValueError, OSError)
"""The exceptions of the standard library while it opens a zip file. NotImplementedError is a RuntimeError."""


@dataclass(frozen=True, slots=True)
class _Org:
    """A row of orgs.csv."""

    line: int
    is_school: bool
    school: str | None
    """The school's id in the directory; None: the school is not in the directory."""


@dataclass(frozen=True, slots=True)
class _Person:
    """A row of users.csv."""

    line: int
    sis_id: str
    field: SisIdIn
    grades: str
    active: bool


def read_package(raw: bytes, reference: Reference, *, sis_id_in: SisIdIn) -> Roster:
    """Return the roster of a OneRoster package.

    A school is found by its `identifier` in orgs.csv (the NCES id or the directory's id), or by its `sourcedId`.

    Args:
        raw: the zip file.
        reference: the directory's schools and the city's grades.
        sis_id_in: the column of users.csv that has the SIS id. If `identifier` is empty, `sourcedId` is used.

    Raises:
        UnusableRoster: listing every fault with its file, line and column.
    """
    faults = Faults()
    try:
        package = ZipFile(BytesIO(raw))
    except UNOPENABLE:
        faults.end([], "no-zip", NO_ZIP)
    try:
        return _Package(package, _members(package, faults), reference, faults, sis_id_in).roster()
    except UNREADABLE:
        faults.end([], "no-zip", NO_ZIP)


def _members(package: ZipFile, faults: Faults) -> dict[str, ZipInfo]:
    """Return the package's files by name.

    Raises:
        UnusableRoster: if the zip file is too large, or has folders, repeated names, a password or unusual compression.
    """
    listed = [member for member in package.infolist() if not member.filename.startswith("__MACOSX/")]
    members = {member.filename: member for member in listed}
    if any("/" in name or "\\" in name for name in members):
        faults.add(
            [], "folder", sentence("the zip file has a folder in it; zip the files themselves, not their folder")
        )
    if len(members) < len(listed):
        faults.add([], "file-twice", sentence("the zip file has two files with the same name; keep one of each"))
    if any(member.flag_bits & ENCRYPTED for member in listed):
        faults.add([], "encrypted", sentence("the zip file has a password; send a zip file without a password"))
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in listed):
        faults.add(
            [], "compression", sentence("the zip file uses an unusual compression; use the usual zip compression")
        )
    if sum(member.file_size for member in listed) > MAX_UNPACKED or len(listed) > MAX_MEMBERS:
        detail = sentence("the unpacked files are larger than {most} bytes; send fewer schools at a time")
        faults.add([], "too-large-unpacked", detail, most=MAX_UNPACKED)
    faults.refuse()
    return members


class _Package:
    """A package that is being read."""

    def __init__(
        self, package: ZipFile, members: Mapping[str, ZipInfo], reference: Reference, faults: Faults, sis_id_in: SisIdIn
    ) -> None:
        self._zip, self._members, self._reference, self._faults = package, members, reference, faults
        self._sis_id_in: SisIdIn = sis_id_in
        self._builder = RosterBuilder(reference, faults)
        self._unknown_schools: set[str] = set()
        self._students: dict[str, tuple[bytes | None, str | None]] = {}
        self._version = "1.2"

    def roster(self) -> Roster:
        """Read the files in the order in which they refer to each other, and return the roster."""
        self._read_manifest()
        orgs = dict(self._orgs())
        persons = dict(self._persons(orgs))
        if self._version == "1.2":
            self._read_roles(persons, orgs)
        self._refuse_same_ids(persons)
        self._check_enrollments()
        return self._builder.roster(FORMATS[self._version])

    def _read_manifest(self) -> None:
        """Find the version, and refuse files on which the manifest and the zip file disagree.

        Raises:
            UnusableRoster: if the rest of the package cannot be read.
        """
        if "manifest.csv" not in self._members:
            detail = sentence("is missing; export a package of OneRoster 1.1 or 1.2, or send a plain roster as CSV")
            self._faults.end(["manifest.csv"], "missing-file", detail)
        properties = {row["propertyName"].strip(): (line, row["value"].strip()) for line, row in self._rows("manifest")}
        self._faults.refuse()
        line, self._version = properties.get("oneroster.version", (1, ""))
        if self._version not in NEEDED:
            detail = sentence(
                "must have the property oneroster.version, with the value 1.1 or 1.2; export the package again"
            )
            self._faults.end(["manifest.csv", line, "value"], "unknown-version", detail)
        for file in FILES:
            self._refuse_mismatch(file, properties.get(f"file.{file}"))
        self._faults.refuse()

    def _refuse_mismatch(self, file: str, row: tuple[int, str] | None) -> None:
        """Refuse a file that is in the manifest but not in the zip file, or the other way around."""
        needed, present = file in NEEDED[self._version], f"{file}.csv" in self._members
        if row is None:
            if needed or present or self._version == "1.2":
                detail = sentence("has no row file.{file}; add the row with the value bulk or absent")
                self._faults.add(["manifest.csv"], "missing-row", detail, file=file)
            return
        (line, mode), name = row, f"{file}.csv"
        place = ("manifest.csv", line, "value")
        if mode not in ("bulk", "delta", "absent"):
            self._faults.add(place, "unknown-mode", sentence("must be bulk or absent"))
        elif present and mode == "absent":
            self._faults.add(
                place,
                "not-absent",
                sentence("is absent, but the zip file has {file}.csv; remove the file or change the row"),
                file=file,
            )
        elif not present and mode != "absent":
            self._faults.add(
                [name],
                "missing-file",
                sentence("is in the manifest but not in the zip file; add the file or change the manifest"),
            )
        elif needed and mode != "bulk":
            detail = sentence("must be bulk, because a roster is a complete package; export all data, not only changes")
            self._faults.add(place, "not-whole", detail)

    def _rows(self, file: str) -> Iterator[tuple[int, Row]]:
        """Yield a file's rows by column, each with its line. Extra columns must begin with `metadata.`."""
        name = f"{file}.csv"
        columns = USERS[self._version] if file == "users" else COLUMNS[file]
        with self._open(name) as stream:
            rows = rows_of(name, stream, self._faults)
            header = [field.strip() for field in next(rows, (1, []))[1]]
            self._refuse_header(name, header, columns)
            for line, fields in rows:
                if len(fields) == len(header):
                    yield line, dict(zip(columns, fields, strict=False))
                else:
                    refuse_length(name, line, found=len(fields), wanted=len(header), faults=self._faults)

    def _refuse_header(self, name: str, header: Sequence[str], columns: Sequence[str]) -> None:
        wrong = next((column for at, column in enumerate(columns) if header[at : at + 1] != [column]), None)
        if wrong is not None:
            detail = sentence("is missing or in the wrong position in the header; OneRoster {version} has: {columns}")
            self._faults.end([name, 1, wrong], "columns", detail, version=self._version, columns=", ".join(columns))
        if not all(field.startswith("metadata.") for field in header[len(columns) :]):
            detail = sentence(
                "has columns that OneRoster {version} does not have; extra columns must begin with “metadata.”"
            )
            self._faults.end([name, 1], "columns", detail, version=self._version)

    def _open(self, name: str) -> BufferedReader:
        try:
            return BufferedReader(cast("ZipExtFile", self._zip.open(self._members[name])))
        except UNOPENABLE:
            self._faults.end([name], "no-zip", NO_ZIP)

    def _records(self, file: str) -> Iterator[tuple[int, Row, bool]]:
        """Yield the rows of a file with an id in each row, and whether each row is active. Repeated ids are faults."""
        name, ids, has_status = f"{file}.csv", set[str](), False
        for line, row in self._rows(file):
            if not row["sourcedId"].strip() or row["sourcedId"] in ids:
                detail = sentence("must be an id that no other row of the file has; correct one of the rows")
                self._faults.add([name, line, "sourcedId"], "id-twice", detail)
                continue
            ids.add(row["sourcedId"])
            status = row["status"].strip()
            if self._version == "1.2" and status and not has_status:
                has_status = True
                detail = sentence("must be empty in every row of a bulk file; export the package again")
                self._faults.add([name, line, "status"], "status-in-bulk", detail)
            elif self._version == "1.1" and status not in ("", "active", "inactive", "tobedeleted"):
                self._faults.add([name, line, "status"], "unknown-status", sentence("must be active or tobedeleted"))
            yield line, row, status in ("", "active")

    def _orgs(self) -> Iterator[tuple[str, _Org]]:
        schools = self._reference.schools
        for line, row, _ in self._records("orgs"):
            type_ = row["type"].strip()
            if type_ not in ORGS:
                detail = sentence("must be school, district, department, local, state or national")
                self._faults.add(["orgs.csv", line, "type"], "unknown-type", detail)
            school = schools.get(row["identifier"].strip()) or schools.get(row["sourcedId"].strip())
            yield row["sourcedId"], _Org(line, type_ == "school", school)

    def _persons(self, orgs: Mapping[str, _Org]) -> Iterator[tuple[str, _Person]]:
        for line, row, active in self._records("users"):
            field: SisIdIn = self._sis_id_in if row["identifier"].strip() else "sourcedId"
            person = _Person(line, row[field], field, row["grades"].strip(), active)
            yield row["sourcedId"], person
            if self._version == "1.1" and self._is_student("users.csv", line, row):
                for org in row["orgSourcedIds"].split(","):
                    self._assign(("users.csv", line, "orgSourcedIds"), row["sourcedId"], person, orgs, org.strip(), row)

    def _read_roles(self, persons: Mapping[str, _Person], orgs: Mapping[str, _Org]) -> None:
        for line, row, _ in self._records("roles"):
            person = persons.get(row["userSourcedId"])
            if person is None:
                detail = sentence("is not in {file}; export both files at the same time")
                self._faults.add(["roles.csv", line, "userSourcedId"], "unknown-id", detail, file="users.csv")
            elif self._is_student("roles.csv", line, row):
                place = ("roles.csv", line, "orgSourcedId")
                self._assign(place, row["userSourcedId"], person, orgs, row["orgSourcedId"], row)

    def _is_student(self, file: str, line: int, row: Row) -> bool:
        if row["role"] not in ROLES[self._version]:
            detail = sentence("is not a role of OneRoster {version}; the role of a child is student")
            self._faults.add([file, line, "role"], "unknown-role", detail, version=self._version)
        return row["role"] == STUDENT

    def _assign(
        self,
        place: tuple[str, int, str],
        id_: str,
        person: _Person,
        orgs: Mapping[str, _Org],
        org_id: str,
        row: Row,
    ) -> None:
        """Enroll a student at the school that a row assigns."""
        file, line, _ = place
        org = orgs.get(org_id)
        if org is None:
            detail = sentence("is not in {file}; export both files at the same time")
            self._faults.add(place, "unknown-id", detail, file="orgs.csv")
            return
        since = self._builder.day_of([file, line, "beginDate"], row.get("beginDate", ""))
        until = self._builder.day_of([file, line, "endDate"], row.get("endDate", ""))
        if not person.active:
            self._builder.left_out["not_active"] += 1
        elif self._has_ended(file, line, until, person.grades):
            self._builder.left_out["ended"] += 1
        elif not org.is_school:
            self._builder.left_out["not_a_school"] += 1
        else:
            self._refuse_unknown_school(org_id, org)
            child, grade = self._student(id_, person)
            if child is not None and grade is not None and org.school is not None:
                since = self._builder.possible_day(since, file=file, line=line, field="beginDate", grade=grade)
                self._builder.add(Enrolled(file, line, child, org.school, grade, since))

    def _has_ended(self, file: str, line: int, until: date | None, grade: str) -> bool:
        """Say whether a role has ended. A role counts on its last day, in the cycle's time zone."""
        if until is None or until >= self._reference.today:
            return False
        return self._builder.possible_day(until, file=file, line=line, field="endDate", grade=grade) is not None

    def _refuse_unknown_school(self, org_id: str, org: _Org) -> None:
        if org.school is None and org_id not in self._unknown_schools:
            self._unknown_schools.add(org_id)
            self._faults.add(["orgs.csv", org.line, "identifier"], "unknown-school", UNKNOWN_SCHOOL)

    def _student(self, id_: str, person: _Person) -> tuple[bytes | None, str | None]:
        """Return a student's digest and grade. Faults of a student at several schools are listed once."""
        if id_ not in self._students:
            child = self._builder.child_of(["users.csv", person.line, person.field], person.sis_id)
            place = ("users.csv", person.line, "grades")
            self._students[id_] = (child, self._builder.grade_of(place, person.grades))
        return self._students[id_]

    def _refuse_same_ids(self, persons: Mapping[str, _Person]) -> None:
        """Refuse two students with the same SIS id, because a child could not be told apart."""
        lines: dict[bytes, int] = {}
        for id_, (child, _) in self._students.items():
            person = persons[id_]
            if child is not None and lines.setdefault(child, person.line) != person.line:
                detail = sentence("is also the id of the student on line {line}; give each student a different id")
                place = ("users.csv", person.line, person.field)
                self._faults.add(place, "same-sis-id", detail, line=lines[child])

    def _check_enrollments(self) -> None:
        if "enrollments.csv" not in self._members:
            return
        for line, row in self._rows("enrollments"):
            for field in ("classSourcedId", "schoolSourcedId", "userSourcedId", "role"):
                if not row[field].strip():
                    self._faults.add(
                        ["enrollments.csv", line, field], "missing", sentence("is missing; add the missing value")
                    )
