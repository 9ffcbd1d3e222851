"""Keys of signed notes: names, key ids, verifier keys and signer keys (C2SP signed-note).

Everything that computes a signature is in this file. The other files of the package need the standard library only.
"""

import hashlib
import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lottery.transparency_log.canonical_text import Malformed, read_base64, require_line, write_base64

ED25519 = 0x01
"""The type of a signature over a note's text (C2SP signed-note, Signature types)."""

COSIGNATURE = 0x04
"""The type of a witness's signature with its time (C2SP tlog-cosignature)."""

KEY_BYTES = 32
SIGNATURE_BYTES = 64
ID_BYTES = 4
MAX_NAME_BYTES = 255
MAX_KEY_CHARACTERS = 400

_TYPES = (ED25519, COSIGNATURE)
_FIELD = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = (0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8)
"""The y coordinates of the eight points of small order on the curve (RFC 8032, section 5.1)."""

_SIGNER_PREFIX = "PRIVATE+KEY+"
_KEY_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public Ed25519 key with its name and the type of its signatures."""

    name: str
    type: int
    public_key: bytes

    def __post_init__(self) -> None:
        require_key_name(self.name)
        _require_key(self.type, self.public_key)
        _require_safe_point(self.public_key)

    @property
    def key_id(self) -> bytes:
        """The first four bytes of a hash, which a signature line has (C2SP signed-note, Signatures)."""
        line = self.name.encode() + b"\n" + bytes([self.type]) + self.public_key
        return hashlib.sha256(line).digest()[:ID_BYTES]

    @property
    def text(self) -> str:
        """The key as people hand it out: `name+key id+key` (C2SP signed-note, Verifier keys)."""
        return _write_key(self.name, self.key_id, self.type, self.public_key)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return whether this key made an Ed25519 signature (RFC 8032) over a message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private Ed25519 key with its name and the type of its signatures. Its printed form hides the key."""

    name: str
    type: int
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        require_key_name(self.name)
        _require_key(self.type, self.seed)

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        return VerifierKey(self.name, self.type, self._private_key().public_key().public_bytes_raw())

    @property
    def secret_text(self) -> str:
        """The key as Go's `note` package writes it to a file: `PRIVATE+KEY+name+key id+key`."""
        return _SIGNER_PREFIX + _write_key(self.name, self.verifier.key_id, self.type, self.seed)

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature (RFC 8032) over a message."""
        return self._private_key().sign(message)

    def _private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key in `name+key id+key`, without white space around it.

    Raises:
        Malformed: if it is written in another way, or if the key id is not that of the key.
    """
    name, key_id, type_, public_key = _read_key(text, "the verifier key")
    key = VerifierKey(name, type_, public_key)
    _require_id(key, key_id)
    return key


def parse_signer_key(text: str) -> SignerKey:
    """Return the key in `PRIVATE+KEY+name+key id+key`, without white space around it.

    Raises:
        Malformed: if it is written in another way, or if the key id is not that of the key. No message quotes the key.
    """
    if not text.startswith(_SIGNER_PREFIX):
        raise Malformed(f"the signer key must begin with {_SIGNER_PREFIX}")
    name, key_id, type_, seed = _read_key(text.removeprefix(_SIGNER_PREFIX), "the signer key")
    key = SignerKey(name, type_, seed)
    _require_id(key.verifier, key_id)
    return key


def require_key_name(name: str) -> str:
    """Return the name of a key (C2SP signed-note, Format).

    Raises:
        Malformed: if it is empty, longer than 255 bytes, or has a Unicode space, a plus or a control character.
    """
    require_line(name, "a key's name")
    if "+" in name or any(mark.isspace() for mark in name):
        raise Malformed("a key's name must have no spaces and no plus")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise Malformed(f"a key's name must have at most {MAX_NAME_BYTES} bytes")
    return name


def _require_key(type_: int, key: bytes) -> None:
    if type_ not in _TYPES:
        raise Malformed(f"the key has the signature type {type_:#04x}; 0x01 and 0x04, both Ed25519, are known")
    if len(key) != KEY_BYTES:
        raise Malformed(f"an Ed25519 key must have {KEY_BYTES} bytes")


def _require_safe_point(public_key: bytes) -> None:
    """Refuse keys for which anybody can make signatures, and second spellings of a key."""
    y = int.from_bytes(public_key, "little") & 2**255 - 1
    if y >= _FIELD or y in _SMALL_ORDER:
        raise Malformed("the public key is unsafe: anybody can sign for it, or it has another spelling")


def _require_id(key: VerifierKey, key_id: str) -> None:
    if key.key_id.hex() != key_id:
        raise Malformed("the key id does not belong to this name and key")


def _write_key(name: str, key_id: bytes, type_: int, key: bytes) -> str:
    return f"{name}+{key_id.hex()}+{write_base64(bytes([type_]) + key)}"


def _read_key(text: str, what: str) -> tuple[str, str, int, bytes]:
    if len(text) > MAX_KEY_CHARACTERS:
        raise Malformed(f"{what} is too long")
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    if not _KEY_ID.fullmatch(key_id):
        raise Malformed(f"{what} must have a key id of 8 lowercase hex digits between two plus signs")
    key = read_base64(encoded, what)
    if not key:
        raise Malformed(f"{what} has no key after its key id")
    return name, key_id, key[0], key[1:]
