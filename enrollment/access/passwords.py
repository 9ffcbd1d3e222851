"""Passwords: hashes, and the refusal of guessable passwords."""

from collections.abc import Iterable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.orm import Session
from zxcvbn import zxcvbn

from enrollment.access.models import StaffRole
from enrollment.problems import Fault, MalformedBody, sentence

MIN_LENGTH, MAX_LENGTH = 12, 128

MIN_SCORE = 3
"""The zxcvbn score, out of 4: more than 100,000,000 guesses."""

MAX_JUDGED = 72
"""Characters that zxcvbn checks. More characters can only improve a password."""

MAX_PLACES = 1_000
"""Operator and school ids that a password is checked against."""

CONTEXT_WORDS = ("enrollment", "lottery", "common", "school", "schools", "district", "charter", "city", "administrator")
"""Words that an attacker of this service would try."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""Argon2id with 19 MiB, as OWASP recommends: many sign-ins at once take little memory."""


@cache
def dummy_hash() -> str:
    """Return a hash of no account, so that refusing an unknown name takes as long as a known one."""
    return HASHER.hash("nobody's password")


def is_right(known: str | None, password: str) -> bool:
    """Say whether a password matches a stored hash."""
    try:
        HASHER.verify(known or dummy_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return known is not None


def hash_of(password: str) -> str:
    """Return the hash of a password."""
    return HASHER.hash(password)


def needs_new_hash(known: str) -> bool:
    """Say whether a hash was made with outdated parameters."""
    return HASHER.check_needs_rehash(known)


def refuse_guessable(
    password: str, *, account: str, name: str, places: Iterable[str] = (), pointer: str = "/password"
) -> None:
    """Refuse a guessable password: a common one, a pattern, or one made of known names and words.

    Args:
        password: the password.
        account: the account's id.
        name: the account's name.
        places: ids of operators and schools.
        pointer: the password's place in the body.

    Raises:
        MalformedBody: with a fault at the password.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        detail = sentence("Use {least} to {most} characters.")
        values: dict[str, str | int] = {"least": MIN_LENGTH, "most": MAX_LENGTH}
        raise MalformedBody(faults=[Fault(pointer, "password-length", detail, values)])
    known = (account, name, *places)
    parts = [part for word in known for part in (word, *word.replace("-", ".").replace(" ", ".").split("."))]
    words = [word[:MAX_JUDGED] for word in (*CONTEXT_WORDS, *parts) if word]
    if zxcvbn(password[:MAX_JUDGED], user_inputs=words)["score"] < MIN_SCORE:
        detail = sentence("This password is easy to guess. Use several unrelated words, or a password manager.")
        raise MalformedBody(faults=[Fault(pointer, "password-guessable", detail)])


def places_of_staff(session: Session) -> list[str]:
    """Return ids of operators and schools with staff, which make bad passwords."""
    roles = select(StaffRole.operator_id, StaffRole.school_id).distinct().limit(MAX_PLACES)
    return [place for row in session.execute(roles).all() for place in row if place]
