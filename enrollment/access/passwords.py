"""Passwords: how they are kept, which are refused, and how owners change their own."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from enrollment.problems import Fault, MalformedBody, sentence

MIN_LENGTH, MAX_LENGTH = 12, 128

MIN_SCORE = 3
"""Of 4, by zxcvbn: it takes more than 100,000,000 guesses."""

MAX_JUDGED = 72
"""Characters that zxcvbn looks at; what follows can only make a password better."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""Argon2id with 19 MiB, as OWASP recommends: many sign-ins at once take little memory."""


@cache
def nobodys_hash() -> str:
    """Return the hash of no account's password, so that an unknown name takes as long to refuse as a known one."""
    return HASHER.hash("nobody's password")


def is_right(known: str | None, password: str) -> bool:
    """Say whether it is the password that an account has."""
    try:
        HASHER.verify(known or nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return known is not None


def hash_of(password: str) -> str:
    """Return what is kept of a password."""
    return HASHER.hash(password)


def needs_new_hash(known: str) -> bool:
    """Say whether a hash was made with other costs than today's."""
    return HASHER.check_needs_rehash(known)


def refuse_guessable(password: str, *, account: str, name: str, pointer: str = "/password") -> None:
    """Refuse a password that is easily guessed: common, a pattern, repeated, or made of the account's own names.

    Raises:
        MalformedBody: with the place of the password.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        detail = sentence("Use {least} to {most} characters.")
        values: dict[str, str | int] = {"least": MIN_LENGTH, "most": MAX_LENGTH}
        raise MalformedBody(faults=[Fault(pointer, "password-length", detail, values)])
    own = [part for word in (account, name) for part in (word, *word.replace("-", ".").replace(" ", ".").split("."))]
    words = [word[:MAX_JUDGED] for word in own if word]
    if zxcvbn(password[:MAX_JUDGED], user_inputs=words)["score"] < MIN_SCORE:
        detail = sentence("This password is easily guessed. Use several unrelated words, or let a program make one.")
        raise MalformedBody(faults=[Fault(pointer, "password-guessable", detail)])
