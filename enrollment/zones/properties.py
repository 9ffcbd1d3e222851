"""Read the properties of a zone's feature, under the names that the file's own mapping program gave them."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from enrollment.fault_list import FaultList
from enrollment.plain_text import SAYS as TEXT_FAULTS
from enrollment.plain_text import flaw_of, in_nfc
from enrollment.problems import Fault, listed, sentence
from lottery.market.canonical import Json
from lottery.market.json_reader import is_identifier

MAX_TEXT = 200
MAX_ID = 64
MAX_NAMES = 12
"""The most names of properties that an error lists."""

ID_MADE = sentence("{value} is not a valid id, so the zone gets the id {zone}; use {zone} in rules")
NOT_AN_ID = sentence("must be the zone's id: 1 to 64 of A-Z a-z 0-9 . _ : -")
NO_PROPERTY = sentence(
    "the feature has no property {wanted}, but it has: {names}. Name the property to read with ?{parameter}=..."
)
_OUTSIDE_IDS = re.compile(r"[^A-Za-z0-9._:-]+")


@dataclass(frozen=True, slots=True)
class PropertyNames:
    """The names of the properties in a file, and a vintage for features without one."""

    zone: str = "zone"
    name: str = "name"
    school: str = "school"
    grades: str = "grades"
    vintage: str = "vintage"
    vintage_of_file: str | None = None

    @property
    def makes_ids(self) -> bool:
        """Return whether ids are made from the values of a property that was not meant as an id."""
        return self.zone != "zone"


@dataclass(frozen=True, slots=True)
class Known:
    """The names that a file may use."""

    schools: Mapping[str, str]
    """The ids of the directory's schools, by id, and by NCES id if no other school has it."""
    grades: Collection[str]


@dataclass(frozen=True, slots=True)
class ZoneProperties:
    """The properties of a zone without faults."""

    zone: str
    name: str | None
    school: str | None
    grades: tuple[str, ...] | None
    vintage: str


@dataclass(frozen=True, slots=True)
class PropertyReader:
    """Reads the properties of the features of one file, and adds each fault to a list."""

    names: PropertyNames
    known: Known
    faults: FaultList
    ids_made: dict[str, str] = field(default_factory=dict)
    """The ids that were made from other text, by that text."""

    def read(self, at: str, properties: Mapping[str, Json], vintage: Json) -> ZoneProperties | None:
        """Return the properties of one feature; None if they have faults.

        Args:
            at: the pointer to the properties.
            properties: the properties as the file has them.
            vintage: the vintage at the top of the file.
        """
        before = len(self.faults)
        zone = self._zone(at, properties)
        school = self._school(f"{at}/{self.names.school}", properties.get(self.names.school))
        grades = self._grades(f"{at}/{self.names.grades}", properties.get(self.names.grades))
        dated = self._vintage(at, properties, vintage)
        name = self._name(f"{at}/{self.names.name}", properties.get(self.names.name))
        if len(self.faults) > before or zone is None or dated is None:
            return None
        return ZoneProperties(zone, name, school, grades, dated)

    def _refuse(self, pointer: str, code: str, detail: str, **values: str | int) -> None:
        self.faults.add(Fault(pointer, code, detail, values))

    def _zone(self, at: str, properties: Mapping[str, Json]) -> str | None:
        value = properties.get(self.names.zone)
        if value is None and properties:
            self._refuse_missing(at, self.names.zone, "zone_property", properties)
            return None
        if self.names.makes_ids:
            return self._made_id(f"{at}/{self.names.zone}", value)
        if is_identifier(value):
            return value
        self._refuse(f"{at}/{self.names.zone}", "not-an-id", NOT_AN_ID)
        return None

    def _refuse_missing(self, at: str, wanted: str, parameter: str, properties: Mapping[str, Json]) -> None:
        names = ", ".join(name for name in list(properties)[:MAX_NAMES] if flaw_of(name) is None)
        self._refuse(f"{at}/{wanted}", "no-property", NO_PROPERTY, wanted=wanted, names=names, parameter=parameter)

    def _made_id(self, at: str, value: Json) -> str | None:
        text = _as_text(value)
        if text is not None and is_identifier(text):
            return text
        zone = None if text is None else id_from(text)
        if text is None or zone is None:
            self._refuse(at, "not-an-id", sentence("must be text or a whole number from which an id can be made"))
            return None
        self.ids_made[text] = zone
        return zone

    def _school(self, at: str, value: Json) -> str | None:
        if value is None or value == "":
            return None
        school = self.known.schools.get(str(_as_text(value)))
        if school is None:
            detail = sentence(
                "is not the id or NCES id of a school in the directory; correct the id, or add the school"
            )
            self._refuse(at, "unknown-school", detail)
        return school

    def _vintage(self, at: str, properties: Mapping[str, Json], of_file: Json) -> str | None:
        for value in (properties.get(self.names.vintage), of_file, self.names.vintage_of_file):
            if value is not None:
                return self._text(f"{at}/{self.names.vintage}", _as_text(value))
        detail = sentence(
            "is missing: the school year or date of the map. Send it for the whole file with ?vintage=..., or name "
            "the property to read with ?vintage_property=..."
        )
        self._refuse(f"{at}/{self.names.vintage}", "no-text", detail)
        return None

    def _name(self, at: str, value: Json) -> str | None:
        return None if value is None or value == "" else self._text(at, value)

    def _text(self, at: str, value: Json) -> str | None:
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
            self._refuse(at, "no-text", sentence("must be text of 1 to {most} characters"), most=MAX_TEXT)
            return None
        text = in_nfc(value)
        flaw = flaw_of(text)
        if flaw is not None:
            self._refuse(at, flaw.kind, TEXT_FAULTS[flaw.kind], number=flaw.place)
        return text

    def _grades(self, at: str, value: Json) -> tuple[str, ...] | None:
        if value is None or value == "":
            return None
        grades: Json = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if not isinstance(grades, list) or not grades:
            detail = sentence(
                "must be a list of grades, or text with commas between them; leave it out if the zone is for all grades"
            )
            self._refuse(at, "no-grades", detail)
            return None
        self._refuse_unknown_grades(at, grades)
        return tuple(dict.fromkeys(grade for grade in grades if isinstance(grade, str)))

    def _refuse_unknown_grades(self, at: str, grades: Sequence[Json]) -> None:
        for place, grade in enumerate(grades):
            if grade not in self.known.grades:
                detail = sentence("must be a grade of this cycle: {allowed}")
                self._refuse(f"{at}/{place}", "unknown-grade", detail, allowed=listed(self.known.grades))


def id_from(text: str) -> str | None:
    """Return an id made from a name: without accents, and with `-` in place of what ids cannot have."""
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", text) if not unicodedata.combining(mark))
    return _OUTSIDE_IDS.sub("-", plain).strip("-")[:MAX_ID] or None


def _as_text(value: Json) -> str | None:
    """Return text or a whole number as text. Mapping programs write ids and years as numbers."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(int(value)) if value == int(value) else None
