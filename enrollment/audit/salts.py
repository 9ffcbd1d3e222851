"""Salts for commitments in the log."""

import secrets

SALT_BYTES = 32


def new_salt() -> bytes:
    """Return a random salt. Without it, nobody can guess what a commitment stands for."""
    return secrets.token_bytes(SALT_BYTES)
