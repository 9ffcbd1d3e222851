"""Presets: named, documented rule sets that a school or an operator starts from and edits. Each is a file."""

from collections.abc import Mapping
from datetime import MAXYEAR, date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, StringConstraints

from enrollment.cycles.inputs import Policy
from enrollment.cycles.models import Cycle
from enrollment.field_types import Id, Text, Wire
from enrollment.problems import NotFound
from enrollment.rules.model import MAX_SEATS, BackfillInput, LaterTarget, RulesPart, Seats

FILES = Path(__file__).parent / "preset_files"

MonthDay = Annotated[
    str,
    StringConstraints(
        pattern=r"^((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))$"
    ),
    Field(description="A day that every year has: month and day.", examples=["02-15"]),
]


class LaterEachYear(Wire):
    """A later target whose day comes each year."""

    name: Id
    month_day: MonthDay
    seats: Annotated[int, Field(ge=0, le=MAX_SEATS)]


class Variant(Wire):
    """One rule set of a preset."""

    name: Id
    what: Annotated[Text, Field(description="What it does, in a line.")]
    rules: Annotated[RulesPart, Field(description="As a program may say them; the numbers are examples to edit.")]
    zones: Annotated[
        list[Id],
        Field(
            description="Zones that the rules name and that stand for others: whoever takes them puts its own there."
        ),
    ] = Field(default_factory=list)
    last_date_each_year: Annotated[
        MonthDay | None, Field(description="The backfill rule's last date, which comes each year; null: none.")
    ] = None
    later_each_year: Annotated[
        list[LaterEachYear], Field(description="Later targets, whose days come each year, in the order of the season.")
    ] = Field(default_factory=list)


class PresetListed(Wire):
    """A preset in the list."""

    id: Id
    name: Text
    system: Annotated[Text, Field(description="The real system that it is drawn from.")]
    shows: Annotated[Text, Field(description="What it shows.")]


class Preset(PresetListed):
    """A preset: what it is drawn from, what of a cycle belongs to it, and its rule sets."""

    source: Annotated[Text, Field(description="Where what is known of the real system is from.")]
    cycle: Annotated[
        Policy, Field(description="The policy of a cycle that it is made for, with the facts that its rules name.")
    ]
    variants: Annotated[list[Variant], Field(min_length=1)]
    notes: Annotated[list[Text], Field(description="What these rules do not say, and what to mind.")]

    def variant(self, name: str) -> Variant:
        """Return the rule set of that name.

        Raises:
            KeyError: if there is none.
        """
        return {variant.name: variant for variant in self.variants}[name]

    def listed(self) -> PresetListed:
        """Return what the list shows of it."""
        return PresetListed(id=self.id, name=self.name, system=self.system, shows=self.shows)


@cache
def presets() -> Mapping[str, Preset]:
    """Return every preset by id, in order of ids."""
    read = [Preset.model_validate_json(path.read_bytes()) for path in FILES.glob("*.json")]
    return MappingProxyType({preset.id: preset for preset in sorted(read, key=lambda preset: preset.id)})


def read_preset(preset_id: str) -> Preset:
    """Return a preset.

    Raises:
        NotFound: if there is none of that id.
    """
    if preset_id not in presets():
        raise NotFound
    return presets()[preset_id]


def first_after(month_day: str, day: date) -> date:
    """Return the first day of that month and day after a day; in the last year of all, the day of that year."""
    this_year = date.fromisoformat(f"{day.year:04}-{month_day}")
    return this_year if this_year > day else this_year.replace(year=min(day.year + 1, MAXYEAR))


def main_round_over(cycle: Cycle) -> date:
    """Return the day by which a cycle's main round is over, as far as its calendar says.

    With a deadline in January the next 15 February is still of the school year before; what comes after the deadline,
    where the calendar has it, tells so.
    """
    times = (cycle.deadline, cycle.results_at, cycle.answer_by, cycle.backfill_opens)
    return max(time for time in times if time is not None).date()


def settled_for(preset: Preset, cycle: Cycle) -> Preset:
    """Return a preset whose yearly days have become a cycle's dates.

    A last date is the first such day after the main round; later targets come one after the other from the deadline on.
    """
    return preset.model_copy(update={"variants": [_settled(variant, cycle) for variant in preset.variants]})


def _settled(variant: Variant, cycle: Cycle) -> Variant:
    rules = variant.rules
    if variant.last_date_each_year is not None:
        last = first_after(variant.last_date_each_year, main_round_over(cycle))
        backfill = (rules.backfill or BackfillInput()).model_copy(update={"last_date": last})
        rules = rules.model_copy(update={"backfill": backfill})
    if rules.seats is not None and variant.later_each_year:
        rules = rules.model_copy(update={"seats": _with_later(rules.seats, variant, cycle.deadline.date())})
    return variant.model_copy(update={"rules": rules})


def _with_later(seats: Seats, variant: Variant, day: date) -> Seats:
    later: list[LaterTarget] = []
    for target in variant.later_each_year:
        day = first_after(target.month_day, day)
        later.append(LaterTarget(name=target.name, begins=day, seats=target.seats))
    return seats.model_copy(update={"later": later})
