"""Read, write and sign checkpoints (C2SP tlog-checkpoint)."""

from collections.abc import Sequence
from dataclasses import dataclass

from lottery.transparency_log.canonical_text import (
    MAX_NUMBER,
    Malformed,
    encode,
    read_decimal,
    read_hash,
    read_text,
    require_hash,
    require_line,
    write_base64,
)
from lottery.transparency_log.merkle import EMPTY
from lottery.transparency_log.note_keys import SignerKey, VerifierKey
from lottery.transparency_log.signed_note import (
    MAX_NOTE_BYTES,
    InvalidSignature,
    SignedNote,
    parse_note,
    sign_note,
    verify_note,
)


class OtherOrigin(ValueError):
    """A key that is named for one log would sign a checkpoint of another."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's name, its size, its root, and lines that the format leaves open."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_line(self.origin, "the origin")
        require_hash(self.root, "the root hash")
        if not 0 <= self.size <= MAX_NUMBER:
            raise Malformed(f"the tree size must be from 0 to {MAX_NUMBER}")
        if self.size == 0 and self.root != EMPTY:
            raise Malformed("the root of an empty tree must be the hash of nothing")
        for line in self.extensions:
            require_line(line, "an extension")

    @property
    def text(self) -> str:
        """The note text, which is signed (C2SP tlog-checkpoint, Note text)."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, write_base64(self.root), *self.extensions))


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint in a note's text (C2SP tlog-checkpoint, Note text).

    Raises:
        Malformed: for every text that `Checkpoint.text` does not give.
    """
    whole = read_text(encode(text, "the checkpoint"), "the checkpoint", limit=MAX_NOTE_BYTES)
    match whole.split("\n")[:-1]:
        case [origin, size, root, *extensions]:
            number = read_decimal(size, "the tree size")
            return Checkpoint(origin, number, read_hash(root, "the root hash"), tuple(extensions))
        case _:
            raise Malformed("a checkpoint must have an origin, a tree size and a root hash, one on each line")


def sign_checkpoint(checkpoint: Checkpoint, key: SignerKey) -> SignedNote:
    """Return a checkpoint with the log's signature.

    Raises:
        OtherOrigin: if the key is not named for this log.
        ValueError: if the key is for another type of signatures.
    """
    if key.name != checkpoint.origin:
        raise OtherOrigin(f"the key is named {key.name}, and the checkpoint is of the log {checkpoint.origin}")
    return SignedNote(checkpoint.text, (sign_note(checkpoint.text, key),))


def open_checkpoint(data: bytes, *keys: VerifierKey) -> Checkpoint:
    """Return the checkpoint in a note that its log signed. Several keys are those of one log, old and new.

    Raises:
        Malformed: if it is no checkpoint in a signed note.
        InvalidSignature: if no key of its log signed it, or if a key's signature is wrong.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    verify_origin(note, checkpoint.origin, keys)
    return checkpoint


def verify_origin(note: SignedNote, origin: str, keys: Sequence[VerifierKey]) -> VerifierKey:
    """Return the first key that signed a note and is named for the log (C2SP tlog-checkpoint, Signatures).

    Raises:
        InvalidSignature: if no key of this log signed it, or if any key's signature is wrong.
    """
    for key in verify_note(note, keys):
        if key.name == origin:
            return key
    raise InvalidSignature(f"no key of the log {origin} signed this checkpoint")
