"""OneRoster packages: read in the forms that other systems write, and refused with the place of every fault."""

import random
from collections import Counter

import pytest

from enrollment.database import transaction
from people import Service
from roster_files import (
    FAULTY,
    MANIFESTS,
    ORGS,
    PACKAGES,
    bomb,
    bring,
    compared,
    contents,
    encrypted,
    listed,
    make_city_with_rolls,
    package_11,
    packed,
    packed_otherwise,
    part,
    person,
    reasons,
    refused,
    rows,
    schools,
    send,
    twice,
    unpacked,
)
from rounds_by_hand import City, join
from rows import add_school


@pytest.fixture
def city(service: Service) -> City:
    return make_city_with_rolls(service)


def test_correct_packages_of_oneroster_1_2_are_compared(city: City) -> None:
    bring(city, {"APP-7Q3K": "lincoln-kg", "stu-1": "lincoln-kg"})
    city.run_main()
    for name in ("min12", "homeroom12", "n_bom", "metadata"):
        told = compared(city, (PACKAGES / f"{name}.zip").read_bytes(), kind="application/zip")
        assert (told["format"], told["rows"], told["matched"]) == ("oneroster-1.2", 1, 1), name
        assert [one["school"] for one in schools(told)] == ["lincoln"]


def test_the_sis_id_is_read_from_the_requested_column(city: City) -> None:
    raw = (PACKAGES / "min12.zip").read_bytes()
    bring(city, {"stu-1": "lincoln-kg"})
    city.run_main()
    told = compared(city, raw, kind="application/zip")
    assert listed(told, "without_offer") == [
        {
            "file": "roles.csv",
            "line": 2,
            "school": "lincoln",
            "grade": "KG",
            "ticket": None,
            "reason": "no-application",
            "seat_at": None,
        }
    ]
    assert compared(city, raw, kind="application/zip", query="?sis_id_in=sourcedId")["matched"] == 1


def test_a_package_with_a_fault_is_refused_with_the_place_of_the_fault_and_stores_nothing(city: City) -> None:
    before = contents(city.service)
    for name, wanted in FAULTY.items():
        assert refused(city, (PACKAGES / f"{name}.zip").read_bytes(), kind="application/zip") == wanted, name
    assert contents(city.service) == before


def test_a_day_outside_the_school_years_is_no_proof_and_is_listed(city: City) -> None:
    """A system wrote 1900-01-01 and 0001-01-01 for an empty field, as the first day and as the last day."""
    with transaction(city.service.sessions) as session:
        add_school(session, "12345", grades=["KG"])
    join(city.service.school_staff("12345"), "12345", 1)
    told = compared(city, (PACKAGES / "begin_1900.zip").read_bytes(), kind="application/zip")
    assert (reasons(told), part(told, "not_compared", "stayed")) == (dict.fromkeys((2, 3), "no-application"), 0)
    early = {"file": "roles.csv", "field": "beginDate", "reason": "before-school-years"}
    assert listed(told, "days_not_used") == [{**early, "line": line} for line in (2, 3)]
    told = compared(city, (PACKAGES / "impossible_year.csv").read_bytes())
    assert (reasons(told), part(told, "not_compared", "stayed")) == ({2: "no-application"}, 0)
    assert listed(told, "days_not_used") == [{**early, "file": "roster.csv", "line": 2, "field": "enrolled_on"}]
    files = unpacked("min12")
    raw = packed({**files, "roles.csv": str(files["roles.csv"]).replace(
        "student,2026-08-24,", "student,2026-08-24,1900-01-01")})  # fmt: skip
    told = compared(city, raw, kind="application/zip")
    assert (told["children"], part(told, "not_compared", "ended")) == (1, 0)
    assert listed(told, "days_not_used") == [{**early, "line": 2, "field": "endDate"}]


def test_roles_that_have_ended_or_are_at_no_school_do_not_count(city: City) -> None:
    files = unpacked("min12")
    head, student, *_ = str(files["roles.csv"]).splitlines()
    ended = student.replace("2026-08-24,", "2025-08-24,2026-01-31").replace("r-1", "r-3")
    district = student.replace("sch-1", "lea-1").replace("r-1", "r-4")
    since = student.replace("2026-08-24", "2024-08-24")
    raw = packed({**files, "roles.csv": f"{head}\n{ended}\n{district}\n{since}\n"})
    told = compared(city, raw, kind="application/zip")
    assert (part(told, "not_compared", "ended"), part(told, "not_compared", "not_a_school")) == (1, 1)
    assert (part(told, "not_compared", "stayed"), told["rows"]) == (1, 3)


