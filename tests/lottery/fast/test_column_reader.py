"""A market read straight into columns is the very market that the strict reader reads, or is refused as there."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import cities
from lottery.fast.column_reader import load_columns, read_quickly
from lottery.fast.columns import NONE, Columns, MarketInColumns, in_columns
from lottery.generate.generate import Plan, generate
from lottery.market.canonical import Json, canonical_line
from lottery.market.files import APPLICANTS, HEAD, MAX_LINE_BYTES, load_market, save_market
from lottery.market.json_reader import UnusableInput
from markets import backfill_markets, main_markets
from worked_examples import ALL_CASES, market_of

Document: TypeAlias = "dict[str, Json]"

FAULTS = Path(__file__).parents[1] / "faults"
EXPECTED = cast("dict[str, list[str]]", json.loads((FAULTS / "expected.json").read_text(encoding="utf-8")))
CONTAINERS = ("city.json", "city", "city.zip")


# ---- what is compared


def meaning(market: MarketInColumns) -> Sequence[object]:
    """Everything a market in columns says, whatever numbers its words have."""
    applicants = market.applicants
    everybody = [told(market, index) for index in range(len(applicants))]
    return [market.digest, market.round, market.policy, market.programs, everybody]


def told(market: MarketInColumns, index: int) -> Sequence[object]:
    columns = market.applicants
    start, end = columns.ranking_start[index : index + 2]
    return [
        columns.tickets[index],
        columns.grade.word(index),
        [market.programs[place].id for place in columns.ranking[start:end]],
        sorted(columns.zones.word(index) or ()),
        sorted(columns.flags.word(index) or ()),
        at_schools(columns, index),
        columns.attends.word(index),
        columns.household.word(index),
        columns.drawn_in.word(index),
        columns.together[index],
        columns.late[index],
        held(market, index),
    ]


def at_schools(columns: Columns, index: int) -> Mapping[str | None, Sequence[str]]:
    rows = (columns.at_applicant == index).nonzero()[0]
    return {columns.at_school.word(row): sorted(columns.at_facts.word(row) or ()) for row in rows}


def held(market: MarketInColumns, index: int) -> tuple[str, str] | None:
    columns = market.applicants
    if columns.holds_program[index] == NONE:
        return None
    program = market.programs[columns.holds_program[index]]
    return program.id, program.precedence[columns.holds_group[index]]


def answer(read: Callable[[Path], MarketInColumns], path: Path) -> Sequence[object]:
    """What was read, or the faults."""
    try:
        return meaning(read(path))
    except UnusableInput as refusal:
        return refusal.lines()


def strictly(path: Path) -> MarketInColumns:
    return in_columns(load_market(path))


def assert_the_same(path: Path) -> None:
    assert answer(load_columns, path) == answer(strictly, path)


# ---- what is written


def save(document: Document, path: Path) -> None:
    head = {key: value for key, value in document.items() if key != "applicants"}
    save_market(path, head, cast("Sequence[Mapping[str, Json]]", document["applicants"]))


def write(path: Path, head: str, applicants: Sequence[str], end: str = "\n") -> None:
    """Write a market's texts as they are: the head's without its last brace, applicants' one by one."""
    if path.suffix == ".json":
        whole = f'{head},"applicants":[{",".join(applicants)}]' + "}"
        path.write_bytes(whole.encode(errors="surrogatepass"))
        return
    parts = {HEAD: head + "}", APPLICANTS: "".join(applicant + end for applicant in applicants)}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in parts.items():
                archive.writestr(name, text.encode(errors="surrogatepass"))
    else:
        path.mkdir()
        for name, text in parts.items():
            (path / name).write_bytes(text.encode(errors="surrogatepass"))


PROGRAMS = (
    '[{"id":"oak-kg","school":"oak","grade":"KG","seats":1},{"id":"elm-kg","school":"elm","grade":"KG","seats":2},'
    '{"id":"elm-01","school":"elm","grade":"01","seats":2}]'
)
ROUND = '"round":{"id":"r","kind":"main"}'
PLAIN_HEAD = f'{{"format":"lottery-market/1",{ROUND},"programs":{PROGRAMS}'
FULL = (
    '{"id":"t1","grade":"KG","ranking":["oak-kg","elm-kg"],"zones":["Z1","a b"],"flags":["x"],"at":{"oak":["sib"]},'
    '"attends":"elm","household":"h","together":false,"late":false,"holds":{"program":"oak-kg","group":"open"},'
    '"drawn_in":"r"}'
)
BARE = '{"id":"t0","grade":"01","ranking":[]}'

