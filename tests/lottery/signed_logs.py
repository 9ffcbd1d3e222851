"""A small log with its key and two witnesses, for the tests of notes, checkpoints, policies and proofs."""

import hashlib
from collections.abc import Iterator

from lottery.transparency_log.checkpoint import Checkpoint, sign_checkpoint
from lottery.transparency_log.cosignature import cosign
from lottery.transparency_log.merkle import inclusion_proof, leaf_hash, root
from lottery.transparency_log.note_keys import COSIGNATURE, ED25519, SignerKey
from lottery.transparency_log.signed_note import SignedNote
from lottery.transparency_log.tlog_proof import TlogProof

ORIGIN = "lottery.example/log"
TIME = 1_803_920_400


def signer(name: str, type_: int = ED25519) -> SignerKey:
    return SignerKey(name, type_, hashlib.sha256(name.encode()).digest())


LOG = signer(ORIGIN)
WITNESSES = (signer("charters.example/witness", COSIGNATURE), signer("parents.example/witness", COSIGNATURE))

ENTRIES = [f"entry {number}".encode() for number in range(7)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
CHECKPOINT = Checkpoint(ORIGIN, len(LEAVES), root(LEAVES))


def cosigned_note(checkpoint: Checkpoint = CHECKPOINT, witnesses: tuple[SignerKey, ...] = WITNESSES) -> SignedNote:
    note = sign_checkpoint(checkpoint, LOG)
    lines = tuple(cosign(note.text, witness, time=TIME + place) for place, witness in enumerate(witnesses))
    return SignedNote(note.text, note.signatures + lines)


def proof_of(index: int, *, extra: bytes = b"") -> TlogProof:
    return TlogProof(index, inclusion_proof(LEAVES, index), cosigned_note(), extra)


def policy_text(quorum: str = "both") -> bytes:
    charters, parents = (witness.verifier.text for witness in WITNESSES)
    lines = [
        f"log {LOG.verifier.text} https://lottery.example/log",
        f"witness charters {charters}",
        f"witness parents {parents} https://parents.example/witness",
        "group both all charters parents",
        f"quorum {quorum}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def flips(data: bytes) -> Iterator[bytes]:
    """Give the data with each bit flipped, one at a time."""
    for place in range(len(data) * 8):
        byte, bit = divmod(place, 8)
        yield data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1 :]


def bent(data: bytes) -> Iterator[bytes]:
    """Give the data with other line ends, other tails of base64, and bytes before, between and after its lines."""
    lines = data.splitlines(keepends=True)
    for place, line in enumerate(lines):
        start, end = b"".join(lines[:place]), b"".join(lines[place + 1 :])
        body = line[:-1]
        for other in _bent_lines(body):
            yield start + other + end
        yield start + end
        yield start + line + line + end
    yield b"\xef\xbb\xbf" + data
    yield data + b"\n"
    yield data + b"\0"


def _bent_lines(body: bytes) -> Iterator[bytes]:
    for ending in (
        b"",
        b"\r\n",
        b"\r",
        b"\n\n",
        b" \n",
        b"\t\n",
        b"\0\n",
        b"\x0b\n",
        b"\x0c\n",
        b"\x85\n",
        b"\xe2\x80\xa8\n",
    ):
        yield body + ending
    yield b" " + body + b"\n"
    for tail in (b"=", b"==", b"A", b"AA==", b"AAA=", b"AAAA", b"%", b"-", b"_"):
        yield body + tail + b"\n"
    stripped = body.rstrip(b"=")
    if stripped != body:
        padding = body[len(stripped) :]
        yield stripped + b"\n"
        for last in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
            if last != stripped[-1]:
                yield stripped[:-1] + bytes([last]) + padding + b"\n"
