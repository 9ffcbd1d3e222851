"""Read a roster from a OneRoster package, version 1.1 or 1.2: a zip of CSV files with a manifest.

Version 1.2 lists in `roles.csv` who is at which school. Version 1.1 lists it in the columns `role` and `orgSourcedIds`
of `users.csv`. `enrollments.csv` lists who is in which class, and is only checked for missing fields. Only a complete
package (`bulk`) is a roster.

A roster lists active students. In version 1.2, every row of a bulk file is active. In version 1.1, a row can be
inactive by its `status`. A role that has ended does not count. `enabledUser` is about signing in, and is ignored.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from enrollment.exchange.oneroster_format import FORMATS, ORGS, ROLES, SCHOOL, SECONDARY, STUDENT, SisIdIn
from enrollment.exchange.oneroster_package import NO_ZIP, UNREADABLE, PackageFiles, Row, open_package
from enrollment.exchange.rosters import UNKNOWN_SCHOOL, Enrolled, Faults, Reference, Roster, RosterBuilder
from enrollment.problems import sentence

UNKNOWN_ID: Final = sentence("is not in {file}; export both files at the same time")


@dataclass(frozen=True, slots=True)
class _Org:
    """A row of orgs.csv."""

    line: int
    type: str
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
        return _Package(open_package(raw, faults), reference, faults, sis_id_in).roster()
    except UNREADABLE:
        faults.end([], "no-zip", NO_ZIP)


class _Package:
    """A package that is being read."""

    def __init__(self, files: PackageFiles, reference: Reference, faults: Faults, sis_id_in: SisIdIn) -> None:
        self._files, self._reference, self._faults = files, reference, faults
        self._sis_id_in: SisIdIn = sis_id_in
        self._builder = RosterBuilder(reference, faults)
        self._noted_orgs: set[str] = set()
        self._with_status: set[str] = set()
        self._students: dict[str, tuple[bytes | None, str | None]] = {}

    def roster(self) -> Roster:
        """Read the files in the order in which they refer to each other, and return the roster."""
        orgs = dict(self._orgs())
        persons = dict(self._persons(orgs))
        if self._files.version == "1.2":
            self._read_roles(persons, orgs)
        self._refuse_same_ids(persons)
        self._check_enrollments()
        of_children = "roles" if self._files.version == "1.2" else "users"
        self._builder.left_out["unreadable"] += self._files.wrong_length[of_children]
        return self._builder.roster(FORMATS[self._files.version])

    def _records(self, file: str) -> Iterator[tuple[int, Row, bool]]:
        """Yield the rows of a file with an id in each row, and whether each row is active. Repeated ids are faults."""
        name, ids = f"{file}.csv", set[str]()
        for line, row in self._files.rows(file):
            if not row["sourcedId"].strip() or row["sourcedId"] in ids:
                detail = sentence("must be an id that no other row of the file has; correct one of the rows")
                self._faults.add([name, line, "sourcedId"], "id-twice", detail)
                continue
            ids.add(row["sourcedId"])
            yield line, row, self._is_active(name, line, row["status"].strip().lower())

    def _is_active(self, name: str, line: int, status: str) -> bool:
        """Return whether a row is active. A bulk file of version 1.2 should say nothing, and says it all the same."""
        if status and self._files.version == "1.2" and name not in self._with_status:
            self._with_status.add(name)
            detail = sentence("must be empty in a bulk file of OneRoster 1.2; rows with active were read as active")
            self._faults.note([name, line, "status"], "status-in-bulk", detail)
        if status not in ("", "active", "inactive", "tobedeleted"):
            detail = sentence("must be active, inactive or tobedeleted")
            self._faults.leave_out([name, line, "status"], "unknown-status", detail)
        return status in ("", "active")

    def _orgs(self) -> Iterator[tuple[str, _Org]]:
        schools = self._reference.schools
        for line, row, _ in self._records("orgs"):
            type_ = row["type"].strip()
            if type_ not in ORGS:
                detail = sentence("must be school, district, department, local, state or national")
                self._faults.leave_out(["orgs.csv", line, "type"], "unknown-type", detail)
            school = schools.get(row["identifier"].strip()) or schools.get(row["sourcedId"].strip())
            yield row["sourcedId"], _Org(line, type_ if type_ in ORGS else "", school)

    def _persons(self, orgs: Mapping[str, _Org]) -> Iterator[tuple[str, _Person]]:
        for line, row, active in self._records("users"):
            field: SisIdIn = self._sis_id_in if row["identifier"].strip() else "sourcedId"
            person = _Person(line, row[field], field, row["grades"].strip(), active)
            yield row["sourcedId"], person
            if self._files.version == "1.1" and self._is_student("users.csv", line, row):
                for org in row["orgSourcedIds"].split(","):
                    self._assign(("users.csv", line, "orgSourcedIds"), row["sourcedId"], person, orgs, org.strip(), row)

    def _read_roles(self, persons: Mapping[str, _Person], orgs: Mapping[str, _Org]) -> None:
        """Enroll students by their roles. A secondary role counts only for a student without a primary one."""
        secondary: list[tuple[int, Row]] = []
        with_primary: set[str] = set()
        for line, row, _ in self._records("roles"):
            if row["userSourcedId"] not in persons:
                self._leave_out(("roles.csv", line, "userSourcedId"), "unknown-id", UNKNOWN_ID, file="users.csv")
            elif self._is_student("roles.csv", line, row):
                if row["roleType"].strip() == SECONDARY:
                    secondary.append((line, row))
                    continue
                with_primary.add(row["userSourcedId"])
                self._assign_role(line, row, persons, orgs)
        for line, row in secondary:
            if row["userSourcedId"] in with_primary:
                self._builder.left_out["secondary_role"] += 1
            else:
                self._assign_role(line, row, persons, orgs)

    def _assign_role(self, line: int, row: Row, persons: Mapping[str, _Person], orgs: Mapping[str, _Org]) -> None:
        place, user = ("roles.csv", line, "orgSourcedId"), row["userSourcedId"]
        self._assign(place, user, persons[user], orgs, row["orgSourcedId"], row)

    def _leave_out(self, place: tuple[str, int, str], code: str, detail: str, **values: str | int) -> None:
        """Leave out a row that would enroll a child, and say why."""
        self._faults.leave_out(place, code, detail, **values)
        self._builder.left_out["unreadable"] += 1

    def _is_student(self, file: str, line: int, row: Row) -> bool:
        if row["role"] not in ROLES[self._files.version]:
            detail = sentence("is not a role of OneRoster {version}; the role of a child is student")
            self._leave_out((file, line, "role"), "unknown-role", detail, version=self._files.version)
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
            self._leave_out(place, "unknown-id", UNKNOWN_ID, file="orgs.csv")
            return
        since = self._builder.day_of([file, line, "beginDate"], row.get("beginDate", ""))
        until = self._builder.day_of([file, line, "endDate"], row.get("endDate", ""))
        if not person.active:
            self._builder.left_out["not_active"] += 1
        elif self._has_ended(file, line, until, person.grades):
            self._builder.left_out["ended"] += 1
        elif org.type != SCHOOL:
            self._builder.left_out["not_a_school"] += 1
            detail = sentence(
                "has the type {type} in orgs.csv, but a child must be enrolled at an organization of the type school; "
                "correct the type or the organization"
            )
            self._note_org(org_id, place, "not-a-school", detail, type=org.type)
        else:
            self._enroll(file, line, person, id_, (org_id, org), since)

    def _has_ended(self, file: str, line: int, until: date | None, grade: str) -> bool:
        """Say whether a role has ended. A role counts on its last day, in the cycle's time zone."""
        if until is None or until >= self._reference.today:
            return False
        return self._builder.possible_day(until, file=file, line=line, field="endDate", grade=grade) is not None

    def _enroll(
        self, file: str, line: int, person: _Person, id_: str, at: tuple[str, _Org], since: date | None
    ) -> None:
        org_id, org = at
        if org.school is None:
            self._note_org(org_id, ("orgs.csv", org.line, "identifier"), "unknown-school", UNKNOWN_SCHOOL)
        child, grade = self._student(id_, person)
        if child is None or grade is None or org.school is None:
            self._builder.left_out["unreadable"] += 1
        else:
            since = self._builder.possible_day(since, file=file, line=line, field="beginDate", grade=grade)
            self._builder.add(Enrolled(file, line, child, org.school, grade, since))

    def _note_org(self, org_id: str, place: tuple[str, int, str], code: str, detail: str, **values: str | int) -> None:
        """List a fault of an organization once, however many rows name it."""
        if org_id not in self._noted_orgs:
            self._noted_orgs.add(org_id)
            self._faults.leave_out(place, code, detail, **values)

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
        if "enrollments" not in self._files:
            return
        for line, row in self._files.rows("enrollments"):
            for field in ("classSourcedId", "schoolSourcedId", "userSourcedId", "role"):
                if not row[field].strip():
                    self._faults.add(
                        ["enrollments.csv", line, field], "missing", sentence("is missing; add the missing value")
                    )
