"""Presets: documented sets of rules that a school or an operator copies and edits. Each preset is a file."""

from collections.abc import Mapping
from datetime import MAXYEAR, date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, StringConstraints

from enrollment.cycles.inputs import Policy
from enrollment.cycles.models import Cycle
from enrollment.cycles.school_years import school_year_of
from enrollment.field_types import Id, Text, Wire
from enrollment.problems import NotFound
from enrollment.rules.model import MAX_SEATS, BackfillInput, LaterTargetInput, RulesInput, SeatsInput
from enrollment.time_zones import day_in

FILES = Path(__file__).parent / "preset_files"

MonthDay = Annotated[
    str,
    StringConstraints(
        pattern=r"^((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))$"
    ),
    Field(description="Month and day of a day that every year has.", examples=["02-15"]),
]


class LaterEachYear(Wire):
    """A later target that begins on the same day each year."""

    name: Id
    month_day: MonthDay
    seats: Annotated[int, Field(ge=0, le=MAX_SEATS)]


class Variant(Wire):
    """One set of rules of a preset."""

    name: Id
    what: Annotated[Text, Field(description="What these rules do, in one line.")]
    rules: Annotated[RulesInput, Field(description="Rules for a program. The numbers are examples to edit.")]
    zones: Annotated[
        list[Id],
        Field(description="Example zones that the rules name. Replace them with your own zones."),
    ] = Field(default_factory=list)
    last_date_after_deadline_year: Annotated[
        MonthDay | None,
        Field(
            description="The last date of the backfill rule: this day in the school year that begins after the "
            "deadline; null: none."
        ),
    ] = None
    later_each_year: Annotated[
        list[LaterEachYear],
        Field(description="Later targets that begin on the same days each year, in order of the season."),
    ] = Field(default_factory=list)


class Preset(Wire):
    """A preset: the real system behind it, the cycle policy that it needs, and its sets of rules."""

    id: Id
    name: Text
    system: Annotated[Text, Field(description="The real enrollment system that the preset follows.")]
    shows: Annotated[Text, Field(description="What the preset shows.")]
    source: Annotated[Text, Field(description="The sources about the real system.")]
    cycle: Annotated[
        Policy, Field(description="The cycle policy that the preset needs, with the facts that its rules name.")
    ]
    variants: Annotated[list[Variant], Field(min_length=1)]
    notes: Annotated[list[Text], Field(description="Limits of these rules, and points to watch.")]

    def variant(self, name: str) -> Variant:
        """Return the set of rules with that name.

        Raises:
            KeyError: if the preset has no such set.
        """
        return {variant.name: variant for variant in self.variants}[name]


@cache
def presets() -> Mapping[str, Preset]:
    """Return every preset by id, in order of ids."""
    read = [Preset.model_validate_json(path.read_bytes()) for path in FILES.glob("*.json")]
    return MappingProxyType({preset.id: preset for preset in sorted(read, key=lambda preset: preset.id)})


def read_preset(preset_id: str) -> Preset:
    """Return a preset.

    Raises:
        NotFound: if no preset has that id.
    """
    if preset_id not in presets():
        raise NotFound
    return presets()[preset_id]


def first_after(month_day: str, day: date) -> date:
    """Return the first date after a day that has this month and day; never later than the last year of `date`."""
    this_year = date.fromisoformat(f"{day.year:04}-{month_day}")
    return this_year if this_year > day else this_year.replace(year=min(day.year + 1, MAXYEAR))


def main_round_over(cycle: Cycle) -> date:
    """Return the last known day of a cycle's main round."""
    times = (cycle.deadline, cycle.results_at, cycle.answer_by, cycle.backfill_opens)
    return day_in(cycle.time_zone, max(time for time in times if time is not None))


def settled_for(preset: Preset, cycle: Cycle) -> Preset:
    """Return a preset with the dates of a cycle in place of the yearly days.

    A last date is in the school year that begins after the deadline. Later targets follow each other from the deadline
    on.
    """
    return preset.model_copy(update={"variants": [_settled(variant, cycle) for variant in preset.variants]})


def _settled(variant: Variant, cycle: Cycle) -> Variant:
    rules = variant.rules
    deadline = day_in(cycle.time_zone, cycle.deadline)
    if variant.last_date_after_deadline_year is not None:
        begins = school_year_of(cycle.deadline, cycle.time_zone)
        last = first_after(variant.last_date_after_deadline_year, begins)
        backfill = (rules.backfill or BackfillInput()).model_copy(update={"last_date": last})
        rules = rules.model_copy(update={"backfill": backfill})
    if rules.seats is not None and variant.later_each_year:
        rules = rules.model_copy(update={"seats": _with_later(rules.seats, variant, deadline)})
    return variant.model_copy(update={"rules": rules})


def _with_later(seats: SeatsInput, variant: Variant, day: date) -> SeatsInput:
    later: list[LaterTargetInput] = []
    for target in variant.later_each_year:
        day = first_after(target.month_day, day)
        later.append(LaterTargetInput(name=target.name, begins=day, seats=target.seats))
    return seats.model_copy(update={"later": later})
