"""Keys made of the service's secrets: one for each purpose, under an id that names the secret and tells nothing of it.

The service makes everything new under its secret. While the secret is being replaced, a second one is known too, and
what was made under the second one still counts (docs/how-to/operations.md, "Rotate the secret").
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from enrollment.settings import Settings

KEY_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Key:
    """A secret's key for one purpose."""

    id: str
    """Of the secret: the same for every purpose."""
    key: bytes = field(repr=False)
    """32 bytes."""


def key_of(settings: Settings, purpose: str) -> Key:
    """Return the key for one purpose, under which new things are made; no two purposes share one."""
    return _derived(settings.secret.get_secret_value(), purpose)


def keys_of(settings: Settings, purpose: str) -> Sequence[Key]:
    """Return every known key for one purpose, that for new things first."""
    secrets = [settings.secret, *([settings.second_secret] if settings.second_secret else [])]
    return tuple(_derived(secret.get_secret_value(), purpose) for secret in secrets)


def id_of_secret(settings: Settings) -> str:
    """Return the id of the secret under which new things are made."""
    return key_of(settings, "id").id


def ids_of_secrets(settings: Settings) -> Sequence[str]:
    """Return the ids of all known secrets, that for new things first."""
    return [key.id for key in keys_of(settings, "id")]


@lru_cache(maxsize=64)
def _derived(secret: str, purpose: str) -> Key:
    return Key(_hash(secret, "key-id").hex()[:KEY_ID_DIGITS], _hash(secret, purpose))


def _hash(secret: str, purpose: str) -> bytes:
    return hashlib.sha256(f"enrollment/{purpose}\0{secret}".encode()).digest()
