"""The verifier refuses every outcome but the right one, and says by which rule."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

import lottery
from lottery.cli.main import main
from lottery.market.canonical import Json
from lottery.market.model import Market
from lottery.market.outcome import LastAdmitted, Outcome, Placement, Waitlist, read_outcome
from lottery.match.complaints import Rule
from lottery.match.verify import CHECKS
from markets import EARLIER_SEEDS, backfill_markets, main_markets, seeds

CASES = Path(__file__).parents[1] / "cases"
SEED = bytes(range(32))

Document = dict[str, Json]


def market() -> Market:
    """Two full schools, one with room, a closed reserve, a holder, somebody without a seat."""
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r1", "kind": "main"},
        "programs": [
            {
                "id": "oak",
                "school": "oak",
                "grade": "KG",
                "seats": 3,
                "reserves": [{"name": "near", "seats": 1, "when": {"zone_in": ["Z1"]}, "overflow": "closed"}],
                "tie_break": {"ranked": ["ada", "ben", "cem", "dora", "eve"]},
            },
            {"id": "elm", "school": "elm", "grade": "KG", "seats": 1},
            {"id": "fir", "school": "fir", "grade": "KG", "seats": 9},
        ],
        "applicants": [
            {"id": "ada", "grade": "KG", "ranking": ["oak"], "zones": ["Z1"]},
            {"id": "ben", "grade": "KG", "ranking": ["oak", "fir"]},
            {"id": "cem", "grade": "KG", "ranking": ["oak"]},
            {"id": "dora", "grade": "KG", "ranking": ["oak", "fir"], "zones": ["Z1"]},
            {"id": "eve", "grade": "KG", "ranking": ["oak"]},
            {"id": "hua", "grade": "KG", "ranking": ["elm", "fir"], "holds": {"program": "elm"}},
        ],
    }
    return lottery.read_market(document)


def right() -> Outcome:
    return lottery.match_market(market(), seed=SEED)


def seated(outcome: Outcome, applicant: str, program: str, group: str, choice: int | None = 1) -> Outcome:
    """Place an applicant elsewhere, whether they had a seat or not."""
    others = [placement for placement in outcome.placements if placement.applicant != applicant]
    placements = sorted([*others, Placement(applicant, program, group, choice)], key=lambda p: p.applicant)
    return replace(
        outcome,
        placements=tuple(placements),
        unplaced=tuple(ticket for ticket in outcome.unplaced if ticket != applicant),
    )


def unseated(outcome: Outcome, applicant: str) -> Outcome:
    return replace(
        outcome,
        placements=tuple(placement for placement in outcome.placements if placement.applicant != applicant),
        unplaced=tuple(sorted({*outcome.unplaced, applicant})),
    )


def with_last(outcome: Outcome, change: Callable[[LastAdmitted], LastAdmitted]) -> Outcome:
    cutoffs = tuple(
        replace(cutoff, last=change(cutoff.last)) if cutoff.last and cutoff.program == "elm" else cutoff
        for cutoff in outcome.cutoffs
    )
    return replace(outcome, cutoffs=cutoffs)


TAMPERED: list[tuple[Rule, str, str | None, str | None, Callable[[Outcome], Outcome]]] = [
    (Rule.SEED, "a seed that is none", None, None, lambda o: replace(o, seed="42")),
    (Rule.MARKET, "another market's digest", None, None, lambda o: replace(o, market="sha256:" + "0" * 64)),
    (Rule.KNOWN, "a stranger", "zoe", None, lambda o: replace(o, unplaced=(*o.unplaced, "zoe"))),
    (Rule.KNOWN, "a group that is not there", None, "fir", lambda o: seated(o, "cem", "fir", "near")),
    (Rule.ONCE, "somebody left out", "eve", None, lambda o: replace(o, unplaced=())),
    (Rule.ONCE, "somebody twice", "ada", None, lambda o: replace(o, placements=(o.placements[0], *o.placements))),
    (Rule.RANKED, "a seat that was not asked for", "eve", "fir", lambda o: seated(o, "eve", "fir", "open", None)),
    (Rule.CHOICE, "a choice counted wrong", "dora", "fir", lambda o: seated(o, "dora", "fir", "open", 1)),
    (Rule.CONSIDERED, "a closed reserve", "eve", "oak", lambda o: seated(unseated(o, "ada"), "eve", "oak", "near")),
    (Rule.SEATS, "one too many", None, "oak", lambda o: seated(o, "eve", "oak", "open")),
    (Rule.HOLDERS, "a holder sent lower", "hua", "elm", lambda o: seated(o, "hua", "fir", "open", 2)),
    (Rule.HOLDERS, "a holder without a seat", "hua", "elm", lambda o: unseated(o, "hua")),
    (Rule.WASTE, "an empty seat beside a child", "dora", "fir", lambda o: unseated(o, "dora")),
    (
        Rule.ENVY,
        "two children swapped",
        "cem",
        "oak",
        lambda o: seated(seated(o, "eve", "oak", "open"), "cem", "fir", "open"),
    ),
    (
        Rule.ENVY,
        "a later group before an earlier",
        "ada",
        "oak",
        lambda o: seated(seated(unseated(o, "cem"), "ada", "oak", "open"), "dora", "oak", "near"),
    ),
    (Rule.NUMBERS, "another number", None, "elm", lambda o: with_last(o, lambda last: replace(last, number="0" * 64))),
    (Rule.CUTOFFS, "another class", None, "elm", lambda o: with_last(o, lambda last: replace(last, class_="staff"))),
    (Rule.CUTOFFS, "a cutoff less", None, "oak", lambda o: replace(o, cutoffs=o.cutoffs[:-1])),
    (Rule.WAITLISTS, "a waitlist less", "dora", "oak", lambda o: replace(o, waitlists=o.waitlists[:-1])),
    (
        Rule.WAITLISTS,
        "a waitlist turned round",
        "eve",
        "oak",
        lambda o: replace(o, waitlists=tuple(replace(w, applicants=w.applicants[::-1]) for w in o.waitlists)),
    ),
    (Rule.ORDER, "placements out of order", "ada", None, lambda o: replace(o, placements=o.placements[::-1])),
    (Rule.ORDER, "cutoffs out of order", None, "oak", lambda o: replace(o, cutoffs=o.cutoffs[::-1])),
]


@pytest.mark.parametrize(("rule", "name", "applicant", "program", "tamper"), TAMPERED, ids=[row[1] for row in TAMPERED])
def test_each_check_catches_its_tampered_outcome_and_names_whom_and_where(
    rule: Rule, name: str, applicant: str | None, program: str | None, tamper: Callable[[Outcome], Outcome]
) -> None:
    complaints = lottery.verify(market(), tamper(right()))

    assert (rule, applicant, program) in {(at.rule, at.applicant, at.program) for at in complaints}, name


def test_every_check_has_a_tampered_outcome() -> None:
    assert {Rule.SEED, *CHECKS} == {row[0] for row in TAMPERED} | {Rule.REFERENCE}


def test_a_matching_that_suits_the_schools_best_is_stable_but_not_the_references() -> None:
    """Gale & Shapley 1962: with two schools and two children there may be two stable matchings."""
    market = lottery.read_market(
        {
            "format": "lottery-market/1",
            "round": {"id": "r1", "kind": "main"},
            "programs": [
                {"id": "x", "school": "x", "grade": "KG", "seats": 1, "tie_break": {"ranked": ["ben", "ada"]}},
                {"id": "y", "school": "y", "grade": "KG", "seats": 1, "tie_break": {"ranked": ["ada", "ben"]}},
            ],
            "applicants": [
                {"id": "ada", "grade": "KG", "ranking": ["x", "y"]},
                {"id": "ben", "grade": "KG", "ranking": ["y", "x"]},
            ],
        }
    )
    best_for_children = lottery.match_market(market, seed=SEED)
    first = LastAdmitted(holder=False, meets=True, late=False, class_="general", position=1)
    best_for_schools = replace(
        best_for_children,
        placements=(Placement("ada", "y", "open", 2), Placement("ben", "x", "open", 2)),
        cutoffs=tuple(replace(cutoff, last=first) for cutoff in best_for_children.cutoffs),
        waitlists=(Waitlist("x", "open", ("ada",)), Waitlist("y", "open", ("ben",))),
    )

    assert {at.rule for at in lottery.verify(market, best_for_schools)} == {Rule.REFERENCE}


@settings(deadline=None, max_examples=100)
@given(main_markets() | backfill_markets(), seeds())
def test_a_right_outcome_has_no_complaint(document: Json, seed: bytes) -> None:
    market = lottery.read_market(document)
    earlier = {round_id: its_seed for round_id, its_seed in EARLIER_SEEDS.items() if round_id != market.round.id}

    outcome = lottery.match_market(market, seed=seed, seeds=earlier)

    assert lottery.verify(market, outcome, seeds=earlier) == ()


def places(value: Json, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List every place in a document."""
    steps: list[tuple[str | int, Json]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    return [path, *(place for step, inner in steps for place in places(inner, (*path, step)))]


def changed(value: Json, path: tuple[str | int, ...], change: Callable[[Json], Json]) -> Json:
    if not path:
        return change(value)
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: changed(inner, rest, change) if key == step else inner for key, inner in value.items()}
    entries = cast("list[Json]", value)
    return [changed(inner, rest, change) if index == step else inner for index, inner in enumerate(entries)]


