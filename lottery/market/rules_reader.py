"""Read programs and their rules strictly (docs/reference/specification.md, section 2)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from lottery.market.canonical import Json
from lottery.market.json_reader import Reader, Where
from lottery.market.rules import (
    EVERYONE,
    GENERAL,
    OPEN,
    AllOf,
    AnyOf,
    AtSchool,
    AttendsIn,
    BackfillRule,
    Condition,
    Has,
    Not,
    Order,
    Overflow,
    OverflowTo,
    PriorityClass,
    Program,
    ProgramTieBreak,
    Ranked,
    Reserve,
    ReserveOverflow,
    Share,
    SiblingPlaced,
    TieBreak,
    VacatedReserves,
    ZoneIn,
)

Part = TypeVar("Part")

MAX_CONDITION_DEPTH = 64
"""Levels of conditions within conditions, far more than any readable rule needs."""

PROGRAM_REQUIRED = frozenset({"id", "school", "grade", "seats"})
PROGRAM_OPTIONAL = frozenset({"eligible", "priorities", "reserves", "precedence", "tie_break", "backfill"})
RESERVE_REQUIRED = frozenset({"name", "when"})
RESERVE_OPTIONAL = frozenset({"seats", "percent", "overflow", "priorities"})
PRIORITY_REQUIRED = frozenset({"name", "when"})
BACKFILL_OPTIONAL = frozenset({"fills", "order", "vacated_reserves"})


@dataclass(frozen=True, slots=True)
class ConditionForm:
    """The form of a condition: how deep it stands in other conditions, and more names than a market file has.

    Each name of `also` stands for a condition `{name: true}` that the caller translates, and is read as `everyone`.
    """

    also: frozenset[str] = frozenset()
    depth: int = 1

    def names(self) -> tuple[str, ...]:
        """Return the names of the conditions."""
        return (*_CONDITIONS, *sorted(self.also))

    def reader_of(self, name: str) -> "ReadOperand":
        """Return what reads the operand of a condition."""
        return _only_true(EVERYONE) if name in self.also else _CONDITIONS[name]

    def inside(self) -> "ConditionForm":
        """Return the form of the conditions inside this condition."""
        return replace(self, depth=self.depth + 1)


MARKET_FORM = ConditionForm()


def read_program(reader: Reader, value: Json, where: Where) -> Program | None:
    """Read one program. Return None after a fault."""
    before = reader.count()
    fields = reader.fields(value, where, required=PROGRAM_REQUIRED, optional=PROGRAM_OPTIONAL)
    program_id = reader.identifier(fields["id"], (where, "id"))
    school = reader.identifier(fields["school"], (where, "school"))
    grade = reader.identifier(fields["grade"], (where, "grade"))
    seats = reader.integer(fields["seats"], (where, "seats"))
    eligible: Condition | None = EVERYONE
    if "eligible" in fields:
        eligible = read_condition(reader, fields["eligible"], (where, "eligible"))
    priorities = read_priorities(reader, fields.get("priorities", []), (where, "priorities"))
    before_reserves = reader.count()
    reserves = read_reserves(reader, fields.get("reserves", []), (where, "reserves"), priorities)
    precedence = (*(reserve.name for reserve in reserves), OPEN)
    if "precedence" in fields and reader.count() == before_reserves:
        precedence = read_precedence(reader, fields["precedence"], (where, "precedence"), precedence)
    tie_break = read_tie_break(reader, fields.get("tie_break"), (where, "tie_break"))
    backfill = read_backfill(reader, fields.get("backfill", {}), (where, "backfill"))
    if seats is not None:
        reserved = sum(reserve.seats_of(seats) for reserve in reserves)
        if reserved > seats:
            reader.refuse(
                (where, "reserves"),
                f"the reserves have {reserved} seats, and the program has {seats}",
                "reserve fewer seats or add seats to the program",
            )
    if reader.count() > before or not (program_id and school and grade and eligible) or seats is None:
        return None
    return Program(program_id, school, grade, seats, eligible, priorities, reserves, precedence, tie_break, backfill)


def read_condition(reader: Reader, value: Json, where: Where, form: ConditionForm = MARKET_FORM) -> Condition | None:
    """Read a condition: an object with exactly one key."""
    if form.depth > MAX_CONDITION_DEPTH:
        reader.refuse(where, f"the condition is nested more than {MAX_CONDITION_DEPTH} levels deep", "simplify it")
        return None
    before, names = reader.count(), form.names()
    fields = reader.fields(value, where, required=frozenset(), optional=frozenset(names))
    if reader.count() > before:
        return None
    if len(fields) != 1:
        reader.refuse(where, f"the condition has {len(fields)} keys", f"give exactly one of {', '.join(names)}")
        return None
    ((key, operand),) = fields.items()
    return form.reader_of(key)(reader, operand, (where, key), form)


def read_priorities(reader: Reader, value: Json, where: Where) -> tuple[PriorityClass, ...]:
    """Read a list of priority classes, best first. Leave out the classes with faults."""
    priorities = []
    for index, entry in enumerate(reader.list_(value, where)):
        at = (where, index)
        fields = reader.fields(entry, at, required=PRIORITY_REQUIRED)
        name = _name(reader, fields["name"], (at, "name"), reserved_name=GENERAL)
        when = read_condition(reader, fields["when"], (at, "when"))
        if name and when:
            priorities.append(PriorityClass(name, when))
    _refuse_repeats(reader, [priority.name for priority in priorities], where)
    return tuple(priorities)


def read_reserves(
    reader: Reader, value: Json, where: Where, inherited: tuple[PriorityClass, ...]
) -> tuple[Reserve, ...]:
    """Read a list of reserves. Leave out the reserves with faults.

    A reserve without `priorities` has the program's priorities.
    """
    found = [
        _read_reserve(reader, entry, (where, index), inherited)
        for index, entry in enumerate(reader.list_(value, where))
    ]
    reserves = [reserve for reserve in found if reserve]
    _refuse_repeats(reader, [reserve.name for reserve in reserves], where)
    return tuple(reserves)


def _read_reserve(reader: Reader, value: Json, where: Where, inherited: tuple[PriorityClass, ...]) -> Reserve | None:
    fields = reader.fields(value, where, required=RESERVE_REQUIRED, optional=RESERVE_OPTIONAL)
    name = _name(reader, fields["name"], (where, "name"), reserved_name=OPEN)
    when = read_condition(reader, fields["when"], (where, "when"))
    size = _read_size(reader, fields, where)
    overflow = read_overflow(reader, fields.get("overflow", Overflow.OPEN.value), (where, "overflow"))
    priorities = inherited
    if "priorities" in fields:
        priorities = read_priorities(reader, fields["priorities"], (where, "priorities"))
    if name is None or when is None or size is None or overflow is None:
        return None
    return Reserve(name, size, when, overflow, priorities)


def read_overflow(reader: Reader, value: Json, where: Where) -> ReserveOverflow | None:
    """Read who can get the seats that a reserve's own applicants leave: a word, or a condition."""
    if value in (Overflow.OPEN, Overflow.CLOSED):
        return Overflow(str(value))
    if not isinstance(value, Mapping):
        remedy = f'give "{Overflow.OPEN}", "{Overflow.CLOSED}", or {{"to": condition}}'
        reader.refuse(where, "this does not say who can get the seats that are left", remedy)
        return None
    fields = reader.fields(value, where, required=frozenset({"to"}))
    to = read_condition(reader, fields["to"], (where, "to"))
    return None if to is None else OverflowTo(to)