def test_oneroster_1_1_lists_schools_in_users_csv(city: City) -> None:
    bring(city, {"4711": "lincoln-kg", "u-2": "adams-kg"})
    city.run_main()
    raw = package_11(
        person("u-1", orgs="lea-1,sch-1", number="4711", status="active"),
        person("u-2", orgs="adams", enabled="false"),
        person("u-3", orgs="adams", status="tobedeleted"),
        person("u-4", orgs="adams", role="teacher", grades=""),
        person("u-5", orgs="adams, sch-1"),
    )
    told = compared(city, raw, kind="application/x-zip-compressed")
    assert (told["format"], told["matched"], told["children"]) == ("oneroster-1.1", 2, 3)
    assert [(row["file"], row["line"], row["school"]) for row in listed(told, "without_offer")] == [
        ("users.csv", 6, "adams"),
        ("users.csv", 6, "lincoln"),
    ]
    assert (part(told, "not_compared", "not_a_school"), part(told, "not_compared", "not_active")) == (1, 1)


def test_all_faults_of_a_package_are_listed_at_once(city: City) -> None:
    stranger = "sch-9,,,Elsewhere,school,,lea-1\n"
    raw = package_11(
        person("u-1", grades="K"),
        person("u-1"),
        person("u-2", role="pupil"),
        person("u-3", orgs="sch-1,nowhere"),
        person("u-4", number="4711"),
        person("u-5", number="4711", status="active"),
        person("u-6", orgs="sch-9"),
        person("u-7", orgs="sch-9"),
        "u-8,too,short\n",
        person("u-9", status="gone"),
        **{"orgs.csv": ORGS + stranger + "x,,,X,School,,\n"},
    )
    assert refused(city, raw, kind="application/zip") == {
        "/orgs.csv/6/type": "unknown-type",
        "/users.csv/2/grades": "unknown-grade",
        "/users.csv/3/sourcedId": "id-twice",
        "/users.csv/4/role": "unknown-role",
        "/users.csv/5/orgSourcedIds": "unknown-id",
        "/users.csv/7/identifier": "same-sis-id",
        "/orgs.csv/5/identifier": "unknown-school",
        "/users.csv/10": "wrong-length",
        "/users.csv/11/status": "unknown-status",
    }


def test_a_manifest_that_disagrees_with_its_package_is_refused(city: City) -> None:
    for manifest, wanted in MANIFESTS.items():
        raw = package_11(person("u-1"), **{"manifest.csv": manifest})
        assert refused(city, raw, kind="application/zip") == wanted, manifest


def test_a_zip_without_a_manifest_or_with_a_folder_is_refused(city: City) -> None:
    bare = packed({"roster.csv": rows("a,lincoln,KG")})
    assert refused(city, bare, kind="application/zip") == {"/manifest.csv": "missing-file"}
    beside = package_11(person("u-1"), **{"__MACOSX/._users.csv": "x", "README.txt": "x"})
    assert compared(city, beside, kind="application/zip")["rows"] == 1


def test_zips_that_are_none_or_that_are_traps_are_refused(city: City) -> None:
    def wrong(raw: bytes) -> dict[str, str]:
        return refused(city, raw, kind="application/zip")

    whole = package_11(person("u-1"))
    assert wrong(b"") == {"": "no-zip"}
    assert wrong(rows("s-1,lincoln,KG")) == {"": "no-zip"}
    assert wrong(whole[: len(whole) // 2]) == {"": "no-zip"}
    assert wrong(bomb()) == {"": "too-large-unpacked"}
    assert wrong(encrypted()) == {"": "encrypted"}
    assert wrong(twice()) == {"": "file-twice"}
    assert wrong(packed_otherwise()) == {"": "compression"}
    assert wrong(packed({f"{number}.csv": "" for number in range(1001)})) == {"": "too-large-unpacked"}
    long = package_11(person("u-1"), **{"orgs.csv": "x" * (3 << 20)})
    assert wrong(long) == {"/orgs.csv/1": "long-line"}


def test_a_damaged_zip_is_refused_wherever_the_damage_is(city: City) -> None:
    whole, dice = package_11(person("u-1"), person("u-2")), random.Random(1)  # noqa: S311
    codes = Counter[int]()
    for _ in range(150):
        raw = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        answer = send(city.otto, city.service, bytes(raw), kind="application/zip")
        codes[answer.status_code] += 1
        assert answer.status_code in (200, 422), answer.text
    assert codes[422] > 50
