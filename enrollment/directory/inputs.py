"""Requests to add or change operators, schools and programs."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from enrollment.field_types import BlankIsNone, Id, OptionalId, Resource, Text, Wire

Sector = Literal["district", "charter"]

NcesId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$"), Field(examples=["110003000001"])]
"""A school's id at the National Center for Education Statistics."""


class Point(Wire):
    """A point on the map in degrees (WGS84)."""

    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, examples=[-77.03])]
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, examples=[38.91])]


class OperatorChangeIn(Resource):
    """An organization that runs schools: a district, a charter network, or the board of a stand-alone charter."""

    shown: ClassVar = frozenset({"id"})

    name: Annotated[Text, Field(examples=["City school district"])]


class OperatorIn(OperatorChangeIn):
    """A new operator."""

    shown: ClassVar = frozenset[str]()

    id: Annotated[Id, Field(examples=["district"])]


class SchoolChangeIn(Resource):
    """A school of the directory. A school in the directory need not take part in a cycle."""

    shown: ClassVar = frozenset({"id", "warnings"})

    operator: Annotated[Id, Field(description="The organization that runs the school.", examples=["district"])]
    name: Annotated[Text, Field(examples=["Lincoln School"])]
    sector: Annotated[Sector, Field(examples=["district"])]
    nces_id: Annotated[NcesId | None, BlankIsNone, Field(description="The NCES id: twelve digits.")] = None
    point: Annotated[Point | None, Field(description="The location of the school.")] = None


class SchoolIn(SchoolChangeIn):
    """A new school."""

    shown: ClassVar = frozenset[str]()

    id: Annotated[Id, Field(examples=["lincoln"])]


class ProgramChangeIn(Resource):
    """A school's seats at one grade, and in one track if the grade has more than one."""

    shown: ClassVar = frozenset({"id"})

    school: Annotated[Id, Field(examples=["lincoln"])]
    grade: Annotated[Id, Field(examples=["KG"])]
    track: Annotated[OptionalId, Field(examples=["dual-language"])] = None
    name: Annotated[Text, Field(examples=["Lincoln kindergarten, dual language"])]


class ProgramIn(ProgramChangeIn):
    """A new program."""

    shown: ClassVar = frozenset[str]()

    id: Annotated[Id, Field(examples=["lincoln-kg-dual"])]
