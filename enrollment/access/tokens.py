"""Access tokens of partners: short-lived and signed, so that every process can check them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, OctKey

from enrollment.access.derived_keys import Key, key_of, keys_of
from enrollment.settings import Settings

ALGORITHM = "HS256"
PURPOSE = "access-token"
AUDIENCE = "enrollment"

MAX_TOKEN = 2_048
"""Characters. A longer token cannot be valid, so it is not read."""


@dataclass(frozen=True, slots=True)
class Client:
    """The content of an access token: the partner, its scopes, and the secret it was issued for."""

    id: str
    scopes: frozenset[str]
    secret: str


class _NotOurs(Exception):
    """The token is not valid. An exception, so that the cache below does not store it."""


def access_token(client: Client, settings: Settings) -> str:
    """Return a signed token (similar to RFC 9068) that lasts `token_minutes`."""
    now, key = int(time.time()), key_of(settings, PURPOSE)
    claims: dict[str, str | int] = {
        "aud": AUDIENCE,
        "sub": client.id,
        "scope": " ".join(sorted(client.scopes)),
        "secret": client.secret,
        "iat": now,
        "exp": now + settings.token_minutes * 60,
    }
    header = {"alg": ALGORITHM, "kid": key.id}
    return jwt.encode(header, claims, OctKey.import_key(key.key), algorithms=[ALGORITHM])


def partner_of_token(token: str, settings: Settings) -> Client | None:
    """Return the content of a token, or None if it is invalid or has expired.

    The verb checks whether the secret and the partner are still valid.
    """
    if len(token) > MAX_TOKEN:
        return None
    try:
        client, expires = _read(token, keys_of(settings, PURPOSE))
    except _NotOurs:
        return None
    return client if time.time() < expires else None


@lru_cache(maxsize=1 << 10)
def _read(token: str, keys: Sequence[Key]) -> tuple[Client, float]:
    """Return the content and the expiry of a token. The cache helps because a partner sends the same token many times.

    The cache stores only valid tokens: an invalid token raises an exception, which is not cached.

    Raises:
        _NotOurs: if the signature or the content is invalid.
    """
    try:
        claims = jwt.decode(token, lambda read: _named(read, keys), algorithms=[ALGORITHM]).claims
        _EXPECTED.validate(claims)
        expires = float(claims["exp"])
    except (JoseError, ValueError, TypeError):
        raise _NotOurs from None
    return Client(str(claims["sub"]), frozenset(str(claims["scope"]).split()), str(claims["secret"])), expires


def _named(read: GuestProtocol, keys: Sequence[Key]) -> OctKey:
    """Return the key that a token names, or the first key for an old token without a key id."""
    named = read.headers().get("kid", keys[0].id)
    for key in keys:
        if key.id == named:
            return OctKey.import_key(key.key)
    raise _NotOurs


_EXPECTED = jwt.JWTClaimsRegistry(
    aud={"essential": True, "value": AUDIENCE},
    sub={"essential": True},
    exp={"essential": True},
    secret={"essential": True},
)
