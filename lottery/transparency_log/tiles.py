"""Name, read and write the tiles of a log (C2SP tlog-tiles).

A tile has up to 256 hashes of one level. A bundle has the entries under a tile of level 0. Both are named by a path.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lottery.transparency_log.canonical_text import MAX_NUMBER, Malformed, require_hash
from lottery.transparency_log.merkle import HASH_BYTES

WIDTH = 256
LEVELS_IN_A_TILE = 8
MAX_LEVEL = 63
LENGTH_BYTES = 2
MAX_ENTRY_BYTES = 65_535
ENTRIES = "entries"

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of hashes at a level, or with no level a bundle of entries."""

    level: int | None
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        level = self.level or 0
        if not 0 <= level <= MAX_LEVEL:
            raise Malformed(f"the level of a tile must be from 0 to {MAX_LEVEL}")
        if not 1 <= self.width <= WIDTH:
            raise Malformed(f"the width of a tile must be from 1 to {WIDTH}")
        if self.index < 0 or self.index << LEVELS_IN_A_TILE * (level + 1) > MAX_NUMBER:
            raise Malformed("no log has a tile with this index")

    @property
    def path(self) -> str:
        """The path below the log's prefix (C2SP tlog-tiles, Merkle Tree and Log entries)."""
        level = ENTRIES if self.level is None else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_index_path(self.index)}{partial}"

    @property
    def nodes(self) -> list[tuple[int, int]]:
        """The nodes of the tree whose hashes are in the tile, as pairs of level and index in the level."""
        height = LEVELS_IN_A_TILE * (self.level or 0)
        first = self.index * WIDTH
        return [(height, first + place) for place in range(self.width)]


def _index_path(index: int) -> str:
    """Return an index in groups of three digits: 1234067 is `x001/x234/067`."""
    path = f"{index % 1000:03}"
    while index := index // 1000:
        path = f"x{index % 1000:03}/{path}"
    return path


def parse_tile_path(path: str) -> Tile:
    """Return the tile that a path names.

    Raises:
        Malformed: for every path that `Tile.path` does not give, and for tiles that no log can have.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise Malformed("a tile's path must be tile/LEVEL/INDEX or tile/entries/INDEX, with .p/WIDTH if it is partial")
    level = None if found["level"] == ENTRIES else int(found["level"])
    tile = Tile(level, int(re.sub("[x/]", "", found["index"])), int(found["width"] or WIDTH))
    if tile.path != path:
        raise Malformed(f"the path of this tile must be {tile.path}")
    return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """Give every tile of hashes of a tree, level by level. The last of a level may be partial (Partial Tiles)."""
    level = 0
    while hashes := size >> LEVELS_IN_A_TILE * level:
        yield from (Tile(level, *place) for place in _places(hashes))
        level += 1


def bundles_of(size: int) -> Iterator[Tile]:
    """Give every bundle of entries of a log. The last may be partial."""
    return (Tile(None, *place) for place in _places(size))


def _places(count: int) -> Iterator[tuple[int, int]]:
    """Give the index and the width of the tiles over a number of hashes or entries."""
    full, rest = divmod(count, WIDTH)
    yield from ((index, WIDTH) for index in range(full))
    if rest:
        yield full, rest


def write_tile(hashes: Sequence[bytes]) -> bytes:
    """Return the content of a tile.

    Raises:
        Malformed: if there are no hashes or more than 256, or if one has not 32 bytes.
    """
    _require_width(len(hashes))
    return b"".join(require_hash(digest, "a hash in a tile") for digest in hashes)


def read_tile(data: bytes, *, width: int) -> tuple[bytes, ...]:
    """Return the hashes in a tile.

    Raises:
        Malformed: if the tile has not this width.
    """
    _require_width(width)
    if len(data) != width * HASH_BYTES:
        raise Malformed(f"a tile of {width} hashes must have {width * HASH_BYTES} bytes, not {len(data)}")
    return tuple(data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES))


def write_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the content of a bundle of entries (C2SP tlog-tiles, Log entries).

    Raises:
        Malformed: if there are no entries or more than 256, or if one has more than 65,535 bytes.
    """
    _require_width(len(entries))
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise Malformed(f"an entry must have at most {MAX_ENTRY_BYTES} bytes")
    return b"".join(len(entry).to_bytes(LENGTH_BYTES, "big") + entry for entry in entries)


def read_bundle(data: bytes, *, width: int) -> tuple[bytes, ...]:
    """Return the entries in a bundle. Their hashes must still be compared with those of the tile of level 0.

    Raises:
        Malformed: if the bundle has more or fewer entries, or ends within one.
    """
    _require_width(width)
    entries = []
    start = 0
    for _ in range(width):
        entry, start = _read_entry(data, start)
        entries.append(entry)
    if start != len(data):
        raise Malformed(f"the bundle has bytes after its {width} entries")
    return tuple(entries)


def _read_entry(data: bytes, start: int) -> tuple[bytes, int]:
    """Return the entry that begins at a place, and where it ends."""
    content = start + LENGTH_BYTES
    end = content + int.from_bytes(data[start:content], "big")
    if content > len(data) or end > len(data):
        raise Malformed(f"the bundle ends within the entry at byte {start}")
    return data[content:end], end


def _require_width(width: int) -> None:
    if not 1 <= width <= WIDTH:
        raise Malformed(f"a tile or bundle must have from 1 to {WIDTH} hashes or entries, not {width}")
