"""While the cycle is open: families through partners, claims, a school that leaves, a change of rules."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from enrollment.demo.api_client import Person, Refused
from enrollment.demo.city import Family, Invented, ParticipatingSchool
from enrollment.demo.setup import CYCLE, Cast
from enrollment.demo.terminal import Step, Teller
from lottery.generate.dice import Dice, key_of
from lottery.market.canonical import Json

AT_ONCE = 6
"""Requests that the demo has under way at a time."""

ROWS_A_BATCH = 100
ONE_BY_ONE = 1_500
"""Families of the city portal that apply with a request for each step, as a site does; the others come in batches."""

MAX_CLAIMS = 5_000
"""Each is two requests and two people; in a large city the rest is left out."""

DENIED, UNDECIDED = 12, 15
"""Of a hundred claims, so many are denied; from there to the second number, so many are left undecided."""

Work = TypeVar("Work")


def at_once(work: Iterable[Work], act: Callable[[Work], None], step: Step) -> None:
    """Do many things, some at a time.

    Raises:
        Refused: if one was refused.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(act, work):
            step()


def set_calendar(ann: Person, body: dict[str, Json], *, reason: str, **times: datetime) -> dict[str, Json]:
    """Change the calendar, and return the body that now stands."""
    changed = {**body, **{name: time.isoformat() for name, time in times.items()}}
    ann.change(CYCLE, {**changed, "reason": reason})
    return changed


def wait_for_phase(ann: Person, phase: str) -> None:
    """Wait until the cycle does what the calendar says, by the database's clock."""
    while ann.get(CYCLE)["phase"] != phase:
        time.sleep(0.1)


def soon() -> datetime:
    """Return a time in a moment."""
    return datetime.now(UTC) + timedelta(seconds=1.5)


def partner_of(cast: Cast, family: Family) -> tuple[str, Person]:
    """Return the partner by which a family comes: half of them by the city portal."""
    names = list(cast.partners)
    name = names[(0, 0, 1, 2)[family.number % 4]]
    return name, cast.partners[name]


def applicant_path(family: Family) -> str:
    """Return where a family's application is."""
    return f"{CYCLE}/applicants/{family.reference}"


def take_applications(cast: Cast, families: Sequence[Family], tell: Teller, *, title: str) -> None:
    """Have partners submit: some families one request at a time, the rest in batches."""
    single = [family for family in families if partner_of(cast, family)[0] == "city-portal"][:ONE_BY_ONE]
    of_single = {family.number for family in single}
    batches = [
        batch
        for name in cast.partners
        for batch in _batches([f for f in families if f.number not in of_single and partner_of(cast, f)[0] == name])
    ]
    with tell.bar(f"{title}, one by one", len(single)) as step:
        at_once(single, lambda family: _apply(partner_of(cast, family)[1], family), step)
    with tell.bar(f"{title}, in batches of up to {ROWS_A_BATCH}", len(batches)) as step:
        at_once(batches, lambda batch: _apply_all(partner_of(cast, batch[0])[1], batch), step)


def _batches(families: Sequence[Family]) -> list[Sequence[Family]]:
    rest = iter(families)
    return list(iter(lambda: list(islice(rest, ROWS_A_BATCH)), []))


def _apply(partner: Person, family: Family) -> None:
    partner.put(applicant_path(family), family.body)
    if family.ranking:
        partner.put(f"{applicant_path(family)}/ranking", {"programs": list(family.ranking)})


def _apply_all(partner: Person, families: Sequence[Family]) -> None:
    rows: list[object] = [
        {
            "cycle": "2027",
            "reference": family.reference,
            "applicant": family.body,
            "ranking": {"programs": list(family.ranking)} if family.ranking else None,
        }
        for family in families
    ]
    answer = partner.post("/v1/applicants:batch", {"rows": rows})
    shown = answer["rows"]
    for row in shown if isinstance(shown, list) else []:
        if isinstance(row, dict) and not row["done"]:
            raise RuntimeError(f"a row of a batch was refused: {row}")


def without(family: Family, programs: set[str]) -> Family:
    """Return a family that does not rank what has left."""
    return replace(family, ranking=[program for program in family.ranking if program not in programs])


