"""The audit log on the wire."""

from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire


class TreeOut(Wire):
    """The size and the root hash of the log."""

    size: Annotated[int, Field(description="The number of entries in the log.", examples=[2])]
    root: Annotated[str, Field(description="RFC 6962 tree hash, SHA-256, in hex.")]


class EntryOut(Wire):
    """A log entry and its index."""

    index: int
    entry: Annotated[str, Field(description="The entry as canonical JSON (RFC 8785) text. These bytes are hashed.")]
    leaf_hash: Annotated[str, Field(description="SHA-256 of the byte 00 and the entry, in hex.")]


class EntriesOut(Wire):
    """A range of entries."""

    size: int
    entries: list[EntryOut]
