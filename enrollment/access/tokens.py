"""Partners' access tokens: short-lived, signed, and the same to every process that knows the secret."""

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
"""Characters; a longer one is none of ours, and is not read at all."""


@dataclass(frozen=True, slots=True)
class Client:
    """What an access token says: which partner, what for, and which of its secrets the token came from."""

    id: str
    scopes: frozenset[str]
    secret: str


class _NotOurs(Exception):
    """A token that this service never gave. Raised, so that the cache below keeps nothing of it."""


def access_token(client: Client, settings: Settings) -> str:
    """Return a signed token (RFC 9068 in spirit) that holds for `token_minutes`."""
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
    """Return what a token says, or None if it is not one of ours or has expired.

    Whether its secret is still valid, the act looks up, with the partner.
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
    """Return what a token says and when it expires; a partner sends the same one many times, and it never changes.

    Only tokens with a right signature are kept: what strangers send is refused by an exception, which no cache keeps.

    Raises:
        _NotOurs: if the signature or what the token says is not right.
    """
    try:
        claims = jwt.decode(token, lambda read: _named(read, keys), algorithms=[ALGORITHM]).claims
        _EXPECTED.validate(claims)
        expires = float(claims["exp"])
    except (JoseError, ValueError, TypeError):
        raise _NotOurs from None
    return Client(str(claims["sub"]), frozenset(str(claims["scope"]).split()), str(claims["secret"])), expires


def _named(read: GuestProtocol, keys: Sequence[Key]) -> OctKey:
    """Return the key that a token names; a token of before keys had ids names none, and has the first."""
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