ORDINARY = {
    "as it is": ("", ""),
    "spaces": ('"zones":["Z1","a b"],', '\t"zones" : [ "Z1" ,"a b" ] , '),
    "other letters": ('"Z1"', '"señal 🏠"'),
    "letters written as escapes": ('"Z1"', r'"se\u00f1al \ud83c\udfe0"'),
    "a key written with an escape": ('"late"', r'"l\u0061te"'),
    "unsorted facts": ('["Z1","a b"]', '["ｚ","b","🏠","a"]'),
    "unsorted schools": ('{"oak":["sib"]}', '{"oak":["b","a"],"elm":["x"]}'),
    "a school called like a key": ('{"oak":["sib"]}', '{"late":["grade"]}'),
    "ids of colons": ('"household":"h"', '"household":":"'),
    "nulls": ('"attends":"elm","household":"h"', '"attends":null,"household":null'),
    "no group": (',"group":"open"', ""),
    "nothing held": ('{"program":"oak-kg","group":"open"}', "null"),
    "no holds": ('"holds":{"program":"oak-kg","group":"open"},', ""),
    "late": ('"late":false', '"late":true'),
    "a round before": ('"drawn_in":"r"', '"drawn_in":"before"'),
    "no round": (',"drawn_in":"r"', ""),
    "nothing but what is required": (FULL, BARE.replace("t0", "t1")),
}
"""Changes of a text that leave nothing unusual."""

UNUSUAL = {
    "a key twice": ('"late":false', '"late":false,"late":false'),
    "a key twice, of which one is lost": ('"late":false', '"late":true,"late":false'),
    "a key twice, with spaces": ('"late":false', '"late" \n :false,\t"late"\r:false'),
    "a key twice, once with an escape": ('"late":false', r'"late":true,"l\u0061te":false'),
    "a ranking twice": ('"grade"', '"ranking":[],"grade"'),
    "facts twice": ('"flags":["x"]', '"flags":["x","y"],"flags":["x"]'),
    "a school twice": ('"oak":["sib"]', '"oak":["sib"],"oak":["sib"]'),
    "a school twice, with a missing key": ('"oak":["sib"]},"attends":"elm"', '"oak":["sib"],"oak":["sib"]}'),
    "a key twice in a held seat": ('"group":"open"', '"group":"open","group":"open"'),
    "no group, the program twice": ('"group":"open"', '"program":"oak-kg"'),
    "an unknown key": ('"late"', '"lite"'),
    "one key more": ('"late"', '"more":[[{"deep":1e400}]],"late"'),
    "an unknown key in a held seat": ('"group"', '"grope"'),
    "a key with a space": ('"late"', '"late "'),
    "a missing key": ('"grade":"KG",', ""),
    "a missing program": ('"program":"oak-kg",', ""),
    "text for truth": ('"late":false', '"late":"false"'),
    "a number for truth": ('"late":false', '"late":0'),
    "null for truth": ('"late":false', '"late":null'),
    "null for a list": ('["Z1","a b"]', "null"),
    "null for an object": ('{"oak":["sib"]}', "null"),
    "null for a round": ('"drawn_in":"r"', '"drawn_in":null'),
    "null for a ranking": ('["oak-kg","elm-kg"]', "null"),
    "null among facts": ('"Z1"', "null"),
    "a number for an id": ('"household":"h"', '"household":1'),
    "a fraction": ('"household":"h"', '"household":1.0'),
    "a number too large": ('"household":"h"', '"household":9007199254740993'),
    "a list for an object": ('{"oak":["sib"]}', '["oak"]'),
    "an object for a list": ('["Z1","a b"]', '{"Z1":"a b"}'),
    "text for a list": ('["Z1","a b"]', '"Z1"'),
    "a list for a held seat": ('{"program":"oak-kg","group":"open"}', '["open","oak-kg"]'),
    "an applicant that is a list": (FULL, '["t1","KG",[]]'),
    "an applicant that is null": (FULL, "null"),
    "two applicants in one": (FULL, f"{FULL}{BARE}"),
    "facts twice in a list": ('["Z1","a b"]', '["Z1","a b","Z1"]'),
    "a school without facts": ('{"oak":["sib"]}', '{"oak":[]}'),
    "decomposed text": ('"Z1"', '"sen\u0303al"'),
    "decomposed text as escapes": ('"Z1"', r'"sen\u0303al"'),
    "decomposed facts at a school": ('"sib"', '"sen\u0303al"'),
    "half a surrogate pair": ('"Z1"', r'"\ud83c"'),
    "the other half": ('"Z1"', r'"\udfe0 "'),
    "halves in the wrong order": ('"Z1"', r'"\udfe0\ud83c"'),
    "a surrogate as bytes": ('"Z1"', '"\ud83c"'),
    "a quote in a text": ('"Z1"', r'"Z\"1"'),
    "a quote in a text as an escape": ('"Z1"', r'"Z\u00221"'),
    "a key twice, quotes in a text": ('"flags":["x"]', r'"flags":["\u0022\u0022"],"flags":["\u0022\u0022"]'),
    "a backslash": ('"Z1"', r'"Z\\"'),
    "a control character": ('"Z1"', '"Z\x01"'),
    "a control character as an escape": ('"Z1"', r'"Z\u001f\u0000\n"'),
    "an unknown escape": ('"Z1"', r'"Z\x01"'),
    "a byte order mark": (FULL, f"\ufeff{FULL}"),
    "another space": ('"late"', '\u00a0"late"'),
    "a form feed": ('"late"', '\f"late"'),
    "a comment": ('"late"', '/* */"late"'),
    "a comma too many": ('"elm-kg"]', '"elm-kg",]'),
    "single quotes": ('"Z1"', "'Z1'"),
    "an id with a space": ('"t1"', '"t 1"'),
    "an id without letters": ('"t1"', '""'),
    "an id with an accent": ('"t1"', '"té"'),
    "an id with a line end": ('"t1"', r'"t\n1"'),
    "an id too long": ('"t1"', f'"{"t" * 65}"'),
    "a grade that is no id": ('"grade":"KG"', '"grade":"K G"'),
    "a grade in which nothing is held": ('"grade":"KG","ranking":["oak-kg","elm-kg"]', '"grade":"01","ranking":[]'),
    "a school that is no id": ('{"oak":["sib"]}', '{"o ak":["sib"]}'),
    "a school that is no id without facts": ('{"oak":["sib"]}', '{"o ak":[]}'),
    "a present school that is no id": ('"attends":"elm"', '"attends":""'),
    "a household that is no id": ('"household":"h"', '"household":"h/1"'),
    "a round that is no id": ('"drawn_in":"r"', '"drawn_in":"r s"'),
    "an unknown program": ('"elm-kg"]', '"elm"]'),
    "a program of another grade": ('"elm-kg"]', '"elm-01"]'),
    "a grade without that program": ('"grade":"KG"', '"grade":"PK"'),
    "a program twice": ('["oak-kg","elm-kg"]', '["elm-kg","oak-kg","elm-kg"]'),
    "an unknown program held": ('"program":"oak-kg"', '"program":"oak"'),
    "a program of another grade held": ('"program":"oak-kg"', '"program":"elm-01"'),
    "an unknown group held": ('"group":"open"', '"group":"shut"'),
    "a ticket twice": ('"t1"', '"t0"'),
    "more holders than seats": (FULL, f"{FULL},{FULL.replace('t1', 't2')}"),
    "siblings without an order of grades": ('"together":false', '"together":true'),
    "nesting without end": ('"late":false', f'"late":{"[" * 100_000}'),
    "nothing": (FULL, ""),
}
"""Changes of a text after which it is refused, or only the strict reader can say that it is right."""


