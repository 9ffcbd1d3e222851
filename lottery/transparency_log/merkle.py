"""Compute the log's Merkle tree and its proofs (RFC 6962, section 2.1).

The hash is SHA-256, with the prefix 00 for leaves and 01 for nodes. A tree of any size consists of complete subtrees,
one for each 1 bit of the size. An append never changes a complete subtree.

A proof is made from ranges of leaves: the root of each range is one hash of the proof. It is verified as in RFC 9162,
sections 2.1.3.2 and 2.1.4.2, from the leaves up.
"""

import hashlib
from collections.abc import Iterator, Sequence

EMPTY = hashlib.sha256().digest()
"""The root of a tree without leaves."""

HASH_BYTES = 32


class NoSuchProof(ValueError):
    """There is no proof of this kind: the tree is empty, or too small."""


class InvalidProof(ValueError):
    """A proof does not hold. The message says why."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def peaks(size: int) -> list[tuple[int, int]]:
    """Return the complete subtrees of a tree, leftmost first, as pairs of level and index in the level."""
    found = []
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a tree from the hashes of its complete subtrees, leftmost first."""
    if not hashes:
        return EMPTY
    root = hashes[-1]
    for peak in reversed(hashes[:-1]):
        root = node_hash(peak, root)
    return root


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root of a tree from its leaf hashes, in order."""
    tops: list[bytes] = []
    for place, leaf in enumerate(leaf_hashes):
        index = place
        digest = leaf
        while index & 1:
            digest = node_hash(tops.pop(), digest)
            index >>= 1
        tops.append(digest)
    return fold(tops)


def inclusion_ranges(*, index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots are an inclusion proof, in its order (RFC 6962, section 2.1.1).

    Raises:
        NoSuchProof: if the tree has no leaf with this index.
    """
    if not 0 <= index < size:
        raise NoSuchProof(f"a tree of {size} entries has no entry {index}")
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = _middle(start, end)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(*, first: int, second: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots are a consistency proof, in its order (RFC 6962, section 2.1.2).

    Raises:
        NoSuchProof: if the first tree is empty or larger than the second.
    """
    if not 0 < first <= second:
        raise NoSuchProof(f"no consistency proof leads from {first} to {second} entries")
    ranges = []
    start, end = 0, second
    while end != first:
        middle = _middle(start, end)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def _middle(start: int, end: int) -> int:
    """Return where a tree splits: after the largest power of two that is smaller than its size."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the proof that a tree has a leaf (RFC 6962, section 2.1.1).

    Raises:
        NoSuchProof: if the tree has no leaf with this index.
    """
    ranges = inclusion_ranges(index=index, size=len(leaf_hashes))
    return tuple(root(leaf_hashes[start:end]) for start, end in ranges)


def consistency_proof(leaf_hashes: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """Return the proof that a tree begins with all leaves of its state at size `first` (RFC 6962, section 2.1.2).

    Raises:
        NoSuchProof: if the first tree is empty or larger than the second.
    """
    ranges = consistency_ranges(first=first, second=len(leaf_hashes))
    return tuple(root(leaf_hashes[start:end]) for start, end in ranges)


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Verify that a tree has a leaf hash at an index (RFC 9162, section 2.1.3.2).

    Raises:
        InvalidProof: if the proof does not lead from the leaf hash to the root.
    """
    if not 0 <= index < size:
        raise InvalidProof(f"a tree of {size} entries has no entry {index}")
    _require_hashes(leaf, root, *proof)
    digest = leaf
    for sibling, on_left in _siblings(index, size - 1, proof):
        digest = node_hash(sibling, digest) if on_left else node_hash(digest, sibling)
    _require_root(digest, root, f"of the tree of {size} entries")


def verify_consistency(
    *, first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Verify that a tree begins with all leaves of a smaller or equal one (RFC 9162, section 2.1.4.2).

    Raises:
        InvalidProof: if the proof does not lead to both roots, or if the first tree is empty or larger than the second.
    """
    if not 0 < first <= second:
        raise InvalidProof(f"no consistency proof leads from {first} to {second} entries")
    _require_hashes(first_root, second_root, *proof)
    if first == second:
        _require_equal(first_root, second_root, proof)
        return
    whole = _ones_of(first - 1)
    node, last = first - 1 >> whole, second - 1 >> whole
    path = list(proof) if node else [first_root, *proof]
    before = after = path[0] if path else first_root
    for sibling, on_left in _siblings(node, last, path[1:]):
        before = node_hash(sibling, before) if on_left else before
        after = node_hash(sibling, after) if on_left else node_hash(after, sibling)
    _require_root(before, first_root, f"of the tree of {first} entries")
    _require_root(after, second_root, f"of the tree of {second} entries")


def _siblings(node: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Give the hashes of a proof from the leaves up, and whether each stands to the left of the path.

    A node without a sibling is its own parent, so the path passes over such levels. `last` is the last node of a level.
    """
    for sibling in proof:
        if last == 0:
            raise InvalidProof("the proof has too many hashes")
        on_left = bool(node & 1) or node == last
        yield sibling, on_left
        levels = 1 + (_zeros_of(node) if on_left else 0)
        node, last = node >> levels, last >> levels
    if last:
        raise InvalidProof("the proof has too few hashes")


def _zeros_of(number: int) -> int:
    """Return how many 0 bits a number ends with; for 0, none."""
    return (number & -number).bit_length() - 1 if number else 0


def _ones_of(number: int) -> int:
    """Return how many 1 bits a number ends with."""
    return _zeros_of(number + 1)


def _require_hashes(*hashes: bytes) -> None:
    if any(len(digest) != HASH_BYTES for digest in hashes):
        raise InvalidProof(f"every hash must have {HASH_BYTES} bytes")


def _require_equal(first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> None:
    if proof or first_root != second_root:
        raise InvalidProof("two trees of one size must have one root and an empty proof")


def _require_root(computed: bytes, expected: bytes, which: str) -> None:
    if computed != expected:
        raise InvalidProof(f"the proof does not lead to the root {which}")
