"""Make and verify witnesses' cosignatures of checkpoints (C2SP tlog-cosignature, Ed25519).

A cosignature says: at this time, this was the largest tree of this log that I know, and it contains all earlier ones.
This package has no clock. The caller gives the time, and decides whether a time is too old or in the future.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lottery.transparency_log.canonical_text import MAX_NUMBER, Malformed
from lottery.transparency_log.checkpoint import parse_checkpoint
from lottery.transparency_log.note_keys import COSIGNATURE, SIGNATURE_BYTES, SignerKey, VerifierKey
from lottery.transparency_log.signed_note import InvalidSignature, Signature, SignedNote, only_signature

TIME_BYTES = 8


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's key, and when it signed, in seconds since 1970."""

    key: VerifierKey
    time: int


def signed_message(text: str, time: int) -> bytes:
    """Return what a witness signs (C2SP tlog-cosignature, Ed25519 signed message).

    Raises:
        Malformed: if the text is no checkpoint, or if the time is below 0 or above 2^63 - 1.
    """
    parse_checkpoint(text)
    if not 0 <= time <= MAX_NUMBER:
        raise Malformed(f"the time of a cosignature must be from 0 to {MAX_NUMBER}")
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def cosign(text: str, key: SignerKey, *, time: int) -> Signature:
    """Return a witness's signature of a checkpoint's text, at a time in seconds since 1970.

    Raises:
        Malformed: if the text is no checkpoint, or if the time is below 0 or above 2^63 - 1.
        ValueError: if the key is for another type of signatures.
    """
    _require_type(key.type)
    signature = key.sign(signed_message(text, time))
    return Signature(key.name, key.verifier.key_id, time.to_bytes(TIME_BYTES, "big") + signature)


def verify_cosignatures(note: SignedNote, keys: Sequence[VerifierKey]) -> tuple[Cosignature, ...]:
    """Return the cosignatures of known witnesses, in the order of the keys. Lines of unknown keys are ignored.

    Raises:
        Malformed: if the note is no checkpoint.
        InvalidSignature: if a known witness's cosignature is wrong, or if a known witness signed twice with one key.
        ValueError: if a key is for another type of signatures.
    """
    parse_checkpoint(note.text)
    found = (_verified(note, key) for key in keys)
    return tuple(cosignature for cosignature in found if cosignature is not None)


def _verified(note: SignedNote, key: VerifierKey) -> Cosignature | None:
    _require_type(key.type)
    line = only_signature(note, key)
    if line is None:
        return None
    time = int.from_bytes(line.value[:TIME_BYTES], "big")
    if len(line.value) != TIME_BYTES + SIGNATURE_BYTES or time > MAX_NUMBER:
        raise InvalidSignature(f"the cosignature of {key.name} must have a time below 2^63 and {SIGNATURE_BYTES} bytes")
    if not key.verifies(signed_message(note.text, time), line.value[TIME_BYTES:]):
        raise InvalidSignature(f"the cosignature of {key.name} is wrong")
    return Cosignature(key, time)


def _require_type(type_: int) -> None:
    if type_ != COSIGNATURE:
        raise ValueError(f"the key makes signatures of type {type_:#04x}; a witness needs {COSIGNATURE:#04x}")
