"""Rosters for tests: a city with SIS ids, rosters as CSV and OneRoster packages, and their reports."""

import io
import struct
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from hypothesis import strategies as st
from sqlalchemy import select, update

from enrollment.cycles.locks import lock_cycle
from enrollment.database import Table, clock, transaction
from enrollment.directory.models import School
from enrollment.seats.models import Offer
from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CYCLE, City, apply, make_city

RECONCILE = f"{CYCLE}/rosters:reconcile"


PACKAGES = Path(__file__).parent / "rosters"


NCES = "110003000123"


HEADER = "sis_id,school,grade"


def bring(city: City, places: Mapping[str, str | None]) -> None:
    """Apply for children by their SIS ids, each with one ranked program or none."""
    for sis_id, program in places.items():
        apply(city.portal, f"ref-{sis_id}", [] if program is None else [program], sis_id=sis_id)


def rows(*told: str, header: str = HEADER) -> bytes:
    """Return a CSV roster."""
    return "".join(f"{row}\n" for row in (header, *told)).encode()


def send(
    caller: Caller, service: Service, raw: bytes, *, kind: str = "text/csv", query: str = "", key: str | None = None
) -> httpx2.Response:
    """Send a roster."""
    headers = {**caller.headers, "Content-Type": kind, "Idempotency-Key": key or uuid.uuid4().hex}
    return service.send("POST", RECONCILE + query, headers, raw)


def compared(city: City, raw: bytes, *, kind: str = "text/csv", query: str = "") -> dict[str, Json]:
    """Return the report of a roster."""
    answer = send(city.otto, city.service, raw, kind=kind, query=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Json] = answer.json()
    return told


def part(told: Json, *names: str) -> Json:
    """Return a part of an answer."""
    for name in names:
        assert isinstance(told, Mapping)
        told = told[name]
    return told


def listed(told: Json, name: str) -> list[Mapping[str, Json]]:
    """Return a complete list from an answer."""
    assert part(told, name, "more") == 0
    data = part(told, name, "data")
    assert isinstance(data, list)
    return [row for row in data if isinstance(row, Mapping)]


def reasons(told: Json) -> dict[Json, Json]:
    """Return the reason of each child without an offer, by line."""
    return {row["line"]: row["reason"] for row in listed(told, "without_offer")}


def faults(answer: httpx2.Response) -> dict[str, str]:
    """Return the codes of faults by place."""
    assert (answer.status_code, answer.json()["code"]) == (422, "unusable-roster"), answer.text
    return {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]}


def refused(city: City, raw: bytes, *, kind: str = "text/csv") -> dict[str, str]:
    """Return the faults of a refused roster."""
    return faults(send(city.otto, city.service, raw, kind=kind))


def answer_offer(city: City, sis_id: str, answer: str) -> None:
    """Accept or decline the offer of a child."""
    done = city.portal.post(f"/v1/offers/{offer_of(city, sis_id)}/{answer}")
    assert done.status_code == 200, done.text


def offer_of(city: City, sis_id: str) -> str:
    """Return the id of a child's only offer."""
    (offer,) = city.portal.get(f"{CYCLE}/applicants/ref-{sis_id}/offers").json()["data"]
    return str(offer["id"])


def ticket(city: City, sis_id: str) -> str:
    """Return a child's ticket."""
    return city.tickets()[f"ref-{sis_id}"]


def let_run_out(city: City, sis_id: str) -> None:
    """Let the deadline of a child's offer pass."""
    with transaction(city.service.sessions) as session:
        past = clock(session) - timedelta(minutes=1)
        session.execute(update(Offer).where(Offer.id == offer_of(city, sis_id)).values(answer_by=past, remind_at=past))
    city.service.sequence()


def empty_seats(told: Json) -> list[Mapping[str, Json]]:
    return listed(told, "seats_not_enrolled")


def schools(told: Json) -> list[Mapping[str, Json]]:
    found = part(told, "schools")
    assert isinstance(found, list)
    return [one for one in found if isinstance(one, Mapping)]


CHILDREN = 8


STATUSES = ("open", "accepted", "declined", "expired", "replaced", "withdrawn")


