"""A market is read strictly: every fault at once, by file and path, or the very market that was written."""

import json
import zipfile
from pathlib import Path
from typing import cast

import pytest
import rfc8785
from hypothesis import given, settings

import lottery
from lottery.market.canonical import Json, canonical_line
from lottery.market.files import MAX_LINE_BYTES, save_market
from lottery.market.json_reader import MAX_COUNTED, MAX_FAULTS
from markets import backfill_markets, main_markets

FAULTS = Path(__file__).parents[1] / "faults"
EXPECTED = cast("dict[str, list[str]]", json.loads((FAULTS / "expected.json").read_text(encoding="utf-8")))
CASES = Path(__file__).parents[1] / "cases"


def case(name: str) -> dict[str, Json]:
    market = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))["market"]
    return cast("dict[str, Json]", market)


def faults_of(path: Path) -> list[str]:
    with pytest.raises(lottery.UnusableInput) as refusal:
        lottery.load_market(path)
    return refusal.value.lines()


def applicants_of(document: dict[str, Json]) -> list[dict[str, Json]]:
    return cast("list[dict[str, Json]]", document["applicants"])


def test_every_faulty_file_is_expected_and_every_expected_one_is_there() -> None:
    assert sorted(path.name for path in FAULTS.iterdir() if path.name != "expected.json") == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_each_fault_is_named_with_file_path_and_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FAULTS)

    assert faults_of(Path(name)) == EXPECTED[name]


def test_no_fault_quotes_what_may_be_a_childs_name() -> None:
    everything = json.dumps(EXPECTED).lower()

    assert "lopez" not in everything
    assert "maria" not in everything


def test_a_line_without_end_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    document = case("zero_capacity")
    save_market(tmp_path / "city", {key: document[key] for key in document if key != "applicants"}, [])
    (tmp_path / "city" / "applicants.jsonl").write_bytes(b'{"id": "' + b"x" * MAX_LINE_BYTES + b'"}\n')

    (fault,) = faults_of(tmp_path / "city")

    assert f"is longer than {MAX_LINE_BYTES} bytes" in fault


@pytest.mark.parametrize("end", ["", "]"])
def test_nesting_without_end_is_refused(end: str, tmp_path: Path) -> None:
    deep = 1_000_000
    path = tmp_path / "deep.json"
    path.write_text("[" * deep + end * deep, encoding="utf-8")

    assert faults_of(path) == [f"{path}: $: the JSON is nested too deeply; remove levels of nesting"]


def test_a_hopeless_file_gives_the_first_faults_and_the_number_of_the_rest(tmp_path: Path) -> None:
    document = case("zero_capacity")
    path = tmp_path / "hopeless.json"
    path.write_text(json.dumps({**document, "applicants": [{}] * MAX_FAULTS}), encoding="utf-8")

    lines = faults_of(path)

    assert len(lines) == MAX_FAULTS + 1
    assert lines[-1] == f"and {2 * MAX_FAULTS} more faults"


def test_a_file_without_end_of_faults_is_not_read_to_its_end(tmp_path: Path) -> None:
    document = case("zero_capacity")
    save_market(tmp_path / "city", {key: document[key] for key in document if key != "applicants"}, [])
    (tmp_path / "city" / "applicants.jsonl").write_bytes(b"\n" * 2 * (MAX_FAULTS + MAX_COUNTED))

    assert faults_of(tmp_path / "city")[-1] == f"and {MAX_COUNTED} more faults; reading stopped there"


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path / "nowhere.json")

    assert fault.startswith(f"{tmp_path / 'nowhere.json'}: $: no such file")


@pytest.mark.parametrize("name", ["city.json", "city.zip", "city"])
def test_a_market_is_the_same_from_one_file_a_folder_and_a_zip(name: str, tmp_path: Path) -> None:
    document = case("everything_backfill_round")
    head = {key: document[key] for key in document if key != "applicants"}

    save_market(tmp_path / name, head, applicants_of(document))

    assert lottery.load_market(tmp_path / name) == lottery.read_market(document)


def test_a_deflated_zip_is_read_too(tmp_path: Path) -> None:
    document = case("everything_main_round")
    lines = [json.dumps(applicant) for applicant in applicants_of(document)]
    with zipfile.ZipFile(tmp_path / "city.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("market.json", json.dumps({key: document[key] for key in document if key != "applicants"}))
        archive.writestr("applicants.jsonl", "\r\n".join(lines) + "\r\n")

    assert lottery.load_market(tmp_path / "city.zip") == lottery.read_market(document)


@settings(deadline=None, max_examples=150)
@given(main_markets() | backfill_markets())
def test_the_canonical_form_is_rfc_8785_and_reads_as_the_same_market(document: Json) -> None:
    market = lottery.read_market(document)

    lines = list(market.canonical_lines())

    parsed = [json.loads(line) for line in lines]
    assert [rfc8785.dumps(line).decode() for line in parsed] == lines
    again = lottery.read_market({**parsed[0], "applicants": parsed[1:]})
    assert list(again.canonical_lines()) == lines


def test_canonical_text_escapes_only_what_rfc_8785_escapes() -> None:
    odd: Json = {"a": '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028é💡', "b": [0, 2**53 - 1, True, None]}

    assert canonical_line(odd).encode() == rfc8785.dumps(odd)


def test_facts_are_sorted_and_freed_of_repeats_and_schools_without_facts_dropped() -> None:
    document: Json = {
        "format": "lottery-market/1",
        "round": {"id": "r", "kind": "main"},
        "programs": [],
        "applicants": [
            {
                "id": "t",
                "grade": "KG",
                "ranking": [],
                "zones": ["é", "Z", "z", "Z"],
                "flags": ["b", "a", "b"],
                "at": {"oak": [], "elm": ["y", "x", "y"]},
            }
        ],
    }

    assert list(lottery.read_market(document).canonical_lines())[1] == (
        '{"at":{"elm":["x","y"]},"attends":null,"drawn_in":"r","flags":["a","b"],"grade":"KG","holds":null,'
        '"household":null,"id":"t","late":false,"ranking":[],"together":false,"zones":["Z","z","é"]}'
    )
