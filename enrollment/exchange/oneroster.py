"""A roster as a OneRoster package, version 1.1 or 1.2: a zip of CSV files with a manifest.

Who is at which school stands in `roles.csv` in 1.2, in the columns `role` and `orgSourcedIds` of `users.csv` in 1.1;
`enrollments.csv` says who is in which class, and is looked at only as far as it must be whole. Only the package as a
whole (`bulk`) is a roster. Read are students who are active: in 1.2 every row of a bulk file is, in 1.1 a row may say
otherwise in `status`, and a role that has ended counts for nothing. `enabledUser` is about signing in, and is not read.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from typing import Final, Literal, TypeAlias, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipExtFile, ZipFile, ZipInfo

from enrollment.exchange.rosters import (
    Enrolled,
    Faults,
    Format,
    Known,
    Roll,
    Roster,
    refuse_length,
    rows_of,
)
from enrollment.problems import sentence

SisIdIn: TypeAlias = Literal["identifier", "sourcedId"]
"""The column of users.csv that has the SIS id."""

Row: TypeAlias = Mapping[str, str]

MAX_UNPACKED: Final = 1 << 30
MAX_MEMBERS: Final = 1000
ENCRYPTED: Final = 0x1

FILES: Final = (
    "academicSessions", "categories", "classes", "classResources", "courseResources", "courses", "demographics",
    "enrollments", "lineItemLearningObjectiveIds", "lineItems", "lineItemScoreScales", "orgs", "resources",
    "resultLearningObjectiveIds", "results", "resultScoreScales", "roles", "scoreScales", "userProfiles",
    "userResources", "users",
)  # fmt: skip
"""What a manifest of 1.2 has a row for, each."""

FORMATS: Final[Mapping[str, Format]] = {"1.1": "oneroster-1.1", "1.2": "oneroster-1.2"}

NEEDED: Final = {"1.1": ("orgs", "users"), "1.2": ("orgs", "users", "roles")}

COLUMNS: Final = {
    "manifest": ("propertyName", "value"),
    "orgs": ("sourcedId", "status", "dateLastModified", "name", "type", "identifier", "parentSourcedId"),
    "roles": (
        "sourcedId", "status", "dateLastModified", "userSourcedId", "roleType", "role", "beginDate", "endDate",
        "orgSourcedId", "userProfileSourcedId",
    ),
    "enrollments": (
        "sourcedId", "status", "dateLastModified", "classSourcedId", "schoolSourcedId", "userSourcedId", "role",
        "primary", "beginDate", "endDate",
    ),
}  # fmt: skip

USERS: Final = {
    "1.1": (
        "sourcedId", "status", "dateLastModified", "enabledUser", "orgSourcedIds", "role", "username", "userIds",
        "givenName", "familyName", "middleName", "identifier", "email", "sms", "phone", "agentSourcedIds", "grades",
        "password",
    ),
    "1.2": (
        "sourcedId", "status", "dateLastModified", "enabledUser", "username", "userIds", "givenName", "familyName",
        "middleName", "identifier", "email", "sms", "phone", "agentSourcedIds", "grades", "password",
        "userMasterIdentifier", "preferredGivenName", "preferredMiddleName", "preferredFamilyName",
        "primaryOrgSourcedId", "pronouns",
    ),
}  # fmt: skip

ORGS: Final = frozenset(["department", "school", "district", "local", "state", "national"])
STUDENT: Final = "student"
ROLES: Final = {
    "1.1": frozenset(["administrator", "aide", "guardian", "parent", "proctor", "relative", STUDENT, "teacher"]),
    "1.2": frozenset(
        [
            "aide", "counselor", "districtAdministrator", "guardian", "parent", "principal", "proctor", "relative",
            "siteAdministrator", STUDENT, "systemAdministrator", "teacher",
        ]
    ),
}  # fmt: skip

NO_ZIP: Final = sentence("is no sound zip; export the package again")

UNREADABLE: Final = (BadZipFile, zlib.error, EOFError)
"""What the standard library raises while it reads a damaged zip."""

UNOPENABLE: Final = (*UNREADABLE, struct.error, RuntimeError, ValueError, OSError)
"""What it raises besides, where it opens one; NotImplementedError is a RuntimeError."""


@dataclass(frozen=True, slots=True)
class _Org:
    """A row of orgs.csv."""

    line: int
    is_school: bool
    school: str | None
    """The directory's id; None: it knows no such school."""


@dataclass(frozen=True, slots=True)
class _Person:
    """A row of users.csv, as far as a roster needs it."""

    line: int
    sis_id: str
    field: SisIdIn
    grades: str
    active: bool


def read_package(raw: bytes, known: Known, *, sis_id_in: SisIdIn) -> Roster:
    """Return the roster of a OneRoster package.

    Args:
        raw: the zip.
        known: what it is read against.
        sis_id_in: which column of users.csv has the SIS id. Where `identifier` is empty, `sourcedId` stands in for it.

    A school is found by its `identifier` in orgs.csv (the NCES id or the directory's), or by its `sourcedId`.

    Raises:
        UnusableRoster: naming every fault with its file, line and column.
    """
    faults = Faults()
    try:
        package = ZipFile(BytesIO(raw))
    except UNOPENABLE:
        faults.end([], "no-zip", NO_ZIP)
    try:
        return _Package(package, _members(package, faults), known, faults, sis_id_in).roster()
    except UNREADABLE:
        faults.end([], "no-zip", NO_ZIP)