def changed(change: tuple[str, str]) -> list[str]:
    old, new = change
    assert old in FULL
    return [FULL.replace(old, new, 1) if old else FULL, BARE]


# ---- ordinary markets are read quickly


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("plan", [cities.SMALL, cities.LARGE, cities.FLAT])
def test_a_generated_city_is_read_quickly_from_every_container(plan: Plan, container: str, tmp_path: Path) -> None:
    generated = generate(plan)
    save_market(tmp_path / container, generated.head, generated.applicants)

    quick = read_quickly(tmp_path / container)

    assert quick is not None
    assert meaning(quick) == meaning(strictly(tmp_path / container))


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_summer_with_held_seats_is_read_quickly(container: str, tmp_path: Path) -> None:
    save(cast("Document", cities.summer()), tmp_path / container)

    quick = read_quickly(tmp_path / container)

    assert quick is not None
    assert meaning(quick) == meaning(strictly(tmp_path / container))


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("change", ORDINARY.values(), ids=ORDINARY.keys())
def test_whatever_is_ordinary_is_read_quickly(change: tuple[str, str], container: str, tmp_path: Path) -> None:
    write(tmp_path / container, PLAIN_HEAD, changed(change))

    quick = read_quickly(tmp_path / container)

    assert quick is not None
    assert meaning(quick) == meaning(strictly(tmp_path / container))


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_market_without_applicants_is_read_quickly(container: str, tmp_path: Path) -> None:
    write(tmp_path / container, PLAIN_HEAD, [])

    quick = read_quickly(tmp_path / container)

    assert quick is not None
    assert meaning(quick) == meaning(strictly(tmp_path / container))


