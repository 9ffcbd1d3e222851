"""Commitments, and a round's seed (audit.md, sections 1 and 4), with nothing but the standard library."""

import hashlib
import hmac
import re

PREFIX = b"enroll-lottery/v1/"
KEY_BYTES = 32
NONE = bytes(32)
"""Stands in a seed for what a round does not use: no dice, no beacon."""

FEWEST_DICE = 20
MAX_DICE = 1_000

_BETWEEN = re.compile(r"[ \t\r\n-]+")


class UnusableDice(ValueError):
    """Dice digits are too few, too many, or no digits; the message says what and where."""


def digest(label: str, value: bytes) -> bytes:
    """Return H(label, value): SHA-256 of the prefixed message."""
    return hashlib.sha256(PREFIX + label.encode() + b"\0" + value).digest()


def keyed(key: bytes, label: str, value: bytes) -> bytes:
    """Return M(key, label, value): HMAC-SHA256 (RFC 2104), the key exactly 32 bytes.

    Raises:
        ValueError: if the key has another length.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes; give {KEY_BYTES}")
    return hmac.digest(key, PREFIX + label.encode() + b"\0" + value, "sha256")


def dice_digits(typed: str) -> str:
    """Return the digits of ten-sided dice as they are hashed, without the spaces and hyphens between them.

    Raises:
        UnusableDice: if there are fewer than 20 or more than 1,000, or something else stands among them.
    """
    digits = _BETWEEN.sub("", typed)
    for place, mark in enumerate(digits, start=1):
        if mark not in "0123456789":
            raise UnusableDice(f"digit {place} is none of 0 to 9; type the dice again")
    if not FEWEST_DICE <= len(digits) <= MAX_DICE:
        raise UnusableDice(f"there are {len(digits)} digits; roll at least {FEWEST_DICE} dice, at most {MAX_DICE}")
    return digits


def seed_of(
    *,
    freeze_leaf: bytes,
    dice: str | None,
    chain_hash: bytes = NONE,
    beacon_round: int = 0,
    beacon_signature: bytes = b"",
) -> bytes:
    """Return a round's seed from what was frozen and from randomness that did not exist then.

    Args:
        freeze_leaf: leaf hash of the freeze's entry, 32 bytes.
        dice: the digits as `dice_digits` gives them, or None for a round without dice.
        chain_hash: of the beacon's chain; 32 zero bytes for a round without a beacon.
        beacon_round: its number; 0 without a beacon.
        beacon_signature: its signature; empty without a beacon.
    """
    rolled = NONE if dice is None else hashlib.sha256(dice.encode("ascii")).digest()
    return digest("seed", freeze_leaf + rolled + chain_hash + beacon_round.to_bytes(8, "big") + beacon_signature)