def _members(package: ZipFile, faults: Faults) -> dict[str, ZipInfo]:
    """Return the package's files by name.

    Raises:
        UnusableRoster: if it is no flat zip of moderate size.
    """
    listed = [one for one in package.infolist() if not one.filename.startswith("__MACOSX/")]
    members = {one.filename: one for one in listed}
    if any("/" in name or "\\" in name for name in members):
        faults.add([], "folder", sentence("the zip has a folder in it; zip the files themselves, not their folder"))
    if len(members) < len(listed):
        faults.add([], "file-twice", sentence("the zip has two files of one name; keep one of each"))
    if any(one.flag_bits & ENCRYPTED for one in listed):
        faults.add([], "encrypted", sentence("the zip has a password; send it without one, over this connection"))
    if any(one.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for one in listed):
        faults.add([], "compression", sentence("the zip is packed in a way that is not read here; use plain zip"))
    if sum(one.file_size for one in listed) > MAX_UNPACKED or len(listed) > MAX_MEMBERS:
        detail = sentence("unpacked, the zip is larger than {most} bytes; send some schools at a time")
        faults.add([], "too-large-unpacked", detail, most=MAX_UNPACKED)
    faults.refuse()
    return members


class _Package:
    """Reads one package."""

    def __init__(
        self, package: ZipFile, members: Mapping[str, ZipInfo], known: Known, faults: Faults, sis_id_in: SisIdIn
    ) -> None:
        self._zip, self._members, self._known, self._faults = package, members, known, faults
        self._sis_id_in: SisIdIn = sis_id_in
        self._roll = Roll(known, faults)
        self._strangers: set[str] = set()
        self._seen: dict[str, tuple[bytes | None, str | None]] = {}
        self._version = "1.2"

    def roster(self) -> Roster:
        """Read it in the order in which one file refers to another."""
        self._read_manifest()
        orgs = dict(self._orgs())
        persons = dict(self._persons(orgs))
        if self._version == "1.2":
            self._read_roles(persons, orgs)
        self._refuse_same_ids(persons)
        self._look_at_enrollments()
        return self._roll.roster(FORMATS[self._version])

    def _read_manifest(self) -> None:
        """Find the version, and refuse what the manifest and the zip do not agree on.

        Raises:
            UnusableRoster: if one cannot read on.
        """
        if "manifest.csv" not in self._members:
            detail = sentence("is missing; a package of OneRoster 1.1 or 1.2 has it, and a plain roster is sent as CSV")
            self._faults.end(["manifest.csv"], "missing-file", detail)
        told = {row["propertyName"].strip(): (line, row["value"].strip()) for line, row in self._rows("manifest")}
        self._faults.refuse()
        line, self._version = told.get("oneroster.version", (1, ""))
        if self._version not in NEEDED:
            detail = sentence("must have oneroster.version, 1.1 or 1.2; export the package in one of the two")
            self._faults.end(["manifest.csv", line, "value"], "unknown-version", detail)
        for file in FILES:
            self._refuse_discord(file, told.get(f"file.{file}"))
        self._faults.refuse()

    def _refuse_discord(self, file: str, told: tuple[int, str] | None) -> None:
        needed, there = file in NEEDED[self._version], f"{file}.csv" in self._members
        if told is None:
            if needed or there or self._version == "1.2":
                detail = sentence("has no row file.{file}; add it with bulk or absent")
                self._faults.add(["manifest.csv"], "missing-row", detail, file=file)
            return
        (line, mode), name = told, f"{file}.csv"
        place = ("manifest.csv", line, "value")
        if mode not in ("bulk", "delta", "absent"):
            self._faults.add(place, "unknown-mode", sentence("must be bulk or absent"))
        elif there and mode == "absent":
            self._faults.add(place, "not-absent", sentence("says absent, and {file}.csv is there"), file=file)
        elif not there and mode != "absent":
            self._faults.add([name], "missing-file", sentence("is not in the zip, and the manifest has it"))
        elif needed and mode != "bulk":
            detail = sentence("must be bulk: only a whole package is a roster; export all, not what changed")
            self._faults.add(place, "not-whole", detail)

    def _rows(self, file: str) -> Iterator[tuple[int, Row]]:
        """Yield a file's rows by column, each with its line; columns beyond the standard's are `metadata.` ones."""
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
            detail = sentence("is not where it must be in the first line: OneRoster {version} has {columns}")
            self._faults.end([name, 1, wrong], "columns", detail, version=self._version, columns=", ".join(columns))
        if not all(field.startswith("metadata.") for field in header[len(columns) :]):
            detail = sentence("has columns that OneRoster {version} does not; further ones begin with metadata.")
            self._faults.end([name, 1], "columns", detail, version=self._version)

    def _open(self, name: str) -> BufferedReader:
        try:
            return BufferedReader(cast("ZipExtFile", self._zip.open(self._members[name])))
        except UNOPENABLE:
            self._faults.end([name], "no-zip", NO_ZIP)

    def _records(self, file: str) -> Iterator[tuple[int, Row, bool]]:
        """Yield the rows of a file of records, and whether each is active; ids come once."""
        name, ids, filled = f"{file}.csv", set[str](), False
        for line, row in self._rows(file):
            if not row["sourcedId"].strip() or row["sourcedId"] in ids:
                detail = sentence("must be an id that no other row of the file has")
                self._faults.add([name, line, "sourcedId"], "id-twice", detail)
                continue
            ids.add(row["sourcedId"])
            status = row["status"].strip()
            if self._version == "1.2" and status and not filled:
                filled = True
                detail = sentence("must be empty in every row of a bulk file")
                self._faults.add([name, line, "status"], "status-in-bulk", detail)
            elif self._version == "1.1" and status not in ("", "active", "inactive", "tobedeleted"):
                self._faults.add([name, line, "status"], "unknown-status", sentence("must be active or tobedeleted"))
            yield line, row, status in ("", "active")

    def _orgs(self) -> Iterator[tuple[str, _Org]]:
        schools = self._known.schools
        for line, row, _ in self._records("orgs"):
            kind = row["type"].strip()
            if kind not in ORGS:
                detail = sentence("must be school, district, department, local, state or national")
                self._faults.add(["orgs.csv", line, "type"], "unknown-type", detail)
            known = schools.get(row["identifier"].strip()) or schools.get(row["sourcedId"].strip())
            yield row["sourcedId"], _Org(line, kind == "school", known)

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
                detail = sentence("is in no row of {file}; export both files at once")
                self._faults.add(["roles.csv", line, "userSourcedId"], "unknown-id", detail, file="users.csv")
            elif self._is_student("roles.csv", line, row):
                place = ("roles.csv", line, "orgSourcedId")
                self._assign(place, row["userSourcedId"], person, orgs, row["orgSourcedId"], row)

    def _is_student(self, file: str, line: int, row: Row) -> bool:
        if row["role"] not in ROLES[self._version]:
            detail = sentence("is no role of OneRoster {version}; a pupil's is student")
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
        """Put a student on the roll of the school that a row assigns it to."""
        file, line, _ = place
        org = orgs.get(org_id)
        if org is None:
            detail = sentence("is in no row of {file}; export both files at once")
            self._faults.add(place, "unknown-id", detail, file="orgs.csv")
            return
        since = self._roll.day_of([file, line, "beginDate"], row.get("beginDate", ""))
        until = self._roll.day_of([file, line, "endDate"], row.get("endDate", ""))
        if not person.active:
            self._roll.left_out["not_active"] += 1
        elif until is not None and until < self._known.today:
            self._roll.left_out["ended"] += 1
        elif not org.is_school:
            self._roll.left_out["not_a_school"] += 1
        else:
            self._refuse_stranger(org_id, org)
            child, grade = self._student(id_, person)
            if child is not None and grade is not None and org.school is not None:
                self._roll.put(Enrolled(file, line, child, org.school, grade, since))

    def _refuse_stranger(self, org_id: str, org: _Org) -> None:
        if org.school is None and org_id not in self._strangers:
            self._strangers.add(org_id)
            detail = sentence(
                "is no school of the directory, and students are at it; write the 12-digit NCES id or the directory's "
                "id, or have an administrator add the school"
            )
            self._faults.add(["orgs.csv", org.line, "identifier"], "unknown-school", detail)

    def _student(self, id_: str, person: _Person) -> tuple[bytes | None, str | None]:
        """Return a student's digest and grade; what is wrong with them is told once, however many schools it is at."""
        if id_ not in self._seen:
            child = self._roll.child_of(["users.csv", person.line, person.field], person.sis_id)
            place = ("users.csv", person.line, "grades")
            self._seen[id_] = (child, self._roll.grade_of(place, person.grades))
        return self._seen[id_]

    def _refuse_same_ids(self, persons: Mapping[str, _Person]) -> None:
        """Refuse two students with one SIS id: which of them is at a school would be anybody's guess."""
        lines: dict[bytes, int] = {}
        for id_, (child, _) in self._seen.items():
            person = persons[id_]
            if child is not None and lines.setdefault(child, person.line) != person.line:
                detail = sentence("is the id of the student on line {line} too; each needs its own")
                place = ("users.csv", person.line, person.field)
                self._faults.add(place, "same-sis-id", detail, line=lines[child])

    def _look_at_enrollments(self) -> None:
        if "enrollments.csv" not in self._members:
            return
        for line, row in self._rows("enrollments"):
            for field in ("classSourcedId", "schoolSourcedId", "userSourcedId", "role"):
                if not row[field].strip():
                    self._faults.add(["enrollments.csv", line, field], "missing", sentence("is missing; add it"))