def other_values(value: Json) -> st.SearchStrategy[Json]:
    """Draw what somebody might write instead."""
    anything: st.SearchStrategy[Json] = st.sampled_from(
        [None, True, False, 0, 1, 2, "", "open", "t96f4c632cd0d", [], {}]
    )
    close_values: list[Json] = []
    if isinstance(value, bool):
        close_values = [not value]
    elif isinstance(value, int):
        close_values = [value + 1, max(value - 1, 0), value * 1000]
    elif isinstance(value, str):
        close_values = [value[:-1], value + "0", value.upper(), value[::-1]]
    elif isinstance(value, list):
        close_values = [value[1:], value[:-1], value[::-1], [*value, *value[:1]]]
    elif isinstance(value, dict):
        close_values = [{}, {**value, "note": "a word"}, dict(list(value.items())[1:])]
    choices = st.sampled_from(close_values) | anything if close_values else anything
    return choices.filter(lambda other: json.dumps(other) != json.dumps(value))


def worked_case(name: str) -> tuple[Market, dict[str, bytes], Document]:
    case = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    market = lottery.read_market(case["market"])
    earlier = {round_id: bytes.fromhex(seed) for round_id, seed in case.get("seeds", {}).items()}
    outcome = lottery.match_market(market, seed=bytes.fromhex(case["seed"]), seeds=earlier)
    return market, earlier, cast("Document", json.loads(outcome.to_bytes()))


