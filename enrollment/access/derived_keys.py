"""Keys derived from the service's secrets, one for each purpose.

A key has the id of its secret, which reveals nothing about the secret. New data uses the current secret. During a
rotation the service also knows a second secret, whose data stays valid (docs/how-to/keys-and-secrets.md,
"Rotate the secret").
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from enrollment.settings import Settings

KEY_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a secret for one purpose."""

    id: str
    """The id of the secret, the same for every purpose."""
    key: bytes = field(repr=False)
    """32 bytes."""


def key_of(settings: Settings, purpose: str) -> Key:
    """Return the key for new data of one purpose. No two purposes share a key."""
    return _derived(settings.secret.get_secret_value(), purpose)


def keys_of(settings: Settings, purpose: str) -> Sequence[Key]:
    """Return every known key for one purpose, the key for new data first."""
    secrets = [settings.secret, *([settings.second_secret] if settings.second_secret else [])]
    return tuple(_derived(secret.get_secret_value(), purpose) for secret in secrets)


def id_of_secret(settings: Settings) -> str:
    """Return the id of the secret for new data."""
    return key_of(settings, "id").id


def ids_of_secrets(settings: Settings) -> Sequence[str]:
    """Return the ids of all known secrets, the secret for new data first."""
    return [key.id for key in keys_of(settings, "id")]


@lru_cache(maxsize=64)
def _derived(secret: str, purpose: str) -> Key:
    return Key(_hash(secret, "key-id").hex()[:KEY_ID_DIGITS], _hash(secret, purpose))


def _hash(secret: str, purpose: str) -> bytes:
    return hashlib.sha256(f"enrollment/{purpose}\0{secret}".encode()).digest()
