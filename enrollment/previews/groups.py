"""How rules group the children who rank some programs, and whether a proposal singles out a few of them.

A preview may show numbers of groups, and never a single child's facts. A person could preview a condition, and then the
same condition without one child: the difference would be that child. So numbers are hidden where two sets of rules
group the children almost, but not quite, alike.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lottery.market.model import Applicant
from lottery.market.rules import GENERAL, OPEN, Program

SMALLEST = 10
"""The smallest number of children that a preview shows, and by which two groups must differ."""

NOBODY = -1

ELIGIBLE = "eligible"
"""The name of the condition for a seat, beside the names of classes and reserves."""

Children: TypeAlias = NDArray[np.uint64]
Members: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.int64]

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Treatment:
    """How one program's rules treat the children who rank it.

    `of_class` has the place of each child's class, or NOBODY for a child who cannot get a seat. `of_class_with_sibling`
    is the same if a sibling was placed at the school. `reserves` has the children who meet each reserve's condition.
    """

    classes: Sequence[str]
    of_class: Places
    of_class_with_sibling: Places
    reserves: Mapping[str, Members]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups that rules make of the children who rank some programs.

    `classes` has each class, and each class with all classes before it; `reserves` has the children of each reserve.
    Children are known by a part of their ticket's digest.
    """

    children: Children
    classes: Sequence[Members]
    reserves: Sequence[Members]

    def to_bytes(self) -> bytes:
        """Return the grouping for the database."""
        sets = [*self.classes, *self.reserves]
        head = np.array([len(self.children), len(self.classes), len(self.reserves)], np.uint32)
        packed = [np.packbits(members).tobytes() for members in sets]
        return zlib.compress(head.tobytes() + self.children.tobytes() + b"".join(packed))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Grouping":
        """Read a grouping from the database."""
        plain = zlib.decompress(raw)
        size, classes, reserves = (int(number) for number in np.frombuffer(plain, np.uint32, 3))
        start = 12 + 8 * size
        children = np.frombuffer(plain, np.uint64, size, 12)
        width = (size + 7) // 8
        rows = np.frombuffer(plain, np.uint8, width * (classes + reserves), start).reshape(-1, width)
        sets = [np.unpackbits(row, count=size).astype(np.bool_) for row in rows]
        return cls(children, sets[:classes], sets[classes:])

    def digest(self) -> bytes:
        """Return the SHA-256 of the groups."""
        return hashlib.sha256(self.to_bytes()).digest()


def treatment_of(program: Program, applicants: Sequence[Applicant]) -> Treatment:
    """Apply a program's rules to the children who rank it. Equal facts are looked at once."""
    known: dict[tuple[object, ...], tuple[int, int, tuple[bool, ...]]] = {}
    rows = []
    for applicant in applicants:
        facts = (
            applicant.zones,
            applicant.flags,
            frozenset(applicant.at.get(program.school, ())),
            applicant.attends,
        )
        if facts not in known:
            known[facts] = _treated(program, applicant)
        rows.append(known[facts])
    reserves = np.array([met for _, _, met in rows], np.bool_).reshape(len(rows), len(program.reserves))
    return Treatment(
        classes=program.classes_at(OPEN),
        of_class=np.array([row[0] for row in rows], np.int64),
        of_class_with_sibling=np.array([row[1] for row in rows], np.int64),
        reserves={reserve.name: reserves[:, place] for place, reserve in enumerate(program.reserves)},
    )


def _treated(program: Program, applicant: Applicant) -> tuple[int, int, tuple[bool, ...]]:
    met = tuple(reserve.when.holds(applicant, program.school, ()) for reserve in program.reserves)
    return _class(program, applicant, ()), _class(program, applicant, (program.school,)), met


def _class(program: Program, applicant: Applicant, siblings_at: Sequence[str]) -> int:
    if not program.eligible.holds(applicant, program.school, siblings_at):
        return NOBODY
    names = program.classes_at(OPEN)
    for place, priority in enumerate(program.priorities):
        if priority.when.holds(applicant, program.school, siblings_at):
            return place
    return names.index(GENERAL)


def grouping_of(applicants: Sequence[Applicant], treatments: Sequence[tuple[Treatment, Places]]) -> Grouping:
    """Return the groups that some programs' rules make of the children who rank them.

    Args:
        applicants: the children.
        treatments: each program's treatment, with the places of its children in `applicants`.
    """
    size = len(applicants)
    classes, reserves = dict[tuple[str, bool, str], Members](), dict[str, Members]()

    def add(sets: dict[Key, Members], key: Key, members: Members, places: Places) -> None:
        sets.setdefault(key, np.zeros(size, np.bool_))[places[members]] = True

    for treatment, places in treatments:
        for sibling, of_class in enumerate((treatment.of_class, treatment.of_class_with_sibling)):
            for place, name in enumerate(treatment.classes):
                add(classes, (name, bool(sibling), "alone"), of_class == place, places)
                add(classes, (name, bool(sibling), "up to"), (of_class != NOBODY) & (of_class <= place), places)
        for name, members in treatment.reserves.items():
            add(reserves, name, members, places)
    return Grouping(children_of(applicants), _distinct(classes.values()), _distinct(reserves.values()))


def children_of(applicants: Sequence[Applicant]) -> Children:
    """Return a part of the digest of each ticket."""
    digests = b"".join(hashlib.sha256(applicant.id.encode()).digest()[:8] for applicant in applicants)
    return np.frombuffer(digests, np.uint64)


def _distinct(sets: Iterable[Members]) -> list[Members]:
    return list({members.tobytes(): members for members in sets}.values())


def singles_out(grouping: Grouping, other: Grouping) -> bool:
    """Say whether two sets of rules group the children almost alike: some groups differ by a few children only."""
    _, here, there = np.intersect1d(grouping.children, other.children, return_indices=True)
    pairs = ((grouping.classes, other.classes), (grouping.reserves, other.reserves))
    return any(
        _close(_within(mine, here), _within(theirs, there)) or _close(_within(theirs, there), _within(mine, here))
        for mine, theirs in pairs
    )


def _within(sets: Sequence[Members], places: Places) -> NDArray[np.bool_]:
    """Return the groups among the common children, with nobody and everybody as further groups."""
    common = [members[places] for members in sets]
    nobody = np.zeros(len(places), np.bool_)
    return np.array([nobody, ~nobody, *common])


def _close(sets: NDArray[np.bool_], others: NDArray[np.bool_]) -> bool:
    for members in sets:
        differences = (members != others).sum(axis=1)
        if differences.min() > 0 and bool((differences < SMALLEST).any()):
            return True
    return False


def new_small_groups(proposed: Treatment, saved: Treatment) -> Iterator[str]:
    """Yield the classes and reserves of a proposal that the saved rules do not have and that few children meet.

    A group without children counts as few: otherwise the answer would say whether such a child exists.
    """
    for place, name in enumerate(proposed.classes[:-1]):
        members = proposed.of_class == place
        if _is_small(members | (proposed.of_class_with_sibling == place)) and not any(
            np.array_equal(members, saved.of_class == other)
            for other, known in enumerate(saved.classes[:-1])
            if known == name
        ):
            yield name
    eligible = proposed.of_class != NOBODY
    if _is_small(eligible) and not np.array_equal(eligible, saved.of_class != NOBODY):
        yield ELIGIBLE
    for name, members in proposed.reserves.items():
        if _is_small(members) and not (name in saved.reserves and np.array_equal(members, saved.reserves[name])):
            yield name


def _is_small(members: Members) -> bool:
    return int(members.sum()) < SMALLEST
