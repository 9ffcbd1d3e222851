"""Tiles and bundles: the examples of the document, every node once, and everything that must be refused."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.transparency_log.canonical_text import Malformed
from lottery.transparency_log.merkle import leaf_hash, node_hash, peaks, root
from lottery.transparency_log.tiles import (
    Tile,
    bundles_of,
    parse_tile_path,
    read_bundle,
    read_tile,
    tiles_of,
    write_bundle,
    write_tile,
)


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/000", Tile(0, 0)),
        ("tile/0/x001/x234/067", Tile(0, 1_234_067)),
        ("tile/0/x001/234.p/5", Tile(0, 1_234, 5)),
        ("tile/63/000.p/1", Tile(63, 0, 1)),
        ("tile/entries/999.p/255", Tile(None, 999, 255)),
        ("tile/entries/x001/000", Tile(None, 1_000)),
    ],
)
def test_a_path_names_a_tile(path: str, tile: Tile) -> None:
    assert parse_tile_path(path) == tile
    assert tile.path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/entries/00",
        "tile/Entries/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/067",
        "tile/0/001/067",
        "tile/0/x001",
        "tile/0/X001/000",
        "tile/0/x001//000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/05",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/٠٠٠",
        "tile/7/001",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x001/" * 1000 + "000",
        "tile/../000",
    ],
)
def test_what_names_no_tile_is_refused(path: str) -> None:
    with pytest.raises(Malformed):
        parse_tile_path(path)


@settings(max_examples=200, deadline=None)
@given(st.none() | st.integers(0, 63), st.integers(0, 2**55), st.integers(1, 256))
def test_paths_are_read_as_they_are_written(level: int | None, index: int, width: int) -> None:
    try:
        tile = Tile(level, index, width)
    except Malformed:
        assert index << 8 * ((level or 0) + 1) >= 2**63
    else:
        assert parse_tile_path(tile.path) == tile


def test_a_tree_of_70000_entries_has_the_tiles_of_the_document() -> None:
    tiles = list(tiles_of(70_000))
    full = [sum(tile.level == level and tile.width == 256 for tile in tiles) for level in range(3)]
    assert full == [273, 1, 0]
    assert [(tile.level, tile.width) for tile in tiles if tile.width < 256] == [(0, 112), (1, 17), (2, 1)]
    assert [tile.path for tile in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert [tile.path for tile in bundles_of(257)] == ["tile/entries/000", "tile/entries/001.p/1"]
    assert [*tiles_of(0), *bundles_of(0)] == []


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70_000))
def test_tiles_have_every_complete_subtree_of_their_levels_once(size: int) -> None:
    nodes = [node for tile in tiles_of(size) for node in tile.nodes]
    assert len(nodes) == len(set(nodes))
    assert set(nodes) == {(level, index) for level in (0, 8, 16) for index in range(size >> level)}
    assert {peak for peak in peaks(size) if peak[0] % 8 == 0} <= set(nodes)
    leaves = [node for tile in bundles_of(size) for node in tile.nodes]
    assert leaves == [(0, index) for index in range(size)]


def test_a_log_is_rebuilt_and_checked_from_its_tiles_and_bundles() -> None:
    bodies = [str(number).encode() for number in range(600)]
    leaves = [leaf_hash(body) for body in bodies]
    files = {
        tile.path: write_tile([root(leaves[index << level : index + 1 << level]) for level, index in tile.nodes])
        for tile in tiles_of(len(leaves))
    }
    assert list(files) == ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]
    full = [root(read_tile(files[f"tile/0/00{number}"], width=256)) for number in range(2)]
    assert read_tile(files["tile/1/000.p/2"], width=2) == tuple(full)
    assert node_hash(node_hash(*full), root(read_tile(files["tile/0/002.p/88"], width=88))) == root(leaves)
    bundles = [write_bundle([bodies[index] for _, index in bundle.nodes]) for bundle in bundles_of(len(bodies))]
    assert [leaf_hash(body) for body in read_bundle(bundles[2], width=88)] == leaves[512:]


hashes = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=8)
entries = st.lists(st.binary(max_size=40), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(hashes, entries)
def test_tiles_and_bundles_are_read_as_they_are_written(digests: list[bytes], bodies: list[bytes]) -> None:
    assert read_tile(write_tile(digests), width=len(digests)) == tuple(digests)
    assert read_bundle(write_bundle(bodies), width=len(bodies)) == tuple(bodies)


def test_a_bundle_is_lengths_of_two_bytes_and_entries() -> None:
    assert write_bundle([b"ab", b"", b"c" * 258]) == b"\0\x02ab\0\0\x01\x02" + b"c" * 258
    largest = write_bundle([bytes(65_535)] * 256)
    assert len(read_bundle(largest, width=256)) == 256


def test_what_fits_no_tile_is_refused() -> None:
    for digests in ([], [bytes(31)], [bytes(32)] * 257):
        with pytest.raises(Malformed):
            write_tile(digests)
    for bodies in ([], [bytes(65_536)], [b""] * 257):
        with pytest.raises(Malformed):
            write_bundle(bodies)
    for tile in ((-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257), (0, 2**55, 1)):
        with pytest.raises(Malformed):
            Tile(*tile)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100), st.integers(-1, 300))
def test_whatever_a_tile_is_it_is_read_and_written_alike_or_refused(data: bytes, width: int) -> None:
    for other in (data, data[:1] * 32 * abs(width)):
        with contextlib.suppress(Malformed):
            assert write_tile(read_tile(other, width=width)) == other
        with contextlib.suppress(Malformed):
            assert write_bundle(read_bundle(other, width=width)) == other


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30) | st.text(alphabet="tileenrs/x0123456789.p", max_size=30))
def test_whatever_a_path_is_it_is_read_and_written_alike_or_refused(text: str) -> None:
    for path in (text, f"tile/0/{text}", f"tile/entries/{text}"):
        with contextlib.suppress(Malformed):
            assert parse_tile_path(path).path == path
