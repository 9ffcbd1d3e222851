"""Compute the log's Merkle tree (RFC 6962, section 2.1).

The hash is SHA-256, with the prefix 00 for leaves and 01 for nodes. A tree of any size consists of complete subtrees,
one for each 1 bit of the size. An append never changes a complete subtree.
"""

import hashlib
from collections.abc import Sequence

EMPTY = hashlib.sha256().digest()
"""The root of a tree without leaves."""


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
