"""Define an outcome and its file: placements, cutoffs and waitlists (docs/reference/specification.md, section 8)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as _text
from typing import TypeVar

from lottery.market.canonical import Json, canonical_line
from lottery.market.json_reader import Reader, Where

Part = TypeVar("Part")

FORMAT = "lottery-outcome/1"


@dataclass(frozen=True, slots=True)
class Placement:
    """A seat for an applicant.

    `choice` is the position of the program in the ranking as submitted, from 1, or None for a held seat that the
    applicant did not rank.
    """

    applicant: str
    program: str
    group: str
    choice: int | None


@dataclass(frozen=True, slots=True)
class LastAdmitted:
    """The standing of the last applicant admitted to a full seat group.

    Exactly one of `number` (64 hex digits, as compared) and `position` (in a screened program's list) has a value.
    `drawn_in` is the round that drew the applicant's number, where the order of the draws counts.
    """

    holder: bool
    meets: bool
    late: bool
    class_: str
    number: str | None = None
    position: int | None = None
    drawn_in: str | None = None


@dataclass(frozen=True, slots=True)
class Cutoff:
    """A seat group's seats in this round, its filled seats, and the last admitted applicant where all are filled."""

    program: str
    group: str
    seats: int
    filled: int
    last: LastAdmitted | None

    def document(self) -> dict[str, Json]:
        """Return the cutoff in the file's form."""
        return {
            "program": self.program,
            "group": self.group,
            "seats": self.seats,
            "filled": self.filled,
            "last": last_document(self.last),
        }


@dataclass(frozen=True, slots=True)
class Waitlist:
    """The applicants whom a seat group considers and who rank the program above their placement, by standing."""

    program: str
    group: str
    applicants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a match. `market` is the market's digest, and `seed` is this round's seed in hex."""

    market: str
    seed: str
    placements: tuple[Placement, ...]
    unplaced: tuple[str, ...]
    cutoffs: tuple[Cutoff, ...]
    waitlists: tuple[Waitlist, ...]

    def document(self) -> dict[str, Json]:
        """Return the outcome in the file's form."""
        return {
            "format": FORMAT,
            "market": self.market,
            "seed": self.seed,
            "placements": [
                {"applicant": p.applicant, "program": p.program, "group": p.group, "choice": p.choice}
                for p in self.placements
            ],
            "unplaced": list(self.unplaced),
            "cutoffs": [cutoff.document() for cutoff in self.cutoffs],
            "waitlists": [
                {"program": w.program, "group": w.group, "applicants": list(w.applicants)} for w in self.waitlists
            ],
        }

    def to_bytes(self) -> bytes:
        """Return the bytes of the file: a line of canonical JSON (RFC 8785) and LF.

        A city has many placements and long waitlists, so this method writes repeated parts only once.
        """
        cutoffs = canonical_line([cutoff.document() for cutoff in self.cutoffs])
        placements = ",".join(_placement_lines(self.placements))
        waitlists = ",".join(
            f'{{"applicants":{_texts(w.applicants)},"group":{_text(w.group)},"program":{_text(w.program)}}}'
            for w in self.waitlists
        )
        return (
            f'{{"cutoffs":{cutoffs},"format":"{FORMAT}","market":{_text(self.market)},"placements":[{placements}]'
            f',"seed":{_text(self.seed)},"unplaced":{_texts(self.unplaced)},"waitlists":[{waitlists}]}}\n'
        ).encode()


def _placement_lines(placements: Sequence[Placement]) -> Iterator[str]:
    seats: dict[tuple[str, str], str] = {}
    for placement in placements:
        seat = placement.group, placement.program
        where = seats.get(seat)
        if where is None:
            where = seats[seat] = f',"group":{_text(seat[0])},"program":{_text(seat[1])}}}'
        choice = "null" if placement.choice is None else placement.choice
        yield f'{{"applicant":{_text(placement.applicant)},"choice":{choice}{where}'


def _texts(texts: Sequence[str]) -> str:
    """Write a list of texts, in one step where no character needs an escape."""
    joined = '","'.join(texts)
    own_quotes = joined.count('"') - 2 * max(0, len(texts) - 1)
    if own_quotes == 0 and "\\" not in joined and joined.isascii() and joined.isprintable():
        return f'["{joined}"]' if texts else "[]"
    return canonical_line(texts)


def last_document(last: LastAdmitted | None) -> dict[str, Json] | None:
    """Return the standing of the last admitted applicant in the file's form."""
    if last is None:
        return None
    return {
        "holder": last.holder,
        "meets": last.meets,
        "late": last.late,
        "class": last.class_,
        **({"number": last.number} if last.position is None else {"position": last.position}),
        **({} if last.drawn_in is None else {"drawn_in": last.drawn_in}),
    }


OUTCOME = frozenset({"format", "market", "seed", "placements", "unplaced", "cutoffs", "waitlists"})
PLACEMENT = frozenset({"applicant", "program", "group", "choice"})
CUTOFF = frozenset({"program", "group", "seats", "filled", "last"})
WAITLIST = frozenset({"program", "group", "applicants"})
LAST = frozenset({"holder", "meets", "late", "class"})
LAST_OPTIONAL = frozenset({"number", "position", "drawn_in"})


def read_outcome(document: Json, *, file: str = "outcome") -> Outcome:
    """Read an outcome from a parsed document.

    This function checks the form only. `lottery.match.verify` checks the content.

    Raises:
        UnusableInput: with every fault.
    """
    reader = OutcomeReader()
    root: Where = (None, file)
    fields = reader.fields(document, root, required=OUTCOME)
    reader.exactly(FORMAT, fields["format"], (root, "format"))
    outcome = Outcome(
        market=reader.words(fields["market"], (root, "market")),
        seed=reader.words(fields["seed"], (root, "seed")),
        placements=tuple(reader.each(fields["placements"], (root, "placements"), reader.placement)),
        unplaced=tuple(reader.each(fields["unplaced"], (root, "unplaced"), reader.words)),
        cutoffs=tuple(reader.each(fields["cutoffs"], (root, "cutoffs"), reader.cutoff)),
        waitlists=tuple(reader.each(fields["waitlists"], (root, "waitlists"), reader.waitlist)),
    )
    reader.finish()
    return outcome


class OutcomeReader(Reader):
    """Reads the parts of an outcome. After a fault, a part has empty values."""

    def each(self, value: Json, where: Where, read: Callable[[Json, Where], Part]) -> Iterator[Part]:
        """Read every entry of a list."""
        for index, entry in enumerate(self.list_(value, where)):
            yield read(entry, (where, index))

    def words(self, value: Json, where: Where) -> str:
        """Read text."""
        return self.text(value, where) or ""

    def number(self, value: Json, where: Where) -> int:
        """Read a whole number."""
        return self.integer(value, where) or 0

    def placement(self, value: Json, where: Where) -> Placement:
        """Read a placement."""
        fields = self.fields(value, where, required=PLACEMENT)
        return Placement(
            self.words(fields["applicant"], (where, "applicant")),
            self.words(fields["program"], (where, "program")),
            self.words(fields["group"], (where, "group")),
            None if fields["choice"] is None else self.number(fields["choice"], (where, "choice")),
        )

    def cutoff(self, value: Json, where: Where) -> Cutoff:
        """Read a cutoff."""
        fields = self.fields(value, where, required=CUTOFF)
        return Cutoff(
            self.words(fields["program"], (where, "program")),
            self.words(fields["group"], (where, "group")),
            self.number(fields["seats"], (where, "seats")),
            self.number(fields["filled"], (where, "filled")),
            None if fields["last"] is None else self.last_admitted(fields["last"], (where, "last")),
        )

    def last_admitted(self, value: Json, where: Where) -> LastAdmitted:
        """Read the standing of the last admitted applicant."""
        fields = self.fields(value, where, required=LAST, optional=LAST_OPTIONAL)
        if ("number" in fields) == ("position" in fields):
            self.refuse(where, "the standing must have either number or position", "give exactly one of the two")
        return LastAdmitted(
            holder=bool(self.truth(fields["holder"], (where, "holder"))),
            meets=bool(self.truth(fields["meets"], (where, "meets"))),
            late=bool(self.truth(fields["late"], (where, "late"))),
            class_=self.words(fields["class"], (where, "class")),
            number=self.words(fields["number"], (where, "number")) if "number" in fields else None,
            position=self.number(fields["position"], (where, "position")) if "position" in fields else None,
            drawn_in=self.words(fields["drawn_in"], (where, "drawn_in")) if "drawn_in" in fields else None,
        )

    def waitlist(self, value: Json, where: Where) -> Waitlist:
        """Read a waitlist."""
        fields = self.fields(value, where, required=WAITLIST)
        return Waitlist(
            self.words(fields["program"], (where, "program")),
            self.words(fields["group"], (where, "group")),
            tuple(self.each(fields["applicants"], (where, "applicants"), self.words)),
        )
