"""Read text that can be written in one way only.

The formats of transparency logs are signed byte by byte. So a field has one spelling: another is refused, even where it
would mean the same.
"""

import base64
import re

from lottery.transparency_log.merkle import HASH_BYTES

MAX_NUMBER = 2**63 - 1
"""The largest size, index and time: all of them fit a signed integer of 64 bits."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Malformed(ValueError):
    """A file, a line or a field is not as its format says. The message says which and why."""


def read_decimal(text: str, what: str) -> int:
    """Return a number from 0 to 2^63 - 1, written without sign and leading zeros.

    Raises:
        Malformed: if it is written in another way, or larger.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_NUMBER:
        raise Malformed(f"{what} must be a decimal number from 0 to {MAX_NUMBER}, without leading zeros")
    return int(text)


def write_base64(value: bytes) -> str:
    """Return standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(value).decode("ascii")


def read_base64(text: str, what: str) -> bytes:
    """Return the bytes of standard base64 with padding (RFC 4648, section 4).

    Raises:
        Malformed: for every text that `write_base64` does not write: white space, a wrong tail, unused bits set.
    """
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Malformed(f"{what} must be standard base64 with padding") from error
    if write_base64(value) != text:
        raise Malformed(f"{what} must be base64 in its canonical form")
    return value


def read_hash(text: str, what: str) -> bytes:
    """Return a SHA-256 hash from its base64.

    Raises:
        Malformed: if it is not canonical base64 of 32 bytes.
    """
    return require_hash(read_base64(text, what), what)


def require_hash(value: bytes, what: str) -> bytes:
    """Return a hash of 32 bytes.

    Raises:
        Malformed: if it has another length.
    """
    if len(value) != HASH_BYTES:
        raise Malformed(f"{what} must have {HASH_BYTES} bytes, not {len(value)}")
    return value


def require_line(line: str, what: str) -> str:
    """Return a line that is not empty, without its newline.

    Raises:
        Malformed: if it is empty, has a control character, or is not Unicode.
    """
    if not line or "\n" in line or _CONTROL.search(line):
        raise Malformed(f"{what} must be one line that is not empty, without control characters")
    encode(line, what)
    return line


def encode(text: str, what: str) -> bytes:
    """Return the UTF-8 of a text.

    Raises:
        Malformed: if the text has half of a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Malformed(f"{what} must be Unicode text") from error


def read_text(data: bytes, what: str, *, limit: int) -> str:
    """Return a text whose lines all end with a newline (U+000A).

    Raises:
        Malformed: if it is longer than the limit, is not UTF-8, has another control character, or ends within a line.
    """
    if len(data) > limit:
        raise Malformed(f"{what} has {len(data)} bytes; at most {limit} are read")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8 at byte {error.start}") from error
    if control := _CONTROL.search(text):
        raise Malformed(f"{what} has the control character U+{ord(control[0]):04X}; lines end with U+000A only")
    if not text.endswith("\n"):
        raise Malformed(f"{what} must end with a newline")
    return text