def revise(cast: Cast, families: Sequence[Family], tell: Teller) -> None:
    """Have some families think again: their second choice goes first, and a few withdraw."""
    thinking = [family for family in families if len(family.ranking) > 1 and family.number % 20 == 3]  # noqa: PLR2004
    leaving = [family for family in families if family.ranking and family.number % 150 == 7]  # noqa: PLR2004

    def think_again(family: Family) -> None:
        first, second, *rest = family.ranking
        partner_of(cast, family)[1].change(f"{applicant_path(family)}/ranking", {"programs": [second, first, *rest]})

    with tell.bar("Families think again", len(thinking)) as step:
        at_once(thinking, think_again, step)
    with tell.bar("Families withdraw", len(leaving)) as step:
        at_once(leaving, lambda family: partner_of(cast, family)[1].delete(applicant_path(family)), step)


def refuse_the_same_child_twice(cast: Cast, family: Family, tell: Teller) -> None:
    """Have a second partner bring a child that is there, be refused, and move it with the family's code instead."""
    name, partner = partner_of(cast, family)
    other_name, other = next((n, p) for n, p in cast.partners.items() if n != name)
    try:
        other.put(f"{CYCLE}/applicants/again-{family.number}", family.body)
    except Refused as refused:
        tell.line(f"{other_name} brings a child that came by {name} already:")
        tell.quote([f"{refused.status} {refused.problem['title']}", str(refused.problem["detail"])])
    code = partner.post(f"{applicant_path(family)}/transfer-code")["transfer_code"]
    moved = other.post(f"{CYCLE}/transfers", {"code": code, "reference": f"again-{family.number}"})
    tell.line(f"With the family's code it moves to {other_name}, and keeps its ticket {moved['ticket']}.")


def decide_claims(cast: Cast, city: Invented, tell: Teller, *, families: Sequence[Family]) -> None:
    """Have partners claim what gives priority; schools decide on theirs, administrators on facts about the child."""
    claims = [(family, fact, school) for family in families for fact, school in family.claims if not _gone(family)]
    claims = claims[:MAX_CLAIMS]
    schools = {school.id: school for school in city.schools}

    def claim(one: tuple[Family, str, str | None]) -> None:
        family, fact, school = one
        made = partner_of(cast, family)[1].post(f"{applicant_path(family)}/claims", {"fact": fact, "school": school})
        decider = cast.ann if school is None else cast.of(schools[school])
        thrown = Dice(key_of(1, "claim", family.number, fact, school or "")).below(100)
        if DENIED <= thrown < UNDECIDED:
            return
        denied = thrown < DENIED
        verdict = "deny" if denied else "approve"
        reason = "Not on our roll" if denied else "On our roll"
        decider.post(f"/v1/claims/{made['id']}/{verdict}", {"basis": "verified", "reason": reason})

    with tell.bar("Claims made, and most decided", len(claims)) as step:
        at_once(claims, claim, step)


def _gone(family: Family) -> bool:
    return bool(family.ranking) and family.number % 150 == 7  # noqa: PLR2004


def leave(cast: Cast, school: ParticipatingSchool, tell: Teller) -> None:
    """Have a school leave after the opening; the partners of those who ranked it are told."""
    cast.of(school).change(
        f"{CYCLE}/schools/{school.id}/participation",
        {"status": "out", "reason": "The building will not be ready in time"},
    )
    warned = sum(len(partner.every(f"{CYCLE}/warnings")) for partner in cast.partners.values())
    tell.line(f"{school.body['name']} leaves. Partners are warned of {warned} families who ranked it.")


def order_applicants(cast: Cast, school: ParticipatingSchool, tell: Teller) -> None:
    """Have a screened school hand in its own order of those who rank it; an administrator approves the change."""
    office, program = cast.of(school), str(school.programs[0]["id"])
    seen = office.get(f"{CYCLE}/programs/{program}/applicants")["applicants"]
    tickets = [str(one["ticket"]) for one in seen if isinstance(one, dict)] if isinstance(seen, list) else []
    order = Dice(key_of(2, program)).shuffled(tickets)
    rules = office.get(f"{CYCLE}/programs/{program}/rules")["own"]
    said = dict(rules) if isinstance(rules, dict) else {}
    body: dict[str, Json] = {
        "rules": {**said, "tie_break": {"ranked": order}},
        "reason": "Our own order, by interview, as announced",
    }
    office.change(f"{CYCLE}/programs/{program}/rules", body)
    for change in cast.ann.every(f"{CYCLE}/rules-changes"):
        cast.bea.post(f"/v1/rules-changes/{change['id']}/approve", {"reason": "Announced before the opening"})
    tell.line(f"{program} orders its {len(order)} applicants itself; the change waited for an administrator.")
