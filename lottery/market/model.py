"""Define a market: one round's programs with their rules, and its applicants with their rankings."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from lottery.market.canonical import Json, canonical_line
from lottery.market.rules import (
    AllOf,
    AnyOf,
    AtSchool,
    AttendsIn,
    Condition,
    Has,
    Not,
    OverflowTo,
    PriorityClass,
    Program,
    Ranked,
    Reserve,
    ReserveOverflow,
    Share,
    SiblingPlaced,
    TieBreak,
    ZoneIn,
    depends_on_siblings,
)

FORMAT = "lottery-market/1"


class Kind(StrEnum):
    """A cycle's main round, or a backfill round on the seats that are left."""

    MAIN = "main"
    BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class Round:
    """The round that a market is for."""

    id: str
    kind: Kind
    earlier: tuple[str, ...] | None = None
    """The earlier rounds of the season, in the order in which they drew. None: the market does not list them."""

    @property
    def draws(self) -> tuple[str, ...]:
        """Return the listed rounds and this round, in the order in which they draw. Empty if none are listed."""
        return () if self.earlier is None else (*self.earlier, self.id)

    def document(self) -> dict[str, Json]:
        """Return the round in the file's form."""
        listed: dict[str, Json] = {} if self.earlier is None else {"earlier": self.earlier}
        return {"id": self.id, "kind": self.kind, **listed}


class Late(StrEnum):
    """The order of late applicants.

    AFTER: after every applicant on time of the same eligibility. WITHIN: after the applicants on time of their class.
    EQUAL: like applicants on time.
    """

    AFTER = "after"
    WITHIN = "within"
    EQUAL = "equal"


