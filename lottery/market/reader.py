"""Read `lottery-market/1` strictly, and report all faults at once (docs/reference/specification.md, section 2)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from lottery.market.canonical import Json
from lottery.market.json_reader import MISSING, Reader, Where, is_identifier
from lottery.market.model import FORMAT, Applicant, HeldSeat, Kind, Late, Market, Policy, Round, Twins
from lottery.market.rules import OPEN, Program, TieBreak
from lottery.market.rules_reader import read_program
from lottery.progress import Track, untracked

HEAD_REQUIRED = frozenset({"format", "round", "programs"})
HEAD_OPTIONAL = frozenset({"policy"})
ROUND_REQUIRED = frozenset({"id", "kind"})
ROUND_OPTIONAL = frozenset({"earlier"})
POLICY_OPTIONAL = frozenset({"tie_break", "late", "grade_order", "twins"})
APPLICANT_REQUIRED = frozenset({"id", "grade", "ranking"})
APPLICANT_OPTIONAL = frozenset(
    {"zones", "flags", "at", "attends", "household", "together", "late", "holds", "drawn_in"}
)
HOLDS_REQUIRED = frozenset({"program"})
HOLDS_OPTIONAL = frozenset({"group"})

NO_FACTS: Mapping[str, frozenset[str]] = {}
"""Facts at single schools of an applicant without such facts. Most applicants share this mapping."""

Entries: TypeAlias = Iterable[tuple[Where, Json]]
"""Applicants from a file, each with its place in the file."""


def read_market(document: Json, *, file: str = "market", track: Track = untracked) -> Market:
    """Read a market from one parsed document. `file` is the file name for faults.

    Raises:
        UnusableInput: with every fault found.
    """
    root: Where = (None, file)
    reader = MarketReader()
    fields = reader.fields(document, root, required=HEAD_REQUIRED | {"applicants"}, optional=HEAD_OPTIONAL)
    reader.read_head(fields, root)
    applicants = reader.list_(fields["applicants"], (root, "applicants"))
    entries = (((root, "applicants"), index) for index in range(len(applicants)))
    return reader.read_applicants(track(zip(entries, applicants, strict=True), "reading", len(applicants)))


def read_market_in_parts(head: Json, entries: Entries, *, file: str, reader: "MarketReader") -> Market:
    """Read a market whose applicants come one by one from another file.

    Raises:
        UnusableInput: with every fault, including the faults that `reader` recorded before.
    """
    root: Where = (None, file)
    fields = reader.fields(head, root, required=HEAD_REQUIRED, optional=HEAD_OPTIONAL)
    reader.read_head(fields, root)
    return reader.read_applicants(entries)


class MarketReader(Reader):
    """Reads a market: first everything but the applicants, then the applicants."""

    def __init__(self) -> None:
        super().__init__()
        self._round = Round("", Kind.MAIN)
        self._policy = Policy()
        self._root: Where = (None, "")
        self._programs: dict[str, Program] = {}
        self._flawed: set[str] = set()  # ids of programs with faults, which need no fault where they are ranked
        self._some_unnamed = False  # the id of some program could not be read
        self._places: dict[str, Where] = {}  # the place of each program
        self._sets: dict[tuple[Json, ...], frozenset[str]] = {}  # equal sets of facts share one value
        self._rounds: dict[str, str] = {}
        self._draws: frozenset[str] = frozenset()

    def read_head(self, fields: Mapping[str, Json], root: Where) -> None:
        """Read everything but the applicants."""
        self._root = root
        self.exactly(FORMAT, fields["format"], (root, "format"))
        self._read_round(fields["round"], (root, "round"))
        self._read_policy(fields.get("policy", {}), (root, "policy"))
        before = self.count()
        programs = self.list_(fields["programs"], (root, "programs"))
        self._some_unnamed = fields["programs"] is MISSING or self.count() > before
        for index, entry in enumerate(programs):
            self._read_program(entry, ((root, "programs"), index))

    def read_applicants(self, entries: Entries) -> Market:
        """Read the applicants and return the whole market.

        Raises:
            UnusableInput: with every fault, including the faults recorded before.
        """
        applicants = []
        tickets: set[str] = set()
        for where, entry in entries:
            applicant = self._read_applicant(entry, where)
            if applicant is None:
                continue
            if applicant.id in tickets:
                self.refuse(
                    (where, "id"),
                    f"an earlier applicant has the id {applicant.id}",
                    "give each applicant a different id",
                )
            tickets.add(applicant.id)
            applicants.append(applicant)
        market = Market(self._round, self._policy, tuple(self._programs.values()), tuple(applicants))
        self._check_grade_order(market)
        self._check_held_seats(market)
        self.finish()
        return market

    def _read_round(self, value: Json, where: Where) -> None:
        fields = self.fields(value, where, required=ROUND_REQUIRED, optional=ROUND_OPTIONAL)
        round_id = self.identifier(fields["id"], (where, "id"))
        kind = self.choice(Kind, fields["kind"], (where, "kind"))
        earlier = (
            self._read_earlier(fields["earlier"], round_id, kind, (where, "earlier")) if "earlier" in fields else None
        )
        if round_id and kind:
            self._round = Round(round_id, kind, earlier)
            self._draws = frozenset(self._round.draws)

    def _read_earlier(self, value: Json, round_id: str | None, kind: Kind | None, where: Where) -> tuple[str, ...]:
        """Read the earlier rounds of the season, each named once."""
        earlier: list[str] = []
        for index, entry in enumerate(self.list_(value, where)):
            name = self.identifier(entry, (where, index))
            if name in {*earlier, round_id}:
                self.refuse((where, index), f"the round {name} is named twice", "list each earlier round once")
            elif name:
                earlier.append(name)
        if kind is Kind.MAIN:
            self.refuse(where, "a main round has no earlier rounds", "remove the list or make this a backfill round")
        return tuple(earlier)

    def _read_policy(self, value: Json, where: Where) -> None:
        fields = self.fields(value, where, required=frozenset(), optional=POLICY_OPTIONAL)
        default = self._policy
        tie_break = self.choice(TieBreak, fields.get("tie_break", default.tie_break.value), (where, "tie_break"))
        late = self.choice(Late, fields.get("late", default.late.value), (where, "late"))
        twins = self.choice(Twins, fields.get("twins", default.twins.value), (where, "twins"))
        grades = [
            self.identifier(grade, ((where, "grade_order"), index))
            for index, grade in enumerate(self.list_(fields.get("grade_order", []), (where, "grade_order")))
        ]
        if tie_break and late and twins:
            self._policy = Policy(tie_break, late, tuple(grade for grade in grades if grade), twins)

    def _read_program(self, value: Json, where: Where) -> None:
        program = read_program(self, value, where)
        if program is None:
            named = value.get("id") if isinstance(value, Mapping) else None
            if is_identifier(named):
                self._flawed.add(named)
            else:
                self._some_unnamed = True
        elif program.id in self._programs:
            self.refuse(
                (where, "id"), f"an earlier program has the id {program.id}", "give each program a different id"
            )
        else:
            self._programs[program.id] = program
            self._places[program.id] = where

    def _read_applicant(self, value: Json, where: Where) -> Applicant | None:
        before = self.count()
        fields = self.fields(value, where, required=APPLICANT_REQUIRED, optional=APPLICANT_OPTIONAL)
        ticket = self.identifier(fields["id"], (where, "id"))
        grade = self.identifier(fields["grade"], (where, "grade"))
        together = self.truth(fields.get("together", False), (where, "together"))
        late = self.truth(fields.get("late", False), (where, "late"))
        applicant = Applicant(
            id=ticket or "",
            grade=grade or "",
            ranking=self._read_ranking(fields["ranking"], grade, (where, "ranking")),
            zones=self._read_facts(fields.get("zones", []), (where, "zones")),
            flags=self._read_facts(fields.get("flags", []), (where, "flags")),
            at=self._read_at(fields.get("at", {}), (where, "at")),
            attends=self._identifier_or_null(fields.get("attends"), (where, "attends")),
            household=self._identifier_or_null(fields.get("household"), (where, "household")),
            together=bool(together),
            late=bool(late),
            holds=self._read_held_seat(fields.get("holds"), grade, (where, "holds")),
            drawn_in=self._read_drawn_in(fields, where),
        )
        return applicant if self.count() == before else None

    def _read_ranking(self, value: Json, grade: str | None, where: Where) -> tuple[str, ...]:
        ranking = []
        for index, entry in enumerate(self.list_(value, where)):
            program = self._program(entry, grade, (where, index))
            if program:
                ranking.append(program.id)
        if len(set(ranking)) < len(ranking):
            repeated = sorted(program for program, times in Counter(ranking).items() if times > 1)
            self.refuse(where, f"the ranking lists {', '.join(repeated)} more than once", "list each program once")
        return tuple(ranking)

    def _program(self, value: Json, grade: str | None, where: Where) -> Program | None:
        """Return the program of this id and grade."""
        program = self._programs.get(value) if type(value) is str else None
        if program is None:
            named = self.identifier(value, where)
            if named and named not in self._flawed and not self._some_unnamed:
                self.refuse(where, f"the market has no program {named}", "correct the id or remove it")
        elif program.grade != grade and grade:
            self.refuse(
                where,
                f"the program {program.id} has grade {program.grade}",
                f"list programs of grade {grade}",
            )
        return program

    def _read_facts(self, value: Json, where: Where) -> frozenset[str]:
        entries = self.list_(value, where)
        try:
            known = self._sets.get(tuple(entries))
        except TypeError:  # an object or list among them
            known = None
        if known is None:
            before = self.count()
            texts = [self.text(entry, (where, index)) for index, entry in enumerate(entries)]
            known = frozenset(text for text in texts if text is not None)
            if self.count() == before:
                known = self._sets.setdefault(tuple(sorted(known)), known)
                self._sets[tuple(entries)] = known
        return known

    def _read_at(self, value: Json, where: Where) -> Mapping[str, frozenset[str]]:
        if not isinstance(value, Mapping):
            self.fields(value, where, required=frozenset())
            return NO_FACTS
        fields = self.fields(value, where, required=frozenset(), optional=frozenset(value))
        at = {}
        for school, facts in fields.items():
            school_id = self.identifier(school, (where, school))
            here = self._read_facts(facts, (where, school))
            if school_id and here:
                at[school_id] = here
        return at or NO_FACTS

    def _identifier_or_null(self, value: Json, where: Where) -> str | None:
        return None if value is None else self.identifier(value, where)

    def _read_held_seat(self, value: Json, grade: str | None, where: Where) -> HeldSeat | None:
        if value is None:
            return None
        fields = self.fields(value, where, required=HOLDS_REQUIRED, optional=HOLDS_OPTIONAL)
        program = self._program(fields["program"], grade, (where, "program"))
        group = self.identifier(fields.get("group", OPEN), (where, "group"))
        if program is None or group is None:
            return None
        if group not in program.precedence:
            self.refuse(
                (where, "group"),
                f"the program {program.id} has no seat group {group}",
                f"give one of {', '.join(program.precedence)}",
            )
        return HeldSeat(program.id, group)

    def _read_drawn_in(self, fields: Mapping[str, Json], where: Where) -> str:
        if "drawn_in" not in fields:
            return self._round.id
        drawn_in = self.identifier(fields["drawn_in"], (where, "drawn_in")) or ""
        if drawn_in and self._round.earlier is not None and drawn_in not in self._draws:
            self.refuse(
                (where, "drawn_in"),
                f"the market does not list the round {drawn_in}",
                "add the round to `earlier` of the round, in the order of the draws, or correct the id",
            )
        return self._rounds.setdefault(drawn_in, drawn_in)

    def _check_grade_order(self, market: Market) -> None:
        if not market.siblings_matter():
            return
        where = ((self._root, "policy"), "grade_order")
        in_use = {program.grade for program in market.programs} | {child.grade for child in market.applicants}
        for grade in sorted(in_use):
            times = market.policy.grade_order.count(grade)
            if times != 1:
                self.refuse(
                    where,
                    f"siblings matter in this market, and the list has grade {grade} {times} times",
                    "list the grade of every program and applicant once, in the order of the match",
                )

    def _check_held_seats(self, market: Market) -> None:
        seats = {program.id: program.seats_as_written() for program in market.programs}
        for held, holders in sorted(market.holders().items(), key=lambda entry: (entry[0].program, entry[0].group)):
            written = seats[held.program].get(held.group, holders)
            if holders > written:
                self.refuse(
                    (self._places[held.program], "seats"),
                    f"the seat group {held.group} has {written} seats, and {holders} applicants hold seats in it",
                    "add seats or remove held seats",
                )