ROWS = st.lists(
    st.tuples(
        st.integers(0, CHILDREN + 2),
        st.sampled_from(["lincoln", "adams", "charter"]),
        st.sampled_from(["KG", "01", "08"]),
        st.sampled_from(["", "2020-08-24", "2026-08-24"]),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda row: (row[0], row[1]),
)


def set_statuses(city: City, statuses: Mapping[str, str]) -> None:
    """Set the status of offers."""
    with transaction(city.service.sessions) as session:
        for offer, status in statuses.items():
            closed = None if status == "open" else clock(session)
            session.execute(update(Offer).where(Offer.id == offer).values(status=status, closed_at=closed))


def adds_up(
    told: Mapping[str, Json],
    roster: Sequence[Sequence[str]],
    seats: Mapping[str, tuple[str, str]],
    tickets: Mapping[str, str],
) -> None:
    without, other, empty = (listed(told, name) for name in ("without_offer", "other_grade", "seats_not_enrolled"))
    not_compared = part(told, "not_compared")
    assert isinstance(not_compared, Mapping)
    assert told["rows"] == len(roster) == total([told["matched"], len(without), len(other), *not_compared.values()])
    assert told["children"] == len({child for child, *_ in roster})
    by_reason = part(told, "without_offer_by_reason")
    assert isinstance(by_reason, Mapping)
    assert by_reason == Counter(row["reason"] for row in without)
    for name in ("matched", "other_grade", "without_offer", "stayed"):
        wanted = {"matched": told["matched"], "other_grade": len(other), "without_offer": len(without)}
        assert total(school[name] for school in schools(told)) == wanted.get(name, not_compared["stayed"])
    for school in schools(told):
        parts = ("matched", "other_grade", "without_offer", "stayed", "not_compared")
        assert school["rows"] == total(school[name] for name in parts)
    # Every accepted seat at a school on the roster has its child there, or is listed.
    there = {(tickets.get(f"ref-{child}"), school) for child, school, *_ in roster}
    on_roster = {school for _, school, *_ in roster}
    assert {row["ticket"] for row in empty} == {
        child
        for child, (school, status) in seats.items()
        if status == "accepted" and school in on_roster and (child, school) not in there
    }
    # A child is without an offer only where it holds no seat, and the one that it holds elsewhere is told.
    for row in without:
        seat, status = seats.get(str(row["ticket"]), ("", ""))
        held = seat if status in ("open", "accepted") else None
        assert row["seat_at"] == held != row["school"]


def total(numbers: Iterator[Json] | Sequence[Json]) -> int:
    """Return the sum of numbers in an answer."""
    return sum(number for number in numbers if isinstance(number, int))


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """Return a zip file."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            package.writestr(name, text)
    return raw.getvalue()


def unpacked(name: str) -> dict[str, str | bytes]:
    """Return the files of a fixture."""
    with zipfile.ZipFile(PACKAGES / f"{name}.zip") as package:
        return {file: package.read(file).decode() for file in package.namelist()}


MANIFEST_11 = """propertyName,value
manifest.version,1.0
oneroster.version,1.1
file.academicSessions,absent
file.enrollments,absent
file.orgs,bulk
file.users,bulk
source.systemName,Invented
"""


ORGS = f"""sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId
lea-1,,,Demo City Schools,district,1100030,
sch-1,,,Lincoln,school,{NCES},lea-1
adams,,,Adams,school,,lea-1
"""


USERS_11 = (
    "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,"
    "middleName,identifier,email,sms,phone,agentSourcedIds,grades,password\n"
)


def person(
    sourced_id: str,
    *,
    orgs: str = "sch-1",
    role: str = "student",
    number: str = "",
    grades: str = "KG",
    status: str = "",
    enabled: str = "true",
) -> str:
    """Return a row of users.csv of OneRoster 1.1."""
    return f'{sourced_id},{status},,{enabled},"{orgs}",{role},x,,Ana,Diaz,,{number},,,,,{grades},\n'


def package_11(*persons: str, **files: str) -> bytes:
    """Return a OneRoster 1.1 package."""
    return packed({"manifest.csv": MANIFEST_11, "orgs.csv": ORGS, "users.csv": USERS_11 + "".join(persons), **files})


FAULTY: Mapping[str, Mapping[str, str]] = {
    "n_badrole": {"/roles.csv/2/role": "unknown-role"},
    "n_fk": {"/roles.csv/2/orgSourcedId": "unknown-id"},
    "n_gradeK": {"/users.csv/2/grades": "unknown-grade"},
    "n_nested": {"": "folder"},
    "n_noclass": {"/enrollments.csv/2/classSourcedId": "missing"},
    "n_order": {"/users.csv/1/enabledUser": "columns"},
    "n_unlisted": {"/manifest.csv/20/value": "not-absent"},
    "n_v11": {"/users.csv/1/orgSourcedIds": "columns"},
}


def contents(service: Service) -> dict[str, list[str]]:
    """Return every row of every table."""
    with transaction(service.sessions) as session:
        return {
            name: sorted(map(str, session.execute(select(table)).all()))
            for name, table in Table.metadata.tables.items()
        }


MANIFESTS: Mapping[str, Mapping[str, str]] = {
    MANIFEST_11.replace("users,bulk", "users,delta"): {"/manifest.csv/7/value": "not-whole"},
    MANIFEST_11.replace("users,bulk", "users,some"): {"/manifest.csv/7/value": "unknown-mode"},
    MANIFEST_11.replace("enrollments,absent", "enrollments,bulk"): {"/enrollments.csv": "missing-file"},
    MANIFEST_11.replace("version,1.1", "version,1.0"): {"/manifest.csv/3/value": "unknown-version"},
    "a,b\n": {"/manifest.csv/1/propertyName": "columns"},
    "": {"/manifest.csv/1/propertyName": "columns"},
}


NO_HEADER = {f"/roster.csv/1/{column}": "missing-column" for column in HEADER.split(",")}


CSV_FAULTS: Sequence[tuple[bytes, Mapping[str, str]]] = [
    (b"", NO_HEADER),
    (b"\n", NO_HEADER),
    (b"PK\x03\x04rest of a spreadsheet", {"/roster.csv": "not-csv"}),
    (b"\xd0\xcf\x11\xe0 a workbook of 1997", {"/roster.csv": "not-csv"}),
    (rows(), {"": "nobody"}),
    (b"sis_id,school\ns-1,lincoln\n", {"/roster.csv/1/grade": "missing-column"}),
    (b"sep=*\nsis_id*school*grade\ns-1*lincoln*KG\n", {"/roster.csv/1": "wrong-delimiter"}),
    (b"sis_id,school,grade,grade\n", {"/roster.csv/1/grade": "column-twice"}),
    (rows("s-1,lincoln"), {"/roster.csv/2": "wrong-length"}),
    (rows("s-1,lincoln,KG,more"), {"/roster.csv/2": "wrong-length"}),
    (rows(" ,lincoln,KG"), {"/roster.csv/2/sis_id": "no-sis-id"}),
    (rows("s\x07,lincoln,KG"), {"/roster.csv/2/sis_id": "text-control"}),
    (rows("9\u200b1,lincoln,KG"), {"/roster.csv/2/sis_id": "text-invisible"}),
    (rows("9\u202e1,lincoln,KG"), {"/roster.csv/2/sis_id": "text-direction"}),
    (rows("9\ue0001,lincoln,KG"), {"/roster.csv/2/sis_id": "text-private-use"}),
    (rows("\u2800,lincoln,KG"), {"/roster.csv/2/sis_id": "no-sis-id"}),
    (rows("\u0301,lincoln,KG"), {"/roster.csv/2/sis_id": "no-sis-id"}),
    (rows("s" * 501 + ",lincoln,KG"), {"/roster.csv/2/sis_id": "not-an-id"}),
    (rows("s-1,lincoln,K"), {"/roster.csv/2/grade": "unknown-grade"}),
    (rows("s-1,lincoln,14"), {"/roster.csv/2/grade": "unknown-grade"}),
    (rows('s-1,lincoln,"09,10"'), {"/roster.csv/2/grade": "several-grades"}),
    (rows("s-1,nowhere,KG", "s-2,nowhere,KG"), {"/roster.csv/2/school": "unknown-school"}),
    (rows("s-1,lincoln,KG", "s-1,lincoln,01"), {"/roster.csv/3": "two-grades"}),
    (rows("s,lincoln,KG,1/2/27", header=f"{HEADER},enrolled_on"), {"/roster.csv/2/enrolled_on": "not-a-date"}),
    *[
        (rows(f"s,lincoln,KG,{day}", header=f"{HEADER},enrolled_on"), {"/roster.csv/2/enrolled_on": "not-a-date"})
        for day in ("20240820", "2024-W34-2", "2024-8-20", "2024-02-30", "٢٠٢٤-08-20", "1801458000")
    ],
    (rows("s-1,lincoln,KG", '"s-2,lincoln,KG', "s-3,lincoln,KG"), {"/roster.csv/3": "broken-row"}),
    (rows("s-1,lincoln,KG") + b"s-\xff,lincoln,KG\n", {"/roster.csv/3": "not-utf-8"}),
    (rows("s" * 200_000 + ",lincoln,KG"), {"/roster.csv/2": "broken-row"}),
]


def bomb(name: str = "users.csv") -> bytes:
    """Return a zip file of three megabytes whose directory promises three gigabytes."""
    raw = package_11(person("u-1"))
    at = raw.rindex(name.encode()) - 46
    return raw[: at + 24] + struct.pack("<I", 3 << 30) + raw[at + 28 :]


def encrypted() -> bytes:
    """Return a zip file whose directory says that a file has a password."""
    raw = package_11(person("u-1"))
    at = raw.rindex(b"users.csv") - 46
    return raw[: at + 8] + b"\x01\x00" + raw[at + 10 :]


def twice() -> bytes:
    """Return a zip file with two files of the same name."""
    raw = io.BytesIO(package_11(person("u-1")))
    with zipfile.ZipFile(raw, "a") as package, pytest.warns(UserWarning, match="Duplicate name"):
        package.writestr("users.csv", "x")
    return raw.getvalue()


def packed_otherwise() -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_LZMA) as package:
        package.writestr("manifest.csv", MANIFEST_11)
    return raw.getvalue()


def make_city_with_rolls(service: Service) -> City:
    """Return a city before its first round. The children have the SIS ids s-1, s-2, …, or the id in the fixtures."""
    city = make_city(service, children=0, lincoln=9, adams=9)
    with transaction(service.sessions) as session:
        session.get_one(School, "lincoln").nces_id = NCES
        lock_cycle(session, "2027").cycle.opens_at = datetime(2026, 1, 10, 12, tzinfo=UTC)
    return city
