"""The audit log on the wire."""

from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire


class TreeOut(Wire):
    """The log's size and root."""

    size: Annotated[int, Field(description="How many entries have their place.", examples=[2])]
    root: Annotated[str, Field(description="RFC 6962 tree hash, SHA-256, in hex.")]


class EntryOut(Wire):
    """An entry in its place."""

    index: int
    entry: Annotated[str, Field(description="Canonical JSON (RFC 8785), as text: these bytes are hashed.")]
    leaf_hash: Annotated[str, Field(description="SHA-256 of 00 and the entry, in hex.")]


class EntriesOut(Wire):
    """A range of entries."""

    size: int
    entries: list[EntryOut]
