"""Commitments and seeds, written out byte by byte."""

import hashlib
import hmac

import pytest

from lottery.match.lottery_numbers import lottery_number
from lottery.transparency_log.commitments import UnusableDice, dice_digits, digest, keyed, seed_of
from lottery.transparency_log.merkle import EMPTY, leaf_hash, node_hash, peaks, root


def test_a_digest_and_a_commitment_are_the_hash_of_prefix_label_nul_and_value() -> None:
    assert digest("seed", b"x") == hashlib.sha256(b"enroll-lottery/v1/seed\0x").digest()
    key = bytes(range(32))
    assert keyed(key, "row", b"x") == hmac.new(key, b"enroll-lottery/v1/row\0x", "sha256").digest()


def test_a_lottery_number_is_such_a_commitment() -> None:
    seed = b"s" * 32
    assert lottery_number(seed=seed, scope="*", subject="ada") == keyed(seed, "lottery", b"*\0ada")


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"has {length} bytes; give 32"):
        keyed(bytes(length), "row", b"x")


def test_a_seed_is_made_of_the_freeze_and_the_dice() -> None:
    freeze = hashlib.sha256(b"freeze").digest()
    dice = "31415926535897932384"
    rolled = hashlib.sha256(dice.encode()).digest()
    expected = hashlib.sha256(b"enroll-lottery/v1/seed\0" + freeze + rolled + bytes(32) + bytes(8)).digest()
    assert seed_of(freeze_leaf=freeze, dice=dice) == expected
    assert seed_of(freeze_leaf=freeze, dice=None) != expected


def test_dice_are_typed_with_spaces_and_hyphens_as_people_do() -> None:
    assert dice_digits("31415 92653\n58979-32384") == "31415926535897932384"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("3141592653589793238", "19 digits"),
        ("", "0 digits"),
        ("1" * 1001, "1001 digits"),
        ("3141592653589793238x", "character 20"),
        ("٣" * 20, "character 1 "),
        ("31415.92653589793238", "character 6"),
    ],
)
def test_what_are_no_dice_is_refused_with_the_place(typed: str, why: str) -> None:
    with pytest.raises(UnusableDice, match=why):
        dice_digits(typed)


def root_by_the_rfc(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_by_the_rfc(leaves[:split]), root_by_the_rfc(leaves[split:]))


def test_a_root_is_that_of_the_rfc_at_every_size() -> None:
    assert root([]) == EMPTY
    leaves = [leaf_hash(bytes([number])) for number in range(70)]
    for size in range(1, len(leaves) + 1):
        assert root(leaves[:size]) == root_by_the_rfc(leaves[:size])
        assert sum(1 << level for level, _ in peaks(size)) == size