WORKED = {name: worked_case(name) for name in ("everything_main_round", "reserves_backfill_round")}


@settings(deadline=None, max_examples=250)
@given(st.data(), st.sampled_from(sorted(WORKED)))
def test_any_change_of_any_value_is_refused(data: DataObject, name: str) -> None:
    market, earlier, document = WORKED[name]
    place = data.draw(st.sampled_from(places(document)))
    tampered = changed(document, place, lambda value: data.draw(other_values(value)))

    try:
        outcome = read_outcome(tampered)
    except lottery.UnusableInput:
        return
    assert lottery.verify(market, outcome, seeds=earlier) != ()


def test_any_bit_flipped_in_the_file_is_refused(tmp_path: Path) -> None:
    case = json.loads((CASES / "everything_main_round.json").read_text(encoding="utf-8"))
    (tmp_path / "market.json").write_text(json.dumps(case["market"]), encoding="utf-8")
    raw = lottery.match_market(lottery.read_market(case["market"]), seed=bytes.fromhex(case["seed"])).to_bytes()
    path = tmp_path / "outcome.json"

    for bit in range(0, len(raw) * 8, 101):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert main(["verify", str(tmp_path / "market.json"), str(path)]) in {1, 2}, bit


def test_the_same_values_written_otherwise_are_not_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = json.loads((CASES / "zero_capacity.json").read_text(encoding="utf-8"))
    (tmp_path / "market.json").write_text(json.dumps(case["market"]), encoding="utf-8")
    market = lottery.load_market(tmp_path / "market.json")
    outcome = lottery.match_market(market, seed=SEED)
    (tmp_path / "pretty.json").write_text(json.dumps(outcome.document(), indent=1), encoding="utf-8")

    assert main(["verify", str(tmp_path / "market.json"), str(tmp_path / "pretty.json")]) == 1
    assert "is not canonical JSON" in capsys.readouterr().out
