"""The entries of the list of presets."""

from typing import Annotated

from pydantic import Field

from enrollment.field_types import Id, Text, Wire


class PresetListedOut(Wire):
    """A preset in the list of presets."""

    id: Id
    name: Text
    system: Annotated[Text, Field(description="The real enrollment system that the preset follows.")]
    shows: Annotated[Text, Field(description="What the preset shows.")]
