"""Read a policy of trust, and check checkpoints by it (C2SP tlog-policy)."""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from lottery.transparency_log.canonical_text import Malformed, read_decimal
from lottery.transparency_log.checkpoint import Checkpoint, parse_checkpoint, verify_origin
from lottery.transparency_log.cosignature import Cosignature, verify_cosignatures
from lottery.transparency_log.note_keys import COSIGNATURE, ED25519, VerifierKey, parse_verifier_key
from lottery.transparency_log.signed_note import SignedNote

MAX_POLICY_BYTES = 100_000
NONE = "none"
"""The quorum of a policy that asks for no witness."""

_OTHER_OCTETS = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_SPACE = re.compile(r"[ \t]+")


class QuorumMissed(ValueError):
    """Too few witnesses cosigned a checkpoint for the policy."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log that the policy trusts. Its key is named for its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness, by its name in the policy."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups, of which a number must have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Logs, witnesses, groups in the order of the file, and the witness or group that must have cosigned."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    def is_met_by(self, cosigners: AbstractSet[VerifierKey]) -> bool:
        """Return whether witnesses with these keys are a quorum."""
        met = {NONE, *(witness.name for witness in self.witnesses if witness.key in cosigners)}
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.quorum in met


@dataclass(frozen=True, slots=True)
class TrustedCheckpoint:
    """A checkpoint that a policy accepts, with the log's key and all cosignatures of the policy's witnesses.

    The policy has no clock. The caller decides whether a cosignature's time is too old or in the future.
    """

    checkpoint: Checkpoint
    log: VerifierKey
    cosignatures: tuple[Cosignature, ...]


def check_checkpoint(note: SignedNote, policy: Policy) -> TrustedCheckpoint:
    """Return a checkpoint that one of the policy's logs signed and a quorum cosigned.

    Raises:
        Malformed: if the note is no checkpoint.
        InvalidSignature: if no log of the policy signed it, or if a known key's signature is wrong.
        QuorumMissed: if too few witnesses cosigned it.
    """
    checkpoint = parse_checkpoint(note.text)
    log = verify_origin(note, checkpoint.origin, [log.key for log in policy.logs])
    cosignatures = verify_cosignatures(note, [witness.key for witness in policy.witnesses])
    if not policy.is_met_by({cosignature.key for cosignature in cosignatures}):
        raise QuorumMissed(f"{len(cosignatures)} witnesses of the policy cosigned; its quorum is not met")
    return TrustedCheckpoint(checkpoint, log, cosignatures)


def parse_policy(data: bytes) -> Policy:
    """Return the policy in a file (C2SP tlog-policy, Policy file syntax and structure).

    Names, URLs and comments may have any octets above 0x7F. They are compared octet by octet.

    Raises:
        Malformed: if a line is unknown or wrong. The message begins with its number.
    """
    draft = _Draft()
    for number, line in enumerate(_lines(data), start=1):
        try:
            draft.read(line)
        except Malformed as error:
            raise Malformed(f"line {number}: {error}") from error
    return draft.policy()


def _lines(data: bytes) -> list[str]:
    if len(data) > MAX_POLICY_BYTES:
        raise Malformed(f"the policy has {len(data)} bytes; at most {MAX_POLICY_BYTES} are read")
    if other := _OTHER_OCTETS.search(data):
        raise Malformed(f"the policy has the control character 0x{other[0].hex()}; lines end with 0x0a only")
    if data and not data.endswith(b"\n"):
        raise Malformed("the last line of the policy must end with a newline")
    return data.decode(errors="surrogateescape").split("\n")[:-1]


@dataclass(slots=True)
class _Draft:
    """What the lines so far have defined."""

    logs: list[Log] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    quorum: str | None = None
    names: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)

    def policy(self) -> Policy:
        if self.quorum is None:
            raise Malformed("the policy must have a line with its quorum")
        return Policy(tuple(self.logs), tuple(self.witnesses), tuple(self.groups), self.quorum)

    def read(self, line: str) -> None:
        items = _SPACE.split(line.strip(" \t"))
        if items[0].startswith("#") or items == [""]:
            return
        match items:
            case ["log", key, *url] if len(url) <= 1:
                self._log(key, *url)
            case ["witness", name, key, *url] if len(url) <= 1:
                self._witness(name, key, *url)
            case ["group", name, threshold, *members]:
                self._group(name, threshold, members)
            case ["quorum", name]:
                self._quorum(name)
            case _:
                raise Malformed("a line must define a log, a witness, a group or the quorum, with nothing after it")

    def _log(self, text: str, url: str | None = None) -> None:
        key = _key_of_type(text, ED25519)
        _require_new_key(key, [log.key for log in self.logs])
        self.logs.append(Log(key, url))

    def _witness(self, name: str, text: str, url: str | None = None) -> None:
        key = _key_of_type(text, COSIGNATURE)
        _require_new_key(key, [witness.key for witness in self.witnesses])
        self._define(name)
        self.witnesses.append(Witness(name, key, url))

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            self._take(member)
        count = _threshold(threshold, len(members))
        self._define(name)
        self.groups.append(Group(name, count, tuple(members)))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise Malformed("the policy has a quorum already")
        if name != NONE:
            self._require_defined(name)
        self.quorum = name

    def _define(self, name: str) -> None:
        if name == NONE or name in self.names:
            raise Malformed("the name is taken already")
        self.names.add(name)

    def _take(self, member: str) -> None:
        """Make a name a member of a group: once in the whole policy, so that no witness counts twice."""
        self._require_defined(member)
        if member in self.members:
            raise Malformed("a member of the group is a member already")
        self.members.add(member)

    def _require_defined(self, name: str) -> None:
        if name not in self.names:
            raise Malformed("the line names a witness or group that no earlier line defines")


def _key_of_type(text: str, type_: int) -> VerifierKey:
    key = parse_verifier_key(text)
    if key.type != type_:
        raise Malformed(f"the key must make signatures of type {type_:#04x}, not {key.type:#04x}")
    return key


def _require_new_key(key: VerifierKey, others: list[VerifierKey]) -> None:
    if any(other.public_key == key.public_key for other in others):
        raise Malformed("an earlier line has the same public key")


def _threshold(text: str, members: int) -> int:
    words = {"any": 1, "all": members}
    count = words[text] if text in words else read_decimal(text, "the number of members that must cosign")
    if not 1 <= count <= members:
        raise Malformed(f"of {members} members, from 1 to {members} can be asked for")
    return count
