"""Digests under which random secrets are stored."""

import hashlib


def digest_of(secret: str) -> bytes:
    """Return the stored digest of a random secret. The secret has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()
