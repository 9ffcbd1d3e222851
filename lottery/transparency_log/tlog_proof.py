"""Read, write and check proofs that a log has an entry (C2SP tlog-proof). They need no server."""

from dataclasses import dataclass

from lottery.transparency_log.canonical_text import (
    MAX_NUMBER,
    Malformed,
    read_base64,
    read_decimal,
    read_hash,
    read_text,
    require_hash,
    write_base64,
)
from lottery.transparency_log.checkpoint import parse_checkpoint
from lottery.transparency_log.merkle import leaf_hash, verify_inclusion
from lottery.transparency_log.policy import Policy, TrustedCheckpoint, check_checkpoint
from lottery.transparency_log.signed_note import MAX_NOTE_BYTES, SignedNote, parse_note

HEADER = "c2sp.org/tlog-proof@v1"
MAX_EXTRA_BYTES = 500_000
MAX_HASHES = 63
"""The longest inclusion proof in a tree of at most 2^63 - 1 entries."""

MAX_PROOF_BYTES = 1_000_000 + MAX_NOTE_BYTES


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An entry's index, its inclusion proof, the signed checkpoint, and data that nothing here signs.

    `extra` is empty where the proof has no such line. Check it against the entry before you believe it.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: SignedNote
    extra: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_NUMBER:
            raise Malformed(f"the index must be from 0 to {MAX_NUMBER}")
        if len(self.hashes) > MAX_HASHES or len(self.extra) > MAX_EXTRA_BYTES:
            raise Malformed(f"a proof must have at most {MAX_HASHES} hashes and {MAX_EXTRA_BYTES} bytes of extra data")
        for digest in self.hashes:
            require_hash(digest, "a hash of the proof")
        parse_checkpoint(self.checkpoint.text)

    @property
    def encoded(self) -> bytes:
        """The proof as it is stored and handed out (C2SP tlog-proof, Format)."""
        extra = [f"extra {write_base64(self.extra)}"] if self.extra else []
        lines = [HEADER, *extra, f"index {self.index}", *(write_base64(digest) for digest in self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint.encoded


def parse_proof(data: bytes) -> TlogProof:
    """Return the proof in a file. Nothing is verified yet.

    Raises:
        Malformed: for all bytes that `TlogProof.encoded` does not give.
    """
    head, blank, note = read_text(data, "the proof", limit=MAX_PROOF_BYTES).partition("\n\n")
    header, *lines = head.split("\n")
    if header != HEADER or not blank:
        raise Malformed(f"a proof must begin with the line {HEADER} and have an empty line before its checkpoint")
    extra = _read_extra(lines.pop(0)) if lines and lines[0].startswith("extra ") else b""
    if not lines or not lines[0].startswith("index "):
        raise Malformed("a proof must have its line with the index after the header and the extra data")
    index = read_decimal(lines[0].removeprefix("index "), "the index")
    hashes = tuple(read_hash(line, "a hash of the proof") for line in lines[1 : MAX_HASHES + 2])
    return TlogProof(index, hashes, parse_note(note.encode()), extra)


def _read_extra(line: str) -> bytes:
    extra = read_base64(line.removeprefix("extra "), "the extra data")
    if not extra:
        raise Malformed("a proof without extra data must have no line for it")
    return extra


def check_proof(proof: TlogProof, *, entry: bytes, policy: Policy) -> TrustedCheckpoint:
    """Return the checkpoint, trusted by the policy, of a log that has the entry at the proof's index.

    Raises:
        InvalidSignature: if no log of the policy signed the checkpoint, or if a known key's signature is wrong.
        QuorumMissed: if too few witnesses cosigned it.
        InvalidProof: if the tree does not have this entry there.
    """
    trusted = check_checkpoint(proof.checkpoint, policy)
    checkpoint = trusted.checkpoint
    verify_inclusion(
        leaf=leaf_hash(entry), index=proof.index, size=checkpoint.size, proof=proof.hashes, root=checkpoint.root
    )
    return trusted
