"""Read, write, sign and verify signed notes (C2SP signed-note)."""

from collections.abc import Sequence
from dataclasses import dataclass

from lottery.transparency_log.canonical_text import Malformed, encode, read_base64, read_text, write_base64
from lottery.transparency_log.note_keys import ED25519, ID_BYTES, SignerKey, VerifierKey, require_key_name

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
"""The format asks for 16 at least; Go's `note` package reads 100."""

_MARK = "\N{EM DASH} "


class InvalidSignature(ValueError):
    """A known key did not sign this note, or no known key did."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: the key's name, the key id, and what the key's type says."""

    name: str
    key_id: bytes
    value: bytes

    def __post_init__(self) -> None:
        require_key_name(self.name)
        if len(self.key_id) != ID_BYTES or not self.value:
            raise Malformed(f"a signature must have a key id of {ID_BYTES} bytes and at least one byte more")

    @property
    def line(self) -> str:
        """The line, with its newline."""
        return f"{_MARK}{self.name} {write_base64(self.key_id + self.value)}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends with a newline, and its signatures in order. Nothing is verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise Malformed(f"a note must have from 1 to {MAX_SIGNATURES} signatures")
        _text_bytes(self.text)
        if len(self.encoded) > MAX_NOTE_BYTES:
            raise Malformed(f"a note must have at most {MAX_NOTE_BYTES} bytes")

    @property
    def encoded(self) -> bytes:
        """The note as it is stored and sent."""
        return (self.text + "\n" + "".join(signature.line for signature in self.signatures)).encode()

    def signatures_of(self, key: VerifierKey) -> list[Signature]:
        """Return the signature lines with the name and the id of a key."""
        return [line for line in self.signatures if (line.name, line.key_id) == (key.name, key.key_id)]


def parse_note(data: bytes) -> SignedNote:
    """Return a note. Its signatures are read, and not verified.

    Raises:
        Malformed: for all bytes that `SignedNote.encoded` does not give.
    """
    whole = read_text(data, "the note", limit=MAX_NOTE_BYTES)
    text, blank, lines = whole.rpartition("\n\n")
    if not blank:
        raise Malformed("the note must have an empty line between its text and its signatures")
    signatures = lines.split("\n")[:-1]
    if len(signatures) > MAX_SIGNATURES:
        raise Malformed(f"the note has more than {MAX_SIGNATURES} signatures")
    return SignedNote(text + "\n", tuple(_read_signature(line) for line in signatures))


def _read_signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not space:
        raise Malformed("a signature line must be an em dash, a key's name and base64, with one space between them")
    value = read_base64(encoded, "a signature")
    return Signature(name, value[:ID_BYTES], value[ID_BYTES:])


def sign_note(text: str, key: SignerKey) -> Signature:
    """Return the signature of a text that ends with a newline (C2SP signed-note, Ed25519 signatures).

    Raises:
        Malformed: if the text cannot be in a note.
        ValueError: if the key is for another type of signatures.
    """
    _require_type(key.type)
    return Signature(key.name, key.verifier.key_id, key.sign(_text_bytes(text)))


def _text_bytes(text: str) -> bytes:
    """Return what an Ed25519 key signs: the text with its last newline."""
    data = encode(text, "the note")
    read_text(data, "the note", limit=MAX_NOTE_BYTES)
    return data


def verify_note(note: SignedNote, keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Return the known keys that signed a note. Lines of unknown keys are ignored, as the format says.

    Raises:
        InvalidSignature: if no known key signed, if a known key's signature is wrong, or if a known key signed twice.
        ValueError: if a key is for another type of signatures.
    """
    signers = tuple(key for key in keys if _signed(note, key))
    if not signers:
        raise InvalidSignature("no key that you trust signed this note")
    return signers


def _signed(note: SignedNote, key: VerifierKey) -> bool:
    _require_type(key.type)
    line = only_signature(note, key)
    if line is not None and not key.verifies(note.text.encode(), line.value):
        raise InvalidSignature(f"the signature of {key.name} is wrong")
    return line is not None


def only_signature(note: SignedNote, key: VerifierKey) -> Signature | None:
    """Return the one signature line of a key, or None.

    Raises:
        InvalidSignature: if the note has several lines of this key.
    """
    lines = note.signatures_of(key)
    if len(lines) > 1:
        raise InvalidSignature(f"{key.name} signed this note {len(lines)} times with one key")
    return lines[0] if lines else None


def _require_type(type_: int) -> None:
    if type_ != ED25519:
        raise ValueError(f"the key makes signatures of type {type_:#04x}; a note needs {ED25519:#04x}")
