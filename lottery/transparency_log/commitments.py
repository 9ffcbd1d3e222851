"""Compute commitments and a round's seed (docs/reference/log-and-proofs.md)."""

import hashlib
import hmac
import re

PREFIX = b"enroll-lottery/v1/"
KEY_BYTES = 32
NONE = bytes(32)
"""Stands in a seed for randomness that the round does not use: dice or a beacon."""

MIN_DICE = 20
MAX_DICE = 1_000

_BETWEEN = re.compile(r"[ \t\r\n-]+")


class UnusableDice(ValueError):
    """The dice have too few digits, too many digits, or another character. The message says where."""


def digest(label: str, value: bytes) -> bytes:
    """Return H(label, value): SHA-256 of the prefixed message."""
    return hashlib.sha256(PREFIX + label.encode() + b"\0" + value).digest()


def keyed(key: bytes, label: str, value: bytes) -> bytes:
    """Return M(key, label, value): HMAC-SHA256 (RFC 2104) with a key of 32 bytes.

    Raises:
        ValueError: if the key is not 32 bytes long.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes; give {KEY_BYTES} bytes")
    return hmac.digest(key, PREFIX + label.encode() + b"\0" + value, "sha256")


def dice_digits(typed: str) -> str:
    """Return the digits of ten-sided dice without spaces and hyphens, as they are hashed.

    Raises:
        UnusableDice: if there are fewer than 20 digits or more than 1,000, or another character is among them.
    """
    digits = _BETWEEN.sub("", typed)
    for place, mark in enumerate(digits, start=1):
        if mark not in "0123456789":
            raise UnusableDice(f"character {place} is not a digit from 0 to 9; enter the dice again")
    if not MIN_DICE <= len(digits) <= MAX_DICE:
        raise UnusableDice(f"the dice have {len(digits)} digits; roll at least {MIN_DICE} and at most {MAX_DICE} dice")
    return digits


def seed_of(
    *,
    freeze_leaf: bytes,
    dice: str | None,
    chain_hash: bytes = NONE,
    beacon_round: int = 0,
    beacon_signature: bytes = b"",
) -> bytes:
    """Return a round's seed, made from the frozen market and from later randomness.

    Args:
        freeze_leaf: the leaf hash of the freeze entry, 32 bytes.
        dice: the digits from `dice_digits`, or None for a round without dice.
        chain_hash: the hash of the beacon's chain, or 32 zero bytes without a beacon.
        beacon_round: the number of the beacon's round, or 0 without a beacon.
        beacon_signature: the signature of the beacon's round, or empty without a beacon.
    """
    rolled = NONE if dice is None else hashlib.sha256(dice.encode("ascii")).digest()
    return digest("seed", freeze_leaf + rolled + chain_hash + beacon_round.to_bytes(8, "big") + beacon_signature)
