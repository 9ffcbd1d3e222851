"""Sections 2 to 8 of the specification once more, by the other way that its section 4 describes.

Every entry of a ranking is replaced by the program's seat groups in precedence order, and plain deferred acceptance is
run on applicants and seat groups, each group a college of its own with its own standing order. Markets are valid by
assumption. Nothing here is shared with the engines, so that one misreading is not made twice.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypedDict, cast

import rfc8785

from lottery.market.canonical import Json

Condition: TypeAlias = Mapping[str, Json]
SiblingSchools: TypeAlias = Mapping[
    str, Collection[str]
]  # household -> schools where a sibling was placed in an earlier grade


class Priority(TypedDict):
    name: str
    when: Condition


class Reserve(TypedDict, total=False):
    name: str
    seats: int
    percent: int
    when: Condition
    overflow: str | dict[str, Condition]
    priorities: list[Priority]


class Backfill(TypedDict, total=False):
    fills: bool
    order: str
    vacated_reserves: str


class Program(TypedDict, total=False):
    id: str
    school: str
    grade: str
    seats: int
    eligible: Condition
    priorities: list[Priority]
    reserves: list[Reserve]
    precedence: list[str]
    tie_break: str | dict[str, list[str]] | None
    backfill: Backfill


class HeldSeat(TypedDict, total=False):
    program: str
    group: str


class Applicant(TypedDict, total=False):
    id: str
    grade: str
    ranking: list[str]
    zones: list[str]
    flags: list[str]
    at: dict[str, list[str]]
    attends: str | None
    household: str | None
    together: bool
    late: bool
    holds: HeldSeat | None
    drawn_in: str


class Policy(TypedDict, total=False):
    tie_break: str
    late: str
    grade_order: list[str]
    twins: str


class RoundName(TypedDict, total=False):
    id: str
    kind: str
    earlier: list[str]


class Market(TypedDict, total=False):
    format: str
    round: RoundName
    policy: Policy
    programs: list[Program]
    applicants: list[Applicant]


class Place(NamedTuple):
    program: str
    group: str


class Standing(NamedTuple):
    not_holder: int
    not_met: int
    late: int
    priority: int
    late_in_class: int
    number: bytes | int
    ticket: bytes


# ---- section 2 and the canonical form of section 8: every default written out


def written_out(market: Json) -> Market:
    raw = cast("Market", market)
    policy: Policy = {"tie_break": "single", "late": "after", "grade_order": [], "twins": "separate"}
    return {
        "format": raw["format"],
        "round": raw["round"],
        "policy": {**policy, **raw.get("policy", {})},
        "programs": sorted(map(program_written_out, raw["programs"]), key=lambda program: program["id"]),
        "applicants": sorted(
            (applicant_written_out(applicant, raw["round"]["id"]) for applicant in raw["applicants"]),
            key=lambda applicant: applicant["id"],
        ),
    }


def program_written_out(raw: Program) -> Program:
    priorities = raw.get("priorities", [])
    reserves = [reserve_written_out(reserve, priorities) for reserve in raw.get("reserves", [])]
    backfill: Backfill = {"fills": True, "order": "waitlist", "vacated_reserves": "keep"}
    program: Program = {
        "eligible": {"everyone": True},
        "priorities": [],
        "precedence": [*(reserve["name"] for reserve in reserves), "open"],
        "tie_break": None,
    }
    return {**program, **raw, "reserves": reserves, "backfill": {**backfill, **raw.get("backfill", {})}}


def reserve_written_out(raw: Reserve, priorities: list[Priority]) -> Reserve:
    reserve: Reserve = {"overflow": "open", "priorities": priorities}
    return {**reserve, **raw}


def applicant_written_out(raw: Applicant, this_round: str) -> Applicant:
    applicant: Applicant = {
        "attends": None,
        "household": None,
        "together": False,
        "late": False,
        "drawn_in": this_round,
    }
    held: HeldSeat = {"group": "open"}
    holds = raw.get("holds")
    return {
        **applicant,
        **raw,
        "zones": in_byte_order(raw.get("zones", [])),
        "flags": in_byte_order(raw.get("flags", [])),
        "at": {school: in_byte_order(facts) for school, facts in raw.get("at", {}).items() if facts},
        "holds": {**held, **holds} if holds else None,
    }


def in_byte_order(words: Iterable[str]) -> list[str]:
    return sorted(set(words), key=str.encode)


def canonical_market(market: Json) -> bytes:
    full = cast("dict[str, Json]", written_out(market))
    applicants = cast("list[dict[str, Json]]", full.pop("applicants"))
    return b"\n".join(rfc8785.dumps(line) for line in (full, *applicants))


def digest(market: Json) -> str:
    return "sha256:" + hashlib.sha256(canonical_market(market)).hexdigest()


# ---- conditions, of section 2


def met(condition: Condition, applicant: Applicant, school: str, sibling_schools: SiblingSchools) -> bool:
    ((kind, operand),) = condition.items()
    words, parts = cast("list[str]", operand), cast("list[Condition]", operand)
    answer = kind == "everyone"
    match kind:
        case "zone_in":
            answer = any(zone in words for zone in applicant["zones"])
        case "has":
            answer = operand in applicant["flags"]
        case "at_school":
            answer = operand in applicant["at"].get(school, [])
        case "attends_in":
            answer = applicant["attends"] in words
        case "sibling_placed":
            answer = school in sibling_schools.get(applicant["household"] or "", ())
        case "all":
            answer = all(met(part, applicant, school, sibling_schools) for part in parts)
        case "any":
            answer = any(met(part, applicant, school, sibling_schools) for part in parts)
        case "not":
            answer = not met(cast("Condition", operand), applicant, school, sibling_schools)
    return answer


def asks_for_siblings(condition: Condition) -> bool:
    ((kind, operand),) = condition.items()
    if kind in {"all", "any"}:
        return any(map(asks_for_siblings, cast("list[Condition]", operand)))
    return asks_for_siblings(cast("Condition", operand)) if kind == "not" else kind == "sibling_placed"


def conditions(program: Program) -> list[Condition]:
    return [
        program["eligible"],
        *(reserve["when"] for reserve in program["reserves"]),
        *(each["overflow"]["to"] for each in program["reserves"] if isinstance(each["overflow"], dict)),
        *(each["when"] for owner in (program, *program["reserves"]) for each in owner["priorities"]),
    ]


# ---- sections 3, 5, 6 and 7: what a round says of an applicant at a seat group


@dataclass(frozen=True)
class Round:
    market: Market
    seed: bytes
    seeds: Mapping[str, bytes]

    @property
    def is_backfill(self) -> bool:
        return self.market["round"]["kind"] == "backfill"

    def program(self, name: str) -> Program:
        return next(program for program in self.market["programs"] if program["id"] == name)

    def applicants(self, grade: str) -> list[Applicant]:
        return [applicant for applicant in self.market["applicants"] if applicant["grade"] == grade]

    def grades(self) -> list[str]:
        programs, applicants = self.market["programs"], self.market["applicants"]
        if any(asks_for_siblings(condition) for program in programs for condition in conditions(program)) or any(
            applicant["together"] for applicant in applicants
        ):
            return self.market["policy"]["grade_order"]
        return sorted({*(program["grade"] for program in programs), *(each["grade"] for each in applicants)})

    def sibling_schools(self, placed: Mapping[str, Place]) -> SiblingSchools:
        """Return for each household the schools where those already placed went."""
        schools: dict[str, set[str]] = {}
        for applicant in self.market["applicants"]:
            if applicant["id"] in placed and applicant["household"] is not None:
                school = self.program(placed[applicant["id"]].program)["school"]
                schools.setdefault(applicant["household"], set()).add(school)
        return schools

    def holders(self, place: Place) -> int:
        return [applicant["holds"] for applicant in self.market["applicants"]].count(
            {"program": place.program, "group": place.group}
        )

    def seats(self, program: Program) -> dict[str, int]:
        total, backfill = program["seats"], program["backfill"]
        held = {group: self.holders(Place(program["id"], group)) for group in program["precedence"]}
        if self.is_backfill and not backfill["fills"]:
            return held
        seats = {
            each["name"]: each["seats"] if "seats" in each else total * each["percent"] // 100
            for each in program["reserves"]
        }
        if self.is_backfill and backfill["vacated_reserves"] == "release":
            seats = {group: held[group] for group in seats}
        return {**seats, "open": total - sum(seats.values())}

    def number(self, applicant: Applicant, program: Program) -> bytes | int:
        rule, order = program["tie_break"] or self.market["policy"]["tie_break"], program["backfill"]["order"]
        if isinstance(rule, dict):
            return [*rule["ranked"], applicant["id"]].index(applicant["id"]) + 1
        drawn_now = applicant["drawn_in"] == self.market["round"]["id"] or (self.is_backfill and order == "fresh")
        seed = self.seed if drawn_now else self.seeds[applicant["drawn_in"]]
        scope = "*" if rule == "single" else program["id"]
        subject = applicant["id"]
        if self.market["policy"]["twins"] == "share" and applicant["household"] is not None:
            subject = f"{applicant['household']}/{applicant['grade']}"
        message = b"\0".join((b"enroll-lottery/v1/lottery", scope.encode(), subject.encode()))
        number = hmac.new(seed, message, "sha256").digest()
        return bytes(255 - byte for byte in number) if self.is_backfill and order == "reverse" else number

    def standing(self, applicant: Applicant, place: Place, sibling_schools: SiblingSchools) -> Standing | None:
        """Return where an applicant stands at a seat group; None if not considered there."""
        program = self.program(place.program)
        everybody: Reserve = {"when": {"everyone": True}, "overflow": "open", "priorities": program["priorities"]}
        reserve = next((each for each in program["reserves"] if each["name"] == place.group), everybody)

        def meets(condition: Condition) -> bool:
            return met(condition, applicant, program["school"], sibling_schools)

        def may_have_what_is_left() -> bool:
            overflow = reserve["overflow"]
            return meets(overflow["to"]) if isinstance(overflow, dict) else overflow == "open"

        held = applicant["holds"]
        is_holder = held == {"program": place.program, "group": place.group}
        if held is not None and held["program"] == place.program and not is_holder:
            return None
        rule = program["tie_break"]
        if not is_holder and (
            (self.is_backfill and not program["backfill"]["fills"])
            or not meets(program["eligible"])
            or not (meets(reserve["when"]) or may_have_what_is_left())
            or (isinstance(rule, dict) and applicant["id"] not in rule["ranked"])
        ):
            return None
        late, policy = self.lateness(applicant, program), self.market["policy"]["late"]
        classes = [meets(priority["when"]) for priority in reserve["priorities"]]
        return Standing(
            not_holder=int(not is_holder),
            not_met=int(not meets(reserve["when"])),
            late=late if policy == "after" else 0,
            priority=[*classes, True].index(True),
            late_in_class=0 if policy == "after" else late,
            number=self.number(applicant, program),
            ticket=applicant["id"].encode(),
        )

    def lateness(self, applicant: Applicant, program: Program) -> int:
        """Return how late an applicant came: 0 on time, 1 late in the first draw, 2 in the second draw, and so on."""
        late = int(applicant["late"] and self.market["policy"]["late"] != "equal")
        if not self.is_backfill or program["backfill"]["order"] == "fresh":
            return late
        draws = self.draws()
        if draws:
            return draws.index(applicant["drawn_in"]) + 1 if applicant["drawn_in"] != draws[0] else late
        newcomer = applicant["drawn_in"] == self.market["round"]["id"]
        return int(newcomer) if newcomer and self.market["policy"]["late"] != "equal" else late

    def draws(self) -> list[str]:
        """Return the rounds of the season that have drawn, this one last; none if the market does not list them."""
        this = self.market["round"]
        return [*this["earlier"], this["id"]] if "earlier" in this else []

    def class_name(self, place: Place, standing: Standing) -> str:
        program = self.program(place.program)
        owners = {each["name"]: each["priorities"] for each in program["reserves"]}
        names = [each["name"] for each in owners.get(place.group, program["priorities"])]
        return [*names, "general"][standing.priority]

    def ranking(self, applicant: Applicant, sibling_schools: SiblingSchools) -> list[str]:
        """Return the programs that an applicant proposes to, as matched: after held seats and `together`."""
        above, held = list(applicant["ranking"]), applicant["holds"]
        if held is not None:
            above = above[: [*above, held["program"]].index(held["program"])]
        if applicant["together"]:
            schools = sibling_schools.get(applicant["household"] or "", ())
            above.sort(key=lambda name: self.program(name)["school"] not in schools)
        return above if held is None else [*above, held["program"]]

    def wishes(self, applicant: Applicant, sibling_schools: SiblingSchools) -> dict[Place, Standing]:
        """Return the ranking as matched, each program replaced by its seat groups where the applicant is considered."""
        places = (
            Place(name, group)
            for name in self.ranking(applicant, sibling_schools)
            for group in self.program(name)["precedence"]
        )
        standings = {place: self.standing(applicant, place, sibling_schools) for place in places}
        return {place: standing for place, standing in standings.items() if standing is not None}


# ---- section 4


def deferred_acceptance(
    wishes: Mapping[str, Mapping[Place, Standing]], seats: Mapping[Place, int]
) -> dict[Place, list[str]]:
    """Return who sits at each place, best standing first."""
    seated: dict[Place, list[str]] = {place: [] for place in seats}
    left = {ticket: list(places) for ticket, places in wishes.items()}
    proposing = list(wishes)
    while proposing:
        ticket = proposing.pop()
        if left[ticket]:
            place = left[ticket].pop(0)
            seated[place].append(ticket)
            seated[place].sort(key=lambda each: wishes[each][place])
            proposing.extend(seated[place][seats[place] :])
            del seated[place][seats[place] :]
    return seated


# ---- section 8


def outcome(market: Json, *, seed: bytes, seeds: Mapping[str, bytes]) -> dict[str, Json]:
    this = Round(written_out(market), seed, seeds)
    applicants = this.market["applicants"]
    seats = {
        Place(program["id"], group): this.seats(program)[group]
        for program in this.market["programs"]
        for group in program["precedence"]
    }
    placed: dict[str, Place] = {}
    wishes: dict[str, dict[Place, Standing]] = {}
    for grade in this.grades():
        sibling_schools = this.sibling_schools(placed)
        of_grade = {applicant["id"]: this.wishes(applicant, sibling_schools) for applicant in this.applicants(grade)}
        wishes.update(of_grade)
        for place, tickets in deferred_acceptance(of_grade, seats).items():
            placed.update(dict.fromkeys(tickets, place))
    return {
        "placements": [
            placement(applicant, placed[applicant["id"]]) for applicant in applicants if applicant["id"] in placed
        ],
        "unplaced": [applicant["id"] for applicant in applicants if applicant["id"] not in placed],
        "cutoffs": [
            cutoff(this, place, seats[place], [wishes[ticket][place] for ticket in placed if placed[ticket] == place])
            for place in seats
        ],
        "waitlists": [
            {"program": place.program, "group": place.group, "applicants": waiting}
            for place in seats
            if (waiting := waitlist(place, wishes, placed))
        ],
    }


def placement(applicant: Applicant, place: Place) -> dict[str, Json]:
    ranking = applicant["ranking"]
    choice = ranking.index(place.program) + 1 if place.program in ranking else None
    return {"applicant": applicant["id"], "program": place.program, "group": place.group, "choice": choice}


def cutoff(this: Round, place: Place, seats: int, seated: Sequence[Standing]) -> dict[str, Json]:
    return {
        "program": place.program,
        "group": place.group,
        "seats": seats,
        "filled": len(seated),
        "last": last_admitted(this, place, max(seated)) if len(seated) == seats > 0 else None,
    }


def last_admitted(this: Round, place: Place, last: Standing) -> dict[str, Json]:
    number, lateness = last.number, last.late + last.late_in_class
    fresh = this.program(place.program)["backfill"]["order"] == "fresh"
    draws = [] if fresh else this.draws()
    return {
        "holder": not last.not_holder,
        "meets": not last.not_met,
        "late": lateness > 0,
        "class": this.class_name(place, last),
        **({"position": number} if isinstance(number, int) else {"number": number.hex()}),
        **({"drawn_in": draws[max(lateness, 1) - 1]} if draws else {}),
    }


def waitlist(
    place: Place, wishes: Mapping[str, Mapping[Place, Standing]], placed: Mapping[str, Place]
) -> Sequence[str]:
    waiting = []
    for ticket, standings in wishes.items():
        programs = list(dict.fromkeys(wish.program for wish in standings))
        ended = programs.index(placed[ticket].program) if ticket in placed else len(programs)
        if place in standings and programs.index(place.program) < ended:
            waiting.append((standings[place], ticket))
    return [ticket for _, ticket in sorted(waiting)]
