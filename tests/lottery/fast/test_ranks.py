"""Numbers as arrays are the numbers that anybody can recompute, and their ranks are the order of whole numbers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lottery
from lottery.fast.columns import in_columns
from lottery.fast.compile import compile_market
from lottery.fast.engine import match_on, ranks_in
from lottery.fast.ranks import OfficialNumbers, lottery_numbers, ranks_of
from lottery.market.canonical import canonical_line
from lottery.market.outcome import Cutoff, LastAdmitted, Outcome, Placement, Waitlist
from lottery.match.lottery_numbers import lottery_number
from match_examples import examples
from worked_examples import market_of

ROOT = Path(__file__).parents[3]
BARE = [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, sys.argv.pop(1)); import lottery.__main__"]
"""Python with its standard library alone, and the folder of the project."""


@examples(200)
@given(st.binary(min_size=32, max_size=32), st.text(max_size=70), st.lists(st.text(max_size=90), max_size=4))
def test_many_numbers_are_the_single_ones(seed: bytes, scope: str, subjects: list[str]) -> None:
    scope, subjects = _writable(scope), [_writable(subject) for subject in subjects]

    single = [lottery_number(seed=seed, scope=scope, subject=subject) for subject in subjects]
    assert lottery_numbers(seed, scope, subjects) == single


def _writable(text: str) -> str:
    return text.encode(errors="ignore").decode()


@examples(200)
@given(st.lists(st.tuples(*4 * [st.sampled_from((0, 1, 2**63, 2**64 - 1))]), max_size=12))
def test_ranks_go_by_whole_numbers_and_equal_ones_by_ticket(numbers: list[tuple[int, ...]]) -> None:
    order = sorted(range(len(numbers)), key=lambda index: (numbers[index], index))

    ranks = ranks_of(np.array(numbers, np.uint64).reshape(len(numbers), 4))
    assert ranks.tolist() == [order.index(index) for index in range(len(numbers))]


def test_a_standing_that_is_too_long_is_refused() -> None:
    market = in_columns(lottery.read_market(market_of("zero_capacity")))
    compiled = compile_market(market)
    ranks = ranks_in(compiled, OfficialNumbers(market, seed=bytes(32), seeds={}))
    too_long = type(ranks)(ranks.for_all, ranks.by_source, ranks.own, bits=62)

    with pytest.raises(lottery.UnusableInput, match="match it with the reference engine"):
        match_on(compiled, too_long)


def test_an_outcome_is_written_as_canonical_json_whatever_its_texts() -> None:
    odd = ("a\u0001", 'b"', "c\\", "d\x7f", "é\u2028", "", '","')
    outcome = Outcome(
        market='"',
        seed="\n",
        placements=(*(Placement(text, text, text, None) for text in odd), Placement("e", "f", "g", 3)),
        unplaced=odd,
        cutoffs=tuple(Cutoff(t, t, 3, 3, LastAdmitted(True, False, True, t, "ff")) for t in odd),
        waitlists=(*(Waitlist(text, text, (text, "plain")) for text in odd), Waitlist("p", "g", ())),
    )

    assert outcome.to_bytes() == canonical_line(outcome.document()).encode() + b"\n"


def test_without_what_the_fast_engine_needs_the_reference_matches(tmp_path: Path) -> None:
    seed, market = "5a" * 32, ROOT / "docs" / "example.json"
    command = [*BARE, str(ROOT), "match", str(market), "--seed", seed]

    bare = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert bare.stdout == lottery.match_market(lottery.load_market(market), seed=bytes.fromhex(seed)).to_bytes()
    assert bare.stderr == b""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["match", "--engine", "fast"],
            "--engine: $: the fast engine needs msgspec, numba, numpy; install them or choose",
        ),
        (["simulate", "--draws", "3", "-o", "table.csv"], "lottery: $: needs "),
        (["compare", "--draws", "3", "--change-b", "open-first"], "lottery: $: needs "),
    ],
)
def test_without_what_the_fast_engine_needs_what_stands_on_it_is_refused(
    words: list[str], said: str, tmp_path: Path
) -> None:
    name, *others = words
    market = str(ROOT / "docs" / "example.json")
    command = [*BARE, str(ROOT), name, market, "--seed", "5a" * 32, *others]

    refused = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith(said)
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
