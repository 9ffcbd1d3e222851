"""An authenticator in software: makes and uses passkeys as a browser with a security key would, or not quite so."""

import base64
import hashlib
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from lottery.market.canonical import Json

ORIGIN, SITE = "http://127.0.0.1:8000", "127.0.0.1"
"""Of the tests' service, by its setting `public_url`."""

PRESENT, VERIFIED, WITH_CREDENTIAL = 0x01, 0x04, 0x40


def text_of(raw: bytes) -> str:
    """Return bytes as WebAuthn's JSON has them."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass(slots=True)
class Authenticator:
    """A security key with one passkey."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    count: int = 0
    flags: int = PRESENT | VERIFIED

    def make(self, options: Mapping[str, Json], *, origin: str = ORIGIN, site: str = SITE) -> dict[str, Json]:
        """Answer `navigator.credentials.create`, without attestation."""
        numbers = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        credential = b"\0" * 16 + struct.pack(">H", len(self.id)) + self.id + public
        data = self._data(site, WITH_CREDENTIAL) + credential
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = _client_data("webauthn.create", options, origin)
        return self._answer({"clientDataJSON": text_of(client), "attestationObject": text_of(attestation)})

    def use(self, options: Mapping[str, Json], *, origin: str = ORIGIN, site: str = SITE) -> dict[str, Json]:
        """Answer `navigator.credentials.get`."""
        self.count += 1
        data, client = self._data(site), _client_data("webauthn.get", options, origin)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": text_of(client),
                "authenticatorData": text_of(data),
                "signature": text_of(signature),
                "userHandle": None,
            }
        )

    def _data(self, site: str, more: int = 0) -> bytes:
        return hashlib.sha256(site.encode()).digest() + struct.pack(">BI", self.flags | more, self.count)

    def _answer(self, response: Json) -> dict[str, Json]:
        name = text_of(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}


def _client_data(kind: str, options: Mapping[str, Json], origin: str) -> bytes:
    return json.dumps({"type": kind, "challenge": options["challenge"], "origin": origin}).encode()