@pytest.mark.parametrize("indent", [None, 0, 3])
@pytest.mark.parametrize("letters", ["as they are", "as escapes"])
def test_a_document_is_read_quickly_however_it_is_laid_out(letters: str, indent: int | None, tmp_path: Path) -> None:
    path = tmp_path / "city.json"
    path.write_text(json.dumps(cities.summer(), ensure_ascii=letters == "as escapes", indent=indent), encoding="utf-8")

    quick = read_quickly(path)

    assert quick is not None
    assert meaning(quick) == meaning(strictly(path))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last_end", ["\n", "\r\n", "\r", ""])
def test_lines_may_end_as_on_any_system_and_the_last_not_at_all(last_end: str, end: str, tmp_path: Path) -> None:
    write(tmp_path / "city", PLAIN_HEAD, [])
    (tmp_path / "city" / APPLICANTS).write_bytes(f"{FULL}{end}{BARE}{last_end}".encode())

    assert (read_quickly(tmp_path / "city") is None) == ({end, last_end} == {"\n", "\r\n"})
    assert_the_same(tmp_path / "city")


# ---- whatever is not is read, or refused, by the strict reader


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_whatever_is_unusual_is_left_to_the_strict_reader(
    change: tuple[str, str], container: str, tmp_path: Path
) -> None:
    write(tmp_path / container, PLAIN_HEAD, changed(change))

    assert read_quickly(tmp_path / container) is None
    assert_the_same(tmp_path / container)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_each_fault_is_named_as_the_strict_reader_names_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FAULTS)

    assert answer(load_columns, Path(name)) == EXPECTED[name]


@pytest.mark.parametrize(
    "head",
    [
        f"{PLAIN_HEAD},{ROUND}",
        f'{PLAIN_HEAD},"applicants":[]',
        f'{PLAIN_HEAD},"applicants":[{FULL}]',
        f'{PLAIN_HEAD},"policy":{{"late":"after","late":"equal"}}',
        f'{PLAIN_HEAD},"policy":{{}},"policy":{{}}',
        f'{PLAIN_HEAD},"policy":null',
        f'{PLAIN_HEAD},"more":1',
        f'{PLAIN_HEAD},"r\\u006fund":{{"id":"s","kind":"main"}}',
        PLAIN_HEAD.replace('"seats":1', '"seats":1.0'),
        PLAIN_HEAD.replace('"seats":1', '"seats":9007199254740992'),
        PLAIN_HEAD.replace('"seats":1', '"seats":0'),
        PLAIN_HEAD.replace('"seats":1', '"seats":1,"seats":1'),
        PLAIN_HEAD.replace(f'"programs":{PROGRAMS}', '"programs":[]'),
        PLAIN_HEAD.replace(f',"programs":{PROGRAMS}', ""),
        PLAIN_HEAD.replace('"oak-kg"', '"oak-\udfe0"'),
        f"\ufeff{PLAIN_HEAD}",
        f" [{PLAIN_HEAD}",
        "PK",
        "",
    ],
)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_faulty_head_is_left_to_the_strict_reader(head: str, container: str, tmp_path: Path) -> None:
    write(tmp_path / container, head, [FULL, BARE])

    assert read_quickly(tmp_path / container) is None
    assert_the_same(tmp_path / container)


@pytest.mark.parametrize(
    "text",
    [
        f"{FULL}\n\n{BARE}\n",
        f"\n{FULL}\n{BARE}\n",
        f"{FULL}\n{BARE}\n\n",
        f"{FULL}\n{BARE}\n ",
        f"{FULL} {BARE}\n",
        f"{FULL}{BARE}",
        FULL.replace(",", "\n,") + "\n" + BARE,
        FULL.replace(',"grade"', '\n,"grade"') + BARE + "\n",
        FULL.replace(',"grade"', '\n,"grade"') + BARE,
        f"{FULL}\r{BARE}\r",
        f" {FULL} \n {BARE} \n",
        f"[{FULL},{BARE}]",
        "\n",
        " ",
        f"{FULL}{' ' * MAX_LINE_BYTES}\n{BARE}\n",
        f"{FULL}\n{BARE[:-1]}{' ' * (MAX_LINE_BYTES + 1 - len(BARE))}}}",
        f"{FULL}\n{BARE[:-1]}{' ' * (MAX_LINE_BYTES - len(BARE))}}}\n",
    ],
)
def test_lines_that_are_odd_are_left_to_the_strict_reader(text: str, tmp_path: Path) -> None:
    write(tmp_path / "city", PLAIN_HEAD, [])
    (tmp_path / "city" / APPLICANTS).write_text(text, encoding="utf-8", newline="")

    assert read_quickly(tmp_path / "city") is None
    assert_the_same(tmp_path / "city")