class Twins(StrEnum):
    """Whether children of one household and grade share a lottery number."""

    SEPARATE = "separate"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a cycle for all schools."""

    tie_break: TieBreak = TieBreak.SINGLE
    late: Late = Late.AFTER
    grade_order: tuple[str, ...] = ()
    twins: Twins = Twins.SEPARATE


@dataclass(frozen=True, slots=True)
class HeldSeat:
    """A seat that an applicant keeps unless placed higher."""

    program: str
    group: str


@dataclass(frozen=True, slots=True)
class Applicant:
    """One child in one round: a random ticket, the ranking, and settled facts."""

    id: str
    grade: str
    ranking: tuple[str, ...]
    zones: frozenset[str]
    flags: frozenset[str]
    at: Mapping[str, frozenset[str]]
    attends: str | None
    household: str | None
    together: bool
    late: bool
    holds: HeldSeat | None
    drawn_in: str


@dataclass(frozen=True, slots=True)
class Market:
    """Everything that decides a match, except the seeds. `lottery.market.reader` makes markets without faults."""

    round: Round
    policy: Policy
    programs: tuple[Program, ...]
    applicants: tuple[Applicant, ...]

    @property
    def is_backfill(self) -> bool:
        """Return whether backfill rules apply. A main round ignores them."""
        return self.round.kind is Kind.BACKFILL

    def siblings_matter(self) -> bool:
        """Return whether grades must be matched one after another (docs/reference/specification.md, section 6)."""
        return any(applicant.together for applicant in self.applicants) or any(
            depends_on_siblings(condition) for program in self.programs for condition in program.conditions()
        )

    def holders(self) -> Counter[HeldSeat]:
        """Count the holders of seats, by program and group."""
        return Counter(applicant.holds for applicant in self.applicants if applicant.holds)

    def canonical_lines(self) -> Iterator[str]:
        """Yield the lines of the canonical form: everything but the applicants, then each applicant, sorted by id."""
        yield canonical_line(
            {
                "format": FORMAT,
                "round": self.round.document(),
                "policy": {
                    "tie_break": self.policy.tie_break,
                    "late": self.policy.late,
                    "grade_order": self.policy.grade_order,
                    "twins": self.policy.twins,
                },
                "programs": [program_document(program) for program in sorted(self.programs, key=lambda p: p.id)],
            }
        )
        for applicant in sorted(self.applicants, key=lambda a: a.id):
            yield applicant_line(applicant)

    def digest(self) -> str:
        """Return `sha256:` and the SHA-256 of the canonical form, its lines joined by LF without a final LF."""
        digest = hashlib.sha256()
        for position, line in enumerate(self.canonical_lines()):
            digest.update(b"\n" * (position > 0) + line.encode())
        return f"sha256:{digest.hexdigest()}"


def applicant_line(applicant: Applicant) -> str:
    """Return an applicant's canonical line, with every default.

    A city has many applicants, so this function joins parts that are written once. The keys are in sorted order, and
    ids need no escapes.
    """
    return (
        f'{{"at":{_at_text(applicant.at)},"attends":{_id_or_null(applicant.attends)}'
        f',"drawn_in":"{applicant.drawn_in}","flags":{_facts_text(applicant.flags)},"grade":"{applicant.grade}"'
        f',"holds":{_held_seat_text(applicant.holds)},"household":{_id_or_null(applicant.household)}'
        f',"id":"{applicant.id}","late":{_TRUTH[applicant.late]},"ranking":{_ids_text(applicant.ranking)}'
        f',"together":{_TRUTH[applicant.together]},"zones":{_facts_text(applicant.zones)}}}'
    )


_TRUTH = {False: "false", True: "true"}


def _id_or_null(name: str | None) -> str:
    return "null" if name is None else f'"{name}"'


def _ids_text(names: Sequence[str]) -> str:
    return '["' + '","'.join(names) + '"]' if names else "[]"


def _held_seat_text(held: HeldSeat | None) -> str:
    return "null" if held is None else f'{{"group":"{held.group}","program":"{held.program}"}}'


def _at_text(at: Mapping[str, frozenset[str]]) -> str:
    facts = ",".join(f'"{school}":{_facts_text(at[school])}' for school in sorted(at) if at[school])
    return f"{{{facts}}}"


@lru_cache(maxsize=1 << 14)
def _facts_text(facts: frozenset[str]) -> str:
    return canonical_line(sorted(facts))


def program_document(program: Program) -> dict[str, Json]:
    """Return a program in the file's form, with every default."""
    tie_break = program.tie_break
    return {
        "id": program.id,
        "school": program.school,
        "grade": program.grade,
        "seats": program.seats,
        "eligible": condition_document(program.eligible),
        "priorities": _priorities_document(program.priorities),
        "reserves": [_reserve_document(reserve) for reserve in program.reserves],
        "precedence": program.precedence,
        "tie_break": {"ranked": tie_break.tickets} if isinstance(tie_break, Ranked) else tie_break,
        "backfill": {
            "fills": program.backfill.fills,
            "order": program.backfill.order,
            "vacated_reserves": program.backfill.vacated_reserves,
        },
    }


def condition_document(condition: Condition) -> dict[str, Json]:
    """Return a condition in the file's form."""
    match condition:
        case ZoneIn(zones):
            return {"zone_in": zones}
        case Has(flag):
            return {"has": flag}
        case AtSchool(fact):
            return {"at_school": fact}
        case AttendsIn(schools):
            return {"attends_in": schools}
        case SiblingPlaced():
            return {"sibling_placed": True}
        case AllOf(parts):
            return {"all": [condition_document(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [condition_document(part) for part in parts]}
        case Not(part):
            return {"not": condition_document(part)}
        case _:
            return {"everyone": True}


def _reserve_document(reserve: Reserve) -> dict[str, Json]:
    size = reserve.size
    return {
        "name": reserve.name,
        **({"percent": size.percent} if isinstance(size, Share) else {"seats": size}),
        "when": condition_document(reserve.when),
        "overflow": overflow_document(reserve.overflow),
        "priorities": _priorities_document(reserve.priorities),
    }


def overflow_document(overflow: ReserveOverflow) -> Json:
    """Return a reserve's overflow in the file's form."""
    return {"to": condition_document(overflow.condition)} if isinstance(overflow, OverflowTo) else overflow


def _priorities_document(priorities: tuple[PriorityClass, ...]) -> list[Json]:
    return [{"name": priority.name, "when": condition_document(priority.when)} for priority in priorities]
