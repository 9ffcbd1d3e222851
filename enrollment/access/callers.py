"""Callers: partners and staff, and their roles."""

import uuid
from dataclasses import dataclass
from enum import StrEnum


class RoleKind(StrEnum):
    """The kinds of staff roles."""

    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    SCHOOL = "school"


@dataclass(frozen=True, slots=True)
class Role:
    """A role, with its operator or school."""

    kind: RoleKind
    operator: str | None = None
    school: str | None = None

    def __str__(self) -> str:
        """Return the role as logs name it: `administrator`, `school:lincoln`."""
        place = self.operator or self.school
        return self.kind.value if place is None else f"{self.kind}:{place}"


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner that calls the API."""

    id: str
    scopes: frozenset[str]
    address: str | None = None

    @property
    def actor(self) -> str:
        """Return the partner's name in the public log."""
        return f"partner:{self.id}"

    @property
    def account(self) -> str:
        """Return the partner's name in the security log."""
        return self.actor


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of the staff who calls the API."""

    id: str
    roles: tuple[Role, ...]
    scopes: frozenset[str]
    token: uuid.UUID | None = None
    is_session: bool = False
    present_for: int | None = None
    """None after a fresh proof of presence; otherwise the minutes that a proof lasts."""
    address: str | None = None

    @property
    def account(self) -> str:
        """Return the account's name in the security log."""
        return f"staff:{self.id}"

    def is_(self, kind: RoleKind) -> bool:
        """Say whether the person has a role of this kind."""
        return any(role.kind is kind for role in self.roles)

    @property
    def is_administrator(self) -> bool:
        """Say whether the person is an administrator."""
        return self.is_(RoleKind.ADMINISTRATOR)

    @property
    def sees_everything(self) -> bool:
        """Say whether the person may read every record."""
        return self.is_administrator or self.is_(RoleKind.AUDITOR)

    def acts_for_operator(self, operator: str) -> bool:
        """Say whether the person may act for an operator."""
        return self.is_administrator or Role(RoleKind.OPERATOR, operator=operator) in self.roles

    def acts_for_school(self, school: str, *, operator: str) -> bool:
        """Say whether the person may act for a school: its staff, its operator's staff, or an administrator."""
        return self.acts_for_operator(operator) or Role(RoleKind.SCHOOL, school=school) in self.roles

    def actor_for(self, *kinds: RoleKind) -> str:
        """Return the actor for the public log: the role in which the person acts, never the name."""
        own = [kind for kind in kinds if self.is_(kind)]
        return f"staff:{(own or [self.roles[0].kind])[0]}"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session, perhaps still without its second factor."""

    id: str
    token: uuid.UUID
    proved: bool
    present: bool
    has_factor: bool
    must_have_factor: bool
    address: str | None
    digest: bytes
    """Of the token that the request came with."""

    @property
    def account(self) -> str:
        """Return the account's name in the security log."""
        return f"staff:{self.id}"