def test_a_line_may_be_as_long_as_the_strict_reader_has_it(tmp_path: Path) -> None:
    write(tmp_path / "city", PLAIN_HEAD, [f"{BARE[:-1]}{' ' * (MAX_LINE_BYTES - 1 - len(BARE))}}}", FULL])

    assert read_quickly(tmp_path / "city") is not None
    assert_the_same(tmp_path / "city")


@pytest.mark.parametrize("part", [HEAD, APPLICANTS])
def test_a_folder_without_one_of_its_parts_is_refused(part: str, tmp_path: Path) -> None:
    write(tmp_path / "city", PLAIN_HEAD, [FULL])
    (tmp_path / "city" / part).unlink()

    assert_the_same(tmp_path / "city")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert_the_same(tmp_path / "nowhere.json")


# ---- whatever comes


@pytest.mark.parametrize("name", ALL_CASES)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_worked_case_is_the_same_as_read_strictly(name: str, container: str, tmp_path: Path) -> None:
    save(market_of(name), tmp_path / container)

    assert_the_same(tmp_path / container)


@settings(max_examples=150)
@given(main_markets() | backfill_markets(), st.sampled_from(CONTAINERS))
def test_any_market_is_the_same_as_read_strictly(document: Json, container: str) -> None:
    with TemporaryDirectory() as folder:
        save(cast("Document", document), Path(folder) / container)

        assert_the_same(Path(folder) / container)


PIECES = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b" ", b"\n", b"\r", b"\x00", b"\xff", b"\xc3", b"\xef\xbb\xbf"),
    *(b"null", b"true", b"1.0", b"1e3", b"9007199254740992", b"\\u0022", b"\\ud800", b"n\xcc\x83", b'":', b'":"'),
    *(b'"late":true,', b'"at":{},', b',"ranking":[]', b'"group":"open",', b"{}", b"}\n{", b"},{", b'""', b'"x",'),
)


@st.composite
def spoiled(draw: DrawFn, text: bytes) -> bytes:
    """A text with some of its bytes changed, left out, put in, or standing twice."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        put_in = draw(st.sampled_from((*PIECES, text[start:end], text[start:end] * 2)) | st.binary(max_size=2))
        text = text[:start] + put_in + text[draw(st.sampled_from((start, start + 1, end))) :]
    return text


@st.composite
def spoiled_members(draw: DrawFn, text: bytes) -> bytes:
    """A text in which something between two commas stands somewhere else, or twice."""
    members = text.split(b",")
    for _ in range(draw(st.integers(1, 2))):
        there = draw(st.integers(0, len(members) - 1))
        here = draw(st.integers(max(0, there - 12), min(len(members) - 1, there + 12)))
        members[here : here + draw(st.integers(0, 1))] = [members[there]]
    return b",".join(members)


EVERYTHING = market_of("everything_backfill_round")
HEAD_TEXT = canonical_line({key: EVERYTHING[key] for key in EVERYTHING if key != "applicants"}).encode()
LINES = b"".join(
    canonical_line(applicant).encode() + b"\n" for applicant in cast("Sequence[Json]", EVERYTHING["applicants"])
)
WHOLE = canonical_line(EVERYTHING).encode()


def test_the_texts_that_are_spoiled_were_ordinary(tmp_path: Path) -> None:
    (tmp_path / "city.json").write_bytes(WHOLE)
    assert read_quickly(tmp_path / "city.json") is not None
    (tmp_path / HEAD).write_bytes(HEAD_TEXT)
    (tmp_path / APPLICANTS).write_bytes(LINES)
    assert read_quickly(tmp_path) is not None


@settings(max_examples=300)
@given(spoiled(WHOLE) | spoiled_members(WHOLE))
def test_a_spoiled_document_is_the_same_as_read_strictly(text: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "city.json"
        path.write_bytes(text)

        assert_the_same(path)


@settings(max_examples=300)
@given(spoiled(LINES) | spoiled_members(LINES))
def test_spoiled_lines_are_the_same_as_read_strictly(text: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / HEAD).write_bytes(HEAD_TEXT)
        (Path(folder) / APPLICANTS).write_bytes(text)

        assert_the_same(Path(folder))
