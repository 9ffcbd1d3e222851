"""The type of conditions in rules, and their form in the OpenAPI document.

Conditions are read as the lottery reads them (`lottery.market.rules_reader`), so that every fault has its place. The
models here only describe the form.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, JsonValue
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema

from enrollment.field_types import Id, Wire

EXAMPLES: tuple[dict[str, JsonValue], ...] = (
    {"own_zone": True},
    {"zone_in": ["Z1", "Z2"]},
    {"has": "frl"},
    {"at_school": "sibling"},
    {"attends_in": ["lincoln"]},
    {"sibling_placed": True},
    {"all": [{"own_zone": True}, {"at_school": "sibling"}]},
    {"any": [{"at_school": "sibling"}, {"at_school": "staff"}]},
    {"not": {"attends_in": ["lincoln"]}},
    {"everyone": True},
)
"""One condition of each kind."""

_EXAMPLE = {name: operand for example in EXAMPLES for name, operand in example.items()}


def _kind(name: str, description: str) -> Any:  # noqa: ANN401 - as `Field` itself
    return Field(alias=name, description=description, examples=[_EXAMPLE[name]], json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


Nothing = SkipJsonSchema[None]


class Condition(Wire):
    """A test on a child's settled facts: an object with exactly one of these keys."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1, "examples": list(EXAMPLES)})

    own_zone: Annotated[
        Literal[True] | Nothing,
        _kind("own_zone", "The child lives in one of the school's own zones for the program's grade."),
    ] = None
    zone_in: Annotated[list[str] | Nothing, _kind("zone_in", "The child lives in one of these zones.")] = None
    has: Annotated[str | Nothing, _kind("has", "The child has this fact (the cycle's child_facts).")] = None
    at_school: Annotated[
        str | Nothing, _kind("at_school", "The child has this fact at the program's school (the cycle's school_facts).")
    ] = None
    attends_in: Annotated[list[Id] | Nothing, _kind("attends_in", "The child attends one of these schools now.")] = None
    sibling_placed: Annotated[
        Literal[True] | Nothing,
        _kind("sibling_placed", "A sibling of the child was placed at the school earlier in the same match."),
    ] = None
    all_of: Annotated[list["Condition"] | Nothing, _kind("all", "The child meets every one of these conditions.")] = (
        None
    )
    any_of: Annotated[
        list["Condition"] | Nothing, _kind("any", "The child meets at least one of these conditions.")
    ] = None
    not_this: Annotated["Condition | Nothing", _kind("not", "The child does not meet this condition.")] = None
    everyone: Annotated[Literal[True] | Nothing, _kind("everyone", "Every child meets this condition.")] = None


class _InWords:
    """Describes a condition in the OpenAPI document as `Condition` does."""

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(Condition.__pydantic_core_schema__)


ConditionInput = Annotated[dict[str, JsonValue], _InWords()]
"""A condition as sent."""
