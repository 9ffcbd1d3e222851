"""The command `check-seed`: it computes a seed again from the freeze in the log and from the dice."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from command_line import Captured
from lottery.cli.main import main
from lottery.market.canonical import Json, canonical_line
from lottery.transparency_log.commitments import seed_of
from lottery.transparency_log.merkle import leaf_hash

DICE = "27182818284590452353"
FREEZE: Mapping[str, Json] = {
    "v": 1,
    "type": "round.freeze",
    "round": "2027-main",
    "applicants": 12,
    "randomness": {"dice": True, "not_before": "2027-03-01T17:00:00Z"},
}
LEAF = leaf_hash(canonical_line(FREEZE).encode())
DRAW: Mapping[str, Json] = {"v": 1, "type": "round.draw", "round": "2027-main", "freeze": LEAF.hex(), "dice": DICE}
ROUND: Mapping[str, Json] = {
    "id": "2027-main",
    "state": "published",
    "freeze": LEAF.hex(),
    "dice": DICE,
    "seed": seed_of(freeze_leaf=LEAF, dice=DICE).hex(),
}


def check(folder: Path, round_: Json, *bodies: Mapping[str, Json]) -> int:
    """Write the round and the log as GET gives them, and check the seed."""
    files = [folder / "round.json", folder / "entries.json"]
    files[0].write_text(json.dumps(round_))
    entries = [{"index": place, "entry": canonical_line(body), "leaf_hash": ""} for place, body in enumerate(bodies)]
    files[1].write_text(json.dumps({"size": len(entries), "entries": entries}))
    return main(["check-seed", *map(str, files if bodies else files[:1])])


def answers(capsys: Captured) -> list[str]:
    """Return the checks that failed."""
    return [line[5:] for line in capsys.readouterr().out.splitlines() if line.startswith("NO")]


def test_a_seed_that_follows_from_the_freeze_and_the_dice_is_right(tmp_path: Path, capsys: Captured) -> None:
    assert check(tmp_path, ROUND, FREEZE, DRAW) == 0
    assert capsys.readouterr().out.splitlines() == [
        "yes  the seed follows from the freeze and the dice",
        "yes  the log has the freeze of this round",
        "yes  the log has these dice for this freeze",
        "yes  the freeze came before the dice",
        "yes  the round has dice exactly when the freeze asks for dice",
        "The seed of 2027-main is right.",
    ]


def test_the_draw_file_does_too_and_a_round_without_dice(tmp_path: Path, capsys: Captured) -> None:
    draw = {name: value for name, value in ROUND.items() if name not in {"id", "state"}}
    assert check(tmp_path, {**draw, "round": "2027-main", "seeds": {}}) == 0
    assert check(tmp_path, {**ROUND, "dice": None, "seed": seed_of(freeze_leaf=LEAF, dice=None).hex()}) == 0
    assert answers(capsys) == []


def test_one_changed_digit_of_the_dice_is_found(tmp_path: Path, capsys: Captured) -> None:
    assert check(tmp_path, {**ROUND, "dice": DICE[:-1] + "4"}, FREEZE, DRAW) == 1
    assert answers(capsys) == [
        "the seed follows from the freeze and the dice",
        "the log has these dice for this freeze",
    ]


def test_other_dice_with_a_seed_that_fits_them_are_found_in_the_log(tmp_path: Path, capsys: Captured) -> None:
    other = "9" * 20
    round_ = {**ROUND, "dice": other, "seed": seed_of(freeze_leaf=LEAF, dice=other).hex()}
    assert check(tmp_path, round_) == 0
    assert check(tmp_path, round_, FREEZE, DRAW) == 1
    assert answers(capsys) == ["the log has these dice for this freeze"]


def test_a_changed_freeze_is_found(tmp_path: Path, capsys: Captured) -> None:
    assert check(tmp_path, {**ROUND, "freeze": "0" + LEAF.hex()[1:]}) == 1
    assert answers(capsys) == ["the seed follows from the freeze and the dice"]
    assert check(tmp_path, ROUND, {**FREEZE, "applicants": 13}, DRAW) == 1
    assert answers(capsys) == ["the log has the freeze of this round"]


def test_dice_before_the_freeze_and_dice_that_are_missing_are_found(tmp_path: Path, capsys: Captured) -> None:
    assert check(tmp_path, ROUND, DRAW, FREEZE) == 1
    assert answers(capsys) == ["the freeze came before the dice"]
    without = {**ROUND, "dice": None, "seed": seed_of(freeze_leaf=LEAF, dice=None).hex()}
    assert check(tmp_path, without, FREEZE, {**DRAW, "dice": None}) == 1
    assert answers(capsys) == ["the round has dice exactly when the freeze asks for dice"]


@pytest.mark.parametrize(
    ("round_", "place"),
    [
        ([], "$"),
        ({}, "$.id"),
        ({**ROUND, "freeze": None}, "$.freeze"),
        ({**ROUND, "seed": "xyz"}, "$.seed"),
        ({**ROUND, "dice": 27182}, "$.dice"),
        ({**ROUND, "dice": "123"}, "$.dice"),
    ],
)
def test_a_malformed_file_is_named_with_the_place(round_: Json, place: str, tmp_path: Path, capsys: Captured) -> None:
    assert check(tmp_path, round_) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"{tmp_path}/round.json: {place}: ")


def test_a_log_that_is_no_log_and_a_file_that_is_no_json_are_named(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "round.json").write_text(json.dumps(ROUND))
    other = tmp_path / "entries.json"
    for text in ("{}", '{"entries":[7]}', '{"entries":[{"index":0,"entry":"nothing"}]}', "nothing"):
        other.write_text(text)
        assert main(["check-seed", str(tmp_path / "round.json"), str(other)]) == 2
        assert capsys.readouterr().err.startswith(f"{other}: $")
    assert main(["check-seed", str(tmp_path / "missing.json")]) == 2
