"""Callers: partners and staff, and their roles."""

import uuid
from dataclasses import dataclass
from enum import StrEnum


class RoleKind(StrEnum):
    """What a member of the staff is."""

    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    SCHOOL = "school"


@dataclass(frozen=True, slots=True)
class Role:
    """A role, with the operator or the school that it is for."""

    kind: RoleKind
    operator: str | None = None
    school: str | None = None

    def __str__(self) -> str:
        """Return the role as logs name it: `administrator`, `school:lincoln`."""
        place = self.operator or self.school
        return self.kind.value if place is None else f"{self.kind}:{place}"


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner site that is asking."""

    id: str
    scopes: frozenset[str]
    address: str | None = None

    @property
    def actor(self) -> str:
        """Return how the log names it."""
        return f"partner:{self.id}"

    @property
    def account(self) -> str:
        """Return how the security log names it."""
        return self.actor


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of the staff who is asking."""

    id: str
    roles: tuple[Role, ...]
    scopes: frozenset[str]
    token: uuid.UUID | None = None
    is_session: bool = False
    present_for: int | None = None
    """If a fresh proof of presence is missing: for how many minutes one holds. None: it is there."""
    address: str | None = None

    @property
    def account(self) -> str:
        """Return how the security log names them."""
        return f"staff:{self.id}"

    def is_(self, kind: RoleKind) -> bool:
        """Say whether one of the roles is of that kind."""
        return any(role.kind is kind for role in self.roles)

    @property
    def is_administrator(self) -> bool:
        """Say whether the whole lottery is theirs to run."""
        return self.is_(RoleKind.ADMINISTRATOR)

    @property
    def sees_everything(self) -> bool:
        """Say whether nothing is outside their scope for reading."""
        return self.is_administrator or self.is_(RoleKind.AUDITOR)

    def acts_for_operator(self, operator: str) -> bool:
        """Say whether they may set what an operator sets."""
        return self.is_administrator or Role(RoleKind.OPERATOR, operator=operator) in self.roles

    def acts_for_school(self, school: str, *, operator: str) -> bool:
        """Say whether they may set what a school sets, as its own staff, its operator's, or an administrator."""
        return self.acts_for_operator(operator) or Role(RoleKind.SCHOOL, school=school) in self.roles

    def actor_for(self, *kinds: RoleKind) -> str:
        """Return how the public log names them: by the role that they act in, never by name."""
        held = [kind for kind in kinds if self.is_(kind)]
        return f"staff:{(held or [self.roles[0].kind])[0]}"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session of somebody, which may still lack the second factor."""

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
        """Return how the security log names them."""
        return f"staff:{self.id}"