def _read_size(reader: Reader, fields: Mapping[str, Json], where: Where) -> int | Share | None:
    if ("seats" in fields) == ("percent" in fields):
        reader.refuse(where, "a reserve must have either seats or percent", "give exactly one of the two")
        return None
    if "seats" in fields:
        return reader.integer(fields["seats"], (where, "seats"))
    percent = reader.integer(fields["percent"], (where, "percent"), maximum=100)
    return None if percent is None else Share(percent)


def read_precedence(reader: Reader, value: Json, where: Where, groups: Iterable[str]) -> tuple[str, ...]:
    """Read the order in which the seat groups are filled: each reserve and `open`, once each."""
    left = list(groups)
    order = []
    for index, entry in enumerate(reader.list_(value, where)):
        name = reader.identifier(entry, (where, index))
        if name in left:
            left.remove(name)
            order.append(name)
        elif name in order:
            reader.refuse((where, index), f"the list has {name} more than once", "list each seat group once")
        elif name:
            reader.refuse((where, index), f"the program has no seat group {name}", "list the reserves and open")
    for name in left:
        reader.refuse(where, f"the list does not have {name}", "list every reserve and open")
    return tuple(order)


def read_tie_break(reader: Reader, value: Json, where: Where) -> ProgramTieBreak:
    """Read a program's tie-break: null, a word, or the list of a screened school."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return reader.choice(TieBreak, value, where)
    fields = reader.fields(value, where, required=frozenset({"ranked"}))
    tickets = []
    for index, entry in enumerate(reader.list_(fields["ranked"], (where, "ranked"))):
        ticket = reader.identifier(entry, ((where, "ranked"), index))
        if ticket:
            tickets.append(ticket)
    _refuse_repeats(reader, tickets, (where, "ranked"))
    return Ranked(tuple(tickets))


def read_backfill(reader: Reader, value: Json, where: Where) -> BackfillRule:
    """Read a program's rule for backfill rounds. Return the default rule after a fault."""
    fields = reader.fields(value, where, required=frozenset(), optional=BACKFILL_OPTIONAL)
    default = BackfillRule()
    fills = reader.truth(fields.get("fills", default.fills), (where, "fills"))
    order = reader.choice(Order, fields.get("order", default.order.value), (where, "order"))
    vacated = reader.choice(
        VacatedReserves,
        fields.get("vacated_reserves", default.vacated_reserves.value),
        (where, "vacated_reserves"),
    )
    if fills is None or order is None or vacated is None:
        return default
    return BackfillRule(fills, order, vacated)


