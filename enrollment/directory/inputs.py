"""What the verbs of the directory take: operators, schools and programs, new or changed."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from enrollment.field_types import Id, Text, Wire

Sector = Literal["district", "charter"]

NcesId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$"), Field(examples=["110003000001"])]
"""A school's id at the National Center for Education Statistics."""


class Point(Wire):
    """A place on the map, WGS84, in degrees."""

    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, examples=[-77.03])]
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, examples=[38.91])]


class OperatorChangeIn(Wire):
    """Who runs schools: a district, a charter network, a stand-alone charter's board."""

    name: Annotated[Text, Field(examples=["City school district"])]


class OperatorIn(OperatorChangeIn):
    """An operator, as an administrator makes it."""

    id: Annotated[Id, Field(examples=["district"])]


class SchoolChangeIn(Wire):
    """A school of the directory, whether it takes part or not."""

    operator: Annotated[Id, Field(description="Who runs it.", examples=["district"])]
    name: Annotated[Text, Field(examples=["Lincoln School"])]
    sector: Annotated[Sector, Field(examples=["district"])]
    nces_id: Annotated[NcesId | None, Field(description="Twelve digits.")] = None
    point: Annotated[Point | None, Field(description="Where it is.")] = None


class SchoolIn(SchoolChangeIn):
    """A school, as an administrator makes it."""

    id: Annotated[Id, Field(examples=["lincoln"])]


class ProgramChangeIn(Wire):
    """One school's seats at one grade, and one track where the school has several."""

    school: Annotated[Id, Field(examples=["lincoln"])]
    grade: Annotated[Id, Field(examples=["KG"])]
    track: Annotated[Id | None, Field(examples=["dual-language"])] = None
    name: Annotated[Text, Field(examples=["Lincoln kindergarten, dual language"])]


class ProgramIn(ProgramChangeIn):
    """A program, as an administrator makes it."""

    id: Annotated[Id, Field(examples=["lincoln-kg-dual"])]
