"""Trees and proofs, against vectors of others and against the definitions of RFC 6962 word for word."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.transparency_log.merkle import (
    EMPTY,
    InvalidProof,
    NoSuchProof,
    consistency_proof,
    consistency_ranges,
    inclusion_proof,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(bytes([number])) for number in range(64)]


class Inclusion(TypedDict):
    leafIdx: int
    treeSize: int
    root: str
    leafHash: str
    proof: list[str] | None
    desc: str
    wantErr: bool


class Consistency(TypedDict):
    size1: int
    size2: int
    root1: str
    root2: str
    proof: list[str] | None
    desc: str
    wantErr: bool


class Vectors(TypedDict):
    inclusion: list[Inclusion]
    consistency: list[Consistency]


VECTORS: Vectors = json.loads(Path(__file__).with_name("merkle.json").read_text())


def hashes_of(texts: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in texts or []]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: case["desc"])
def test_inclusion_is_verified_as_the_vectors_say(case: Inclusion) -> None:
    def verify() -> None:
        leaf, top = hashes_of([case["leafHash"], case["root"]])
        proof = hashes_of(case["proof"])
        verify_inclusion(leaf=leaf, index=case["leafIdx"], size=case["treeSize"], proof=proof, root=top)

    if case["wantErr"]:
        with pytest.raises(InvalidProof):
            verify()
    else:
        verify()


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: case["desc"])
def test_consistency_is_verified_as_the_vectors_say(case: Consistency) -> None:
    first_root, second_root = hashes_of([case["root1"], case["root2"]])

    def verify() -> None:
        verify_consistency(
            first=case["size1"],
            first_root=first_root,
            second=case["size2"],
            second_root=second_root,
            proof=hashes_of(case["proof"]),
        )

    if case["wantErr"] or 0 in {case["size1"], case["size2"]}:
        with pytest.raises(InvalidProof):
            verify()
    else:
        verify()


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    split = split_of(len(leaves))
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def split_of(size: int) -> int:
    split = 1
    while split * 2 < size:
        split *= 2
    return split


def naive_path(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return ()
    split = split_of(len(leaves))
    if index < split:
        return (*naive_path(index, leaves[:split]), naive_root(leaves[split:]))
    return (*naive_path(index - split, leaves[split:]), naive_root(leaves[:split]))


def naive_subproof(first: int, leaves: Sequence[bytes], *, whole: bool) -> tuple[bytes, ...]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if first == len(leaves):
        return () if whole else (naive_root(leaves),)
    split = split_of(len(leaves))
    if first <= split:
        return (*naive_subproof(first, leaves[:split], whole=whole), naive_root(leaves[split:]))
    return (*naive_subproof(first - split, leaves[split:], whole=False), naive_root(leaves[:split]))


@pytest.mark.parametrize("size", range(1, 65))
def test_every_leaf_has_the_proof_of_the_rfc(size: int) -> None:
    leaves = LEAVES[:size]
    top = naive_root(leaves)
    assert root(leaves) == top
    for index, leaf in enumerate(leaves):
        proof = inclusion_proof(leaves, index)
        assert proof == naive_path(index, leaves)
        verify_inclusion(leaf=leaf, index=index, size=size, proof=proof, root=top)


@pytest.mark.parametrize("size", range(1, 65))
def test_every_earlier_tree_has_the_proof_of_the_rfc(size: int) -> None:
    leaves = LEAVES[:size]
    top = naive_root(leaves)
    for first in range(1, size + 1):
        proof = consistency_proof(leaves, first)
        assert proof == naive_subproof(first, leaves, whole=True)
        verify_consistency(
            first=first, first_root=naive_root(leaves[:first]), second=size, second_root=top, proof=proof
        )


def test_no_leaf_is_proved_at_another_index_or_in_another_tree() -> None:
    for size in range(1, 18):
        top = root(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            for other in set(range(size + 1)) - {index}:
                with pytest.raises(InvalidProof):
                    verify_inclusion(leaf=LEAVES[index], index=other, size=size, proof=proof, root=top)
            with pytest.raises(InvalidProof):
                verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=proof, root=EMPTY)


def test_no_proof_of_another_length_holds() -> None:
    for size in range(2, 18):
        top = root(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            for other in (proof[:-1], proof[1:], (*proof, top), (*proof, EMPTY)):
                with pytest.raises(InvalidProof):
                    verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=other, root=top)


def test_a_changed_history_is_not_consistent() -> None:
    for size in range(2, 18):
        changed = [EMPTY, *LEAVES[1:size]]
        for first in range(1, size + 1):
            proof = consistency_proof(changed, first)
            with pytest.raises(InvalidProof):
                verify_consistency(
                    first=first,
                    first_root=root(LEAVES[:first]),
                    second=size,
                    second_root=root(changed),
                    proof=proof,
                )


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3), (3, 3)])
def test_a_leaf_that_no_tree_has_is_not_proved(index: int, size: int) -> None:
    with pytest.raises(NoSuchProof):
        inclusion_ranges(index=index, size=size)
    with pytest.raises(InvalidProof):
        verify_inclusion(leaf=LEAVES[0], index=index, size=size, proof=[], root=LEAVES[0])


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (0, 8), (2, 1), (-1, 3)])
def test_nothing_is_consistent_with_an_empty_tree_or_a_smaller_one(first: int, second: int) -> None:
    with pytest.raises(NoSuchProof):
        consistency_ranges(first=first, second=second)
    with pytest.raises(InvalidProof):
        verify_consistency(first=first, first_root=EMPTY, second=second, second_root=EMPTY, proof=[])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_ranges_of_a_huge_tree_cover_it_once(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 2**63 - 1))
    index = data.draw(st.integers(0, size - 1))
    inclusion = sorted([*inclusion_ranges(index=index, size=size), (index, index + 1)])
    assert tiles_without_gaps(inclusion, size)
    assert len(inclusion) <= 64
    consistency = sorted(consistency_ranges(first=index + 1, second=size))
    start = consistency[0][0] if consistency else size
    assert start in {0, index + 1, size}
    assert tiles_without_gaps([(0, start), *consistency], size)


def tiles_without_gaps(ranges: list[tuple[int, int]], size: int) -> bool:
    ends = [0, *(end for _, end in ranges)]
    return ends[-1] == size and all(start == end for (start, _), end in zip(ranges, ends, strict=False))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**64), st.integers(0, 2**64), st.lists(st.binary(max_size=33) | st.just(EMPTY), max_size=70))
def test_no_invented_proof_does_more_than_fail(first: int, second: int, proof: list[bytes]) -> None:
    with pytest.raises(InvalidProof):
        verify_inclusion(leaf=LEAVES[0], index=first, size=second, proof=proof, root=LEAVES[1])
    with pytest.raises(InvalidProof):
        verify_consistency(first=first, first_root=LEAVES[0], second=second, second_root=LEAVES[1], proof=proof)
