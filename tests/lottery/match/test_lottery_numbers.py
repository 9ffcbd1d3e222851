"""A number hangs on the seed and the subject, and anybody can draw it again."""

import hashlib
import shutil
import subprocess

import pytest

import lottery
from lottery.market.model import Applicant, Market
from lottery.match.lottery_numbers import Draw, lottery_number
from worked_examples import Document, matched

SEED = bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0")
EARLIER = bytes.fromhex("11" * 32)


def market(*, tie_break: str = "single", twins: str = "separate", order: str = "waitlist") -> Market:
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r2", "kind": "backfill"},
        "policy": {"tie_break": tie_break, "twins": twins},
        "programs": [
            {"id": "oak", "school": "oak", "grade": "KG", "seats": 1, "backfill": {"order": order}},
            {"id": "elm", "school": "elm", "grade": "KG", "seats": 1, "backfill": {"order": order}},
        ],
        "applicants": [
            {"id": "ada", "grade": "KG", "ranking": ["oak", "elm"], "household": "h", "drawn_in": "r1"},
            {"id": "ben", "grade": "KG", "ranking": ["oak", "elm"], "household": "h", "drawn_in": "r1"},
            {"id": "new", "grade": "KG", "ranking": ["oak"]},
        ],
    }
    return lottery.read_market(document)


def number(market: Market, ticket: str, program: str) -> str:
    draw = Draw(market, seed=SEED, seeds={"r1": EARLIER})
    applicant: Applicant = next(child for child in market.applicants if child.id == ticket)
    return draw.number(applicant, next(at for at in market.programs if at.id == program)).hex()


def test_a_number_is_this_very_one() -> None:
    drawn = lottery_number(seed=SEED, scope="*", subject="9f2c51")

    assert drawn.hex() == "1a77dde39ba5f4a68823e58c1f35765db1e3d91e66a18ff26a80df553d01bd90"


@pytest.mark.parametrize(("scope", "subject"), [("*", "9f2c51"), ("lincoln-kg", "h-77/KG")])
def test_openssl_draws_the_same_number(scope: str, subject: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    message = b"enroll-lottery/v1/lottery\0" + scope.encode() + b"\0" + subject.encode()
    command = [openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{SEED.hex()}"]

    printed = subprocess.run(command, input=message, capture_output=True, check=True).stdout.decode()

    assert printed.split()[-1] == lottery_number(seed=SEED, scope=scope, subject=subject).hex()


def test_with_single_an_applicant_has_one_number_everywhere() -> None:
    assert number(market(), "ada", "oak") == number(market(), "ada", "elm")


def test_with_multiple_an_applicant_has_a_number_at_each_program() -> None:
    drawn = market(tie_break="multiple")

    assert number(drawn, "ada", "oak") == lottery_number(seed=EARLIER, scope="oak", subject="ada").hex()
    assert number(drawn, "ada", "elm") == lottery_number(seed=EARLIER, scope="elm", subject="ada").hex()


def test_twins_share_a_number_only_where_the_policy_says_so() -> None:
    shared = market(twins="share")

    assert number(shared, "ada", "oak") == number(shared, "ben", "oak")
    assert number(shared, "ada", "oak") == lottery_number(seed=EARLIER, scope="*", subject="h/KG").hex()
    assert number(market(), "ada", "oak") != number(market(), "ben", "oak")


def test_who_waited_keeps_the_number_and_a_newcomer_is_drawn_now() -> None:
    assert number(market(), "ada", "oak") == lottery_number(seed=EARLIER, scope="*", subject="ada").hex()
    assert number(market(), "new", "oak") == lottery_number(seed=SEED, scope="*", subject="new").hex()


def test_fresh_draws_everybody_anew() -> None:
    assert number(market(order="fresh"), "ada", "oak") == lottery_number(seed=SEED, scope="*", subject="ada").hex()


def test_reverse_turns_every_byte_round_newcomers_too() -> None:
    for ticket in ("ada", "new"):
        plain = bytes.fromhex(number(market(), ticket, "oak"))
        assert number(market(order="reverse"), ticket, "oak") == bytes(255 - byte for byte in plain).hex()


@pytest.mark.parametrize(
    ("seed", "seeds", "problem"),
    [
        (SEED, {}, "applicants were drawn in r1"),
        (SEED[:31], {"r1": EARLIER}, "the seed of round r2 has 31 bytes"),
        (SEED, {"r1": b""}, "the seed of round r1 has 0 bytes"),
        (SEED, {"r1": EARLIER, "r2": EARLIER}, "round r2 has two different seeds"),
    ],
)
def test_a_seed_that_is_missing_or_short_is_refused_by_name(seed: bytes, seeds: dict[str, bytes], problem: str) -> None:
    with pytest.raises(lottery.UnusableSeed, match=problem):
        lottery.match_market(market(), seed=seed, seeds=seeds)


def test_the_digest_and_the_outcome_of_a_worked_case_are_these_very_bytes() -> None:
    """Golden bytes: whoever changes them changes what was promised to families."""
    market, outcome, _ = matched("everything_backfill_round")

    assert market.digest() == "sha256:e82651b2ecfde5095872ffb52d3a7d3daa1421c0233468bb2d95cade1a6529ec"
    assert (
        hashlib.sha256(outcome.to_bytes()).hexdigest()
        == "5c035f6653abe8536d846ec005aaf6a56f7adbec7cd531b94b9681058fa415ae"
    )
