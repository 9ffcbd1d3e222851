"""Partners' access tokens: short-lived, signed, and the same to every process that knows the secret."""

import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from enrollment.settings import Settings

ALGORITHM = "HS256"
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


@lru_cache(maxsize=64)
def _derived(secret: str, purpose: str) -> bytes:
    return hashlib.sha256(f"enrollment/{purpose}\0{secret}".encode()).digest()


def key_of(settings: Settings, purpose: str) -> bytes:
    """Return the 32-byte key for one purpose, so that no two uses of the secret share one."""
    return _derived(settings.secret.get_secret_value(), purpose)


def access_token(client: Client, settings: Settings) -> str:
    """Return a signed token (RFC 9068 in spirit) that holds for `token_minutes`."""
    now = int(time.time())
    claims: dict[str, str | int] = {
        "aud": AUDIENCE,
        "sub": client.id,
        "scope": " ".join(sorted(client.scopes)),
        "secret": client.secret,
        "iat": now,
        "exp": now + settings.token_minutes * 60,
    }
    return jwt.encode({"alg": ALGORITHM}, claims, _key(settings), algorithms=[ALGORITHM])


def partner_of_token(token: str, settings: Settings) -> Client | None:
    """Return what a token says, or None if it is not one of ours or has expired.

    Whether its secret is still valid, the act looks up, with the partner.
    """
    if len(token) > MAX_TOKEN:
        return None
    try:
        client, expires = _read(token, key_of(settings, "access-token"))
    except _NotOurs:
        return None
    return client if time.time() < expires else None


@lru_cache(maxsize=1 << 10)
def _read(token: str, key: bytes) -> tuple[Client, float]:
    """Return what a token says and when it expires; a partner sends the same one many times, and it never changes.

    Only tokens with a right signature are kept: what strangers send is refused by an exception, which no cache keeps.

    Raises:
        _NotOurs: if the signature or what the token says is not right.
    """
    try:
        claims = jwt.decode(token, OctKey.import_key(key), algorithms=[ALGORITHM]).claims
        _EXPECTED.validate(claims)
        expires = float(claims["exp"])
    except (JoseError, ValueError, TypeError):
        raise _NotOurs from None
    return Client(str(claims["sub"]), frozenset(str(claims["scope"]).split()), str(claims["secret"])), expires


def _key(settings: Settings) -> OctKey:
    return OctKey.import_key(key_of(settings, "access-token"))


_EXPECTED = jwt.JWTClaimsRegistry(
    aud={"essential": True, "value": AUDIENCE},
    sub={"essential": True},
    exp={"essential": True},
    secret={"essential": True},
)
