"""One-time codes that people type, for invitations and recovery."""

import secrets

from enrollment.access.digests import digest_of

ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Letters and digits that do not look alike."""

GROUP = 4


def new_code(groups: int) -> str:
    """Return a new code, in groups of four: five groups have 98 random bits, six have 117."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(groups))


def digest_of_code(code: str) -> bytes:
    """Return the stored digest of a code, regardless of case, spaces and dashes."""
    return digest_of("".join(code.split()).replace("-", "").upper())