def _name(reader: Reader, value: Json, where: Where, *, reserved_name: str) -> str | None:
    name = reader.identifier(value, where)
    if name == reserved_name:
        reader.refuse(where, f"every program already uses the name {name}", "choose another name")
        return None
    return name


def _refuse_repeats(reader: Reader, names: Iterable[str], where: Where) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            reader.refuse(where, f"the list has {name} more than once", "list each name once")
        seen.add(name)


ReadOperand: TypeAlias = Callable[[Reader, Json, Where, ConditionForm], Condition | None]


def _only_true(condition: Condition) -> ReadOperand:
    def read(reader: Reader, value: Json, where: Where, form: ConditionForm) -> Condition | None:  # noqa: ARG001
        if value is not True:
            reader.refuse(where, "the only allowed value is true", "write true, or put the condition inside a not")
            return None
        return condition

    return read


def _zone_in(reader: Reader, value: Json, where: Where, form: ConditionForm) -> Condition | None:  # noqa: ARG001
    zones = [reader.text(zone, (where, index)) for index, zone in enumerate(reader.list_(value, where))]
    return ZoneIn(tuple(zone for zone in zones if zone is not None))


def _attends_in(reader: Reader, value: Json, where: Where, form: ConditionForm) -> Condition | None:  # noqa: ARG001
    schools = [reader.identifier(entry, (where, index)) for index, entry in enumerate(reader.list_(value, where))]
    return AttendsIn(tuple(school for school in schools if school))


def _has(reader: Reader, value: Json, where: Where, form: ConditionForm) -> Condition | None:  # noqa: ARG001
    flag = reader.text(value, where)
    return None if flag is None else Has(flag)


def _at_school(reader: Reader, value: Json, where: Where, form: ConditionForm) -> Condition | None:  # noqa: ARG001
    fact = reader.text(value, where)
    return None if fact is None else AtSchool(fact)


def _parts(reader: Reader, value: Json, where: Where, form: ConditionForm) -> tuple[Condition, ...]:
    found = [
        read_condition(reader, entry, (where, index), form.inside())
        for index, entry in enumerate(reader.list_(value, where))
    ]
    return tuple(part for part in found if part)


def _all_of(reader: Reader, value: Json, where: Where, form: ConditionForm) -> Condition | None:
    return AllOf(_parts(reader, value, where, form))


def _any_of(reader: Reader, value: Json, where: Where, form: ConditionForm) -> Condition | None:
    return AnyOf(_parts(reader, value, where, form))


def _not(reader: Reader, value: Json, where: Where, form: ConditionForm) -> Condition | None:
    part = read_condition(reader, value, where, form.inside())
    return None if part is None else Not(part)


_CONDITIONS: Mapping[str, ReadOperand] = {
    "everyone": _only_true(EVERYONE),
    "zone_in": _zone_in,
    "has": _has,
    "at_school": _at_school,
    "attends_in": _attends_in,
    "sibling_placed": _only_true(SiblingPlaced()),
    "all": _all_of,
    "any": _any_of,
    "not": _not,
}
