"""Rosters as spreadsheets and school systems write them: read where they are unambiguous, and named where not."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from enrollment.database import transaction
from lottery.market.canonical import Json
from people import Service
from roster_files import (
    PACKAGES,
    bring,
    compared,
    listed,
    make_city_with_rolls,
    packed,
    part,
    reasons,
    refused,
    rows,
)
from rounds_by_hand import City
from rows import add_school

FILES = Path(__file__).parent / "real"
ZIP = "application/zip"


def file(name: str) -> bytes:
    return (FILES / name).read_bytes().replace(b"12345", b"lincoln")


@pytest.fixture
def city(service: Service) -> City:
    """A city whose schools have the ids that the files name."""
    city = make_city_with_rolls(service)
    with transaction(service.sessions) as session:
        for school in ("12345", "54321"):
            add_school(session, school, grades=["KG", "09"])
    return city


def lines_left_out(told: Mapping[str, Json]) -> dict[str, str]:
    """Return the codes of the faults of rows, by place."""
    return {str(row["pointer"]): str(row["code"]) for row in listed(told, "left_out")}


def test_csv_is_read_in_the_forms_that_spreadsheets_write(city: City) -> None:
    """Old Mac line ends, a line `sep=`, a comma at the end of rows, semicolons, tabs, UTF-16, grade 9 for 09."""
    plain = "sis_id;school;grade\n900112;12345;KG\n"
    forms = [
        (FILES / "cr_line_ends.csv").read_bytes(),
        (FILES / "sep_line.csv").read_bytes(),
        (FILES / "trailing_comma.csv").read_bytes(),
        b"sis_id,school,grade,\n900112,12345,KG,\n",
        plain.encode(),
        f"sep=;\r\n{plain}".encode(),
        plain.replace(";", "\t").encode("utf-16"),
        plain.replace(";", ",").encode("utf-8-sig"),
    ]
    for raw in forms:
        told = compared(city, raw)
        assert (told["rows"], told["children"], part(told, "not_compared", "unreadable")) == (1, 1, 0), raw
    told = compared(city, (FILES / "grade_9.csv").read_bytes())
    assert (told["rows"], lines_left_out(told)) == (1, {})


@pytest.mark.parametrize("name", ["apostrophe_text_marker", "formula_text_marker"])
def test_the_marks_of_text_in_a_spreadsheet_are_no_part_of_an_id(city: City, name: str) -> None:
    bring(city, {"0900112": "lincoln-kg"})
    told = compared(city, file(f"{name}.csv"))
    assert reasons(told) == {2: "no-offer"}


def test_the_answer_says_how_many_ids_would_match_with_their_zeros(city: City) -> None:
    bring(city, {"0000112": "lincoln-kg", "0000113": "lincoln-kg", "0000114": None, "7654321": "lincoln-kg"})
    raw = rows("112,lincoln,KG", "113,lincoln,KG", "114,lincoln,KG", "7654321,lincoln,KG", "x1,lincoln,KG")
    told = compared(city, raw)
    spelling = part(told, "other_spelling")
    assert isinstance(spelling, Mapping)
    assert {name: spelling[name] for name in ("sis_id_digits", "tried", "matching", "would_match")} == {
        "sis_id_digits": 7,
        "tried": 4,
        "matching": 1,
        "would_match": 4,
    }
    assert "?sis_id_digits=7" in str(spelling["detail"])
    again = compared(city, raw, query="?sis_id_digits=7")
    assert part(again, "other_spelling") is None
    assert set(reasons(again).values()) == {"no-offer", "no-application"}
    assert list(reasons(again).values()).count("no-application") == 1


def test_a_spreadsheet_that_lost_the_zeros_is_recognized(city: City) -> None:
    bring(city, {"0900112": "lincoln-kg", "0000112": "lincoln-kg"})
    told = compared(city, file("leading_zero_lost.csv"))
    assert part(told, "other_spelling", "sis_id_digits") == 7


def test_a_roster_with_more_zeros_than_the_applications_is_recognized_too(city: City) -> None:
    bring(city, {"112": "lincoln-kg"})
    told = compared(city, rows("0000112,lincoln,KG"))
    assert part(told, "other_spelling", "sis_id_digits") == 3
    assert reasons(compared(city, rows("0000112,lincoln,KG"), query="?sis_id_digits=3")) == {2: "no-offer"}


def test_a_row_that_cannot_be_read_is_left_out_and_the_others_are_compared(city: City) -> None:
    told = compared(
        city,
        rows(
            "s-1,lincoln,KG",
            "s-2,nowhere,KG",
            "s-3,nowhere,KG",
            "s-4,lincoln,K",
            ",lincoln,KG",
            "s-5,lincoln",
            "s-6,lincoln,KG,more",
        ),
    )
    assert lines_left_out(told) == {
        "/roster.csv/3/school": "unknown-school",
        "/roster.csv/5/grade": "unknown-grade",
        "/roster.csv/6/sis_id": "no-sis-id",
        "/roster.csv/7": "wrong-length",
        "/roster.csv/8": "wrong-length",
    }
    assert (told["rows"], told["children"], part(told, "not_compared", "unreadable")) == (7, 1, 6)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("spreadsheet_as_csv.csv", {"/roster.csv": "not-csv"}),
        ("only_a_department.zip", {"/roles.csv/2/orgSourcedId": "not-a-school"}),
        ("two_grades_in_a_list.zip", {"/users.csv/2/grades": "several-grades"}),
    ],
)
def test_the_true_cause_is_named(city: City, name: str, wanted: Mapping[str, str]) -> None:
    kind = ZIP if name.endswith(".zip") else "text/csv"
    assert refused(city, (FILES / name).read_bytes(), kind=kind) == wanted


def test_an_excel_workbook_is_called_one(city: City) -> None:
    assert refused(city, packed({"xl/workbook.xml": "<x/>", "[Content_Types].xml": "<x/>"}), kind=ZIP) == {
        "": "workbook"
    }


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("grade_9", []),
        ("status_active", ["status-in-bulk"]),
        ("short_manifest", ["missing-row"]),
    ],
)
def test_a_package_that_departs_from_its_format_is_read_with_a_note(city: City, name: str, notes: list[str]) -> None:
    told = compared(city, (FILES / f"{name}.zip").read_bytes(), kind=ZIP)
    assert (told["rows"], told["children"]) == (1, 1)
    found = part(told, "notes")
    assert isinstance(found, list)
    assert sorted({str(note["code"]) for note in found if isinstance(note, Mapping)}) == notes


@pytest.mark.parametrize("name", ["bad_status", "n_missingrow"])
def test_packages_that_a_strict_validator_refuses_are_read_where_they_are_clear(city: City, name: str) -> None:
    told = compared(city, (PACKAGES / f"{name}.zip").read_bytes(), kind=ZIP)
    assert (told["rows"], told["children"]) == (1, 1)


def test_a_second_school_of_a_child_is_counted_and_not_compared(city: City) -> None:
    told = compared(city, (FILES / "secondary_role_at_another_school.zip").read_bytes(), kind=ZIP)
    assert (told["rows"], told["children"], part(told, "not_compared", "secondary_role")) == (2, 1, 1)
