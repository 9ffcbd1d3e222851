"""Seal a ranking: commit to its programs in a log entry, and give the family a confirmation number."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import rfc8785

from enrollment.audit.log import Entry, entry_of
from enrollment.audit.salts import new_salt
from enrollment.cycles.locks import OpenCycle
from enrollment.rankings.versions import Ranker, Ranking
from lottery.transparency_log.commitments import keyed

LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""The characters of confirmation numbers. No two of them sound or look alike."""

CONFIRMATION_LETTERS = 10


@dataclass(frozen=True, slots=True)
class SealedRanking:
    """A version that counts, its log entry, and the salt that opens the commitment in the entry."""

    ranking: Ranking
    type: str
    entry: Entry
    salt: bytes


def seal_ranking(
    actor: str, open_cycle: OpenCycle, ranker: Ranker, kind: str, programs: Sequence[str]
) -> SealedRanking:
    """Make the next version of a submitted or withdrawn ranking, and the log entry that commits to it."""
    version, salt = ranker.next_version, new_salt()
    type_ = "ranking.put" if kind == "submitted" else "ranking.withdraw"
    entry = entry_of(
        type_,
        cycle=open_cycle.cycle.id,
        actor=actor,
        at=open_cycle.now,
        fields={
            "tag": ranker.tag.hex(),
            "commit": keyed(salt, "ranking", rfc8785.dumps(list(programs))).hex(),
            "prev": ranker.last_leaf.hex() if ranker.last_leaf else None,
            "version": version,
        },
    )
    number = _confirmation_number()
    ranking = Ranking(version, kind, list(programs), number, entry.leaf_hash, open_cycle.now)
    return SealedRanking(ranking, type_, entry, salt)


def _confirmation_number() -> str:
    """Return a random confirmation number."""
    number = secrets.randbits(128)  # many more bits than the letters need, so all letters are equally likely
    letters = []
    for _ in range(CONFIRMATION_LETTERS):
        number, letter = divmod(number, len(LETTERS))
        letters.append(LETTERS[letter])
    return "".join(letters)
