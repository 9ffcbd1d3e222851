"""Codes that people read, type and lose: for invitations and for recovery."""

import secrets

from enrollment.access.digests import digest_of

ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Without letters and digits that look alike."""

GROUP = 4


def new_code(groups: int) -> str:
    """Return a new code, in groups of four: five groups have 98 random bits, six have 117."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(groups))


def digest_of_code(code: str) -> bytes:
    """Return what is kept of a code, however it is typed."""
    return digest_of("".join(code.split()).replace("-", "").upper())
