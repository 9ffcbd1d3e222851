"""What a preview is asked for."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from enrollment.field_types import Id, Wire
from enrollment.rules.model import MAX_NAMES, MAX_SEATS, RulesInput

DEFAULT_DRAWS = 200
MIN_DRAWS = 50
MAX_DRAWS = 1_000


class PresetInput(Wire):
    """The rules of a preset, with the numbers and zones of the school."""

    id: Annotated[Id, Field(examples=["massachusetts"])]
    variant: Annotated[
        Id | None, Field(description="The name of one of the preset's sets of rules; null: the first set.")
    ] = None
    seats: Annotated[
        int | None, Field(ge=0, le=MAX_SEATS, description="The match target; null: the seats that the level has now.")
    ] = None
    zones: Annotated[
        dict[Id, Id],
        Field(max_length=MAX_NAMES, description="A zone of this cycle for each example zone of the preset."),
    ] = Field(default_factory=dict)


class PreviewInput(Wire):
    """A proposal to try: rules as they would be saved, or a preset; or only joining, with the saved rules."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rules": {
                        "seats": {"match": 40},
                        "neighborhood": {"rule": "reserve", "percent": 50, "filled": "open-seats-first"},
                    },
                    "basis": "last-cycle",
                }
            ]
        }
    )

    rules: Annotated[
        RulesInput | None,
        Field(description="All rules of the level as they would be saved; null: its saved rules, or the preset."),
    ] = None
    preset: Annotated[PresetInput | None, Field(description="A preset instead of rules.")] = None
    join: Annotated[
        bool, Field(description="True: programs that do not take part are counted as if they took part.")
    ] = False
    basis: Annotated[
        Literal["this-cycle", "last-cycle"], Field(description="The cycle whose rankings the preview uses.")
    ] = "this-cycle"
    draws: Annotated[int, Field(ge=MIN_DRAWS, le=MAX_DRAWS, description="The number of simulated draws.")] = (
        DEFAULT_DRAWS
    )

    @model_validator(mode="after")
    def _proposes_something(self) -> "PreviewInput":
        if self.rules is not None and self.preset is not None:
            raise PydanticCustomError("one_proposal", "must have at most one of rules and preset")
        if self.rules is None and self.preset is None and not self.join:
            raise PydanticCustomError("no_proposal", "must have rules, a preset, or join")
        return self
