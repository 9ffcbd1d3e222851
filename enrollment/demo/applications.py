"""The open cycle: families apply through partners, schools decide claims, a school leaves, rules change."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from enrollment.demo.api_client import Person, Refused
from enrollment.demo.city import DemoCity
from enrollment.demo.families import Family
from enrollment.demo.schools import ParticipatingSchool
from enrollment.demo.setup import CYCLE, People
from enrollment.demo.terminal import Step, Terminal
from lottery.generate.dice import Dice, key_of
from lottery.market.canonical import Json

AT_ONCE = 6
"""The most requests that the demo sends at the same time."""

ROWS_A_BATCH = 100
ONE_BY_ONE = 1_500
"""Families of the city portal that apply with single requests, as a website sends them. Others apply in batches."""

MAX_CLAIMS = 5_000
"""The most claims of the demo. Each claim takes two requests, so a large city leaves the rest out."""

DENIED, UNDECIDED = 12, 15
"""Of 100 claims, the first 12 are denied, and the next 3 stay undecided."""

Work = TypeVar("Work")


def at_once(work: Iterable[Work], act: Callable[[Work], None], step: Step) -> None:
    """Act on each piece of work, several at the same time.

    Raises:
        Refused: if the service refuses a request.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(act, work):
            step()


def set_calendar(ann: Person, body: dict[str, Json], *, reason: str, **times: datetime) -> dict[str, Json]:
    """Change the cycle's calendar, and return the new body of the cycle."""
    changed = {**body, **{name: time.isoformat() for name, time in times.items()}}
    ann.change(CYCLE, {**changed, "reason": reason})
    return changed


def wait_for_phase(ann: Person, phase: str) -> None:
    """Wait until the cycle is in a phase, by the database's clock."""
    while ann.get(CYCLE)["phase"] != phase:
        time.sleep(0.1)


def soon() -> datetime:
    """Return a time in the near future."""
    return datetime.now(UTC) + timedelta(seconds=1.5)


def partner_of(people: People, family: Family) -> tuple[str, Person]:
    """Return the partner of a family. Half of the families use the city portal."""
    names = list(people.partners)
    name = names[(0, 0, 1, 2)[family.number % 4]]
    return name, people.partners[name]


def applicant_path(family: Family) -> str:
    """Return the path of a family's application."""
    return f"{CYCLE}/applicants/{family.reference}"


def take_applications(people: People, families: Sequence[Family], terminal: Terminal, *, title: str) -> None:
    """Submit applications through partners: some with single requests, the rest in batches."""
    single = [family for family in families if partner_of(people, family)[0] == "city-portal"][:ONE_BY_ONE]
    single_numbers = {family.number for family in single}
    batches = [
        batch
        for name in people.partners
        for batch in _batches(
            [f for f in families if f.number not in single_numbers and partner_of(people, f)[0] == name]
        )
    ]
    with terminal.bar(f"{title}, one by one", len(single)) as step:
        at_once(single, lambda family: _apply(partner_of(people, family)[1], family), step)
    with terminal.bar(f"{title}, in batches of up to {ROWS_A_BATCH}", len(batches)) as step:
        at_once(batches, lambda batch: _apply_all(partner_of(people, batch[0])[1], batch), step)


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
    results = answer["rows"]
    for row in results if isinstance(results, list) else []:
        if isinstance(row, dict) and not row["done"]:
            raise RuntimeError(f"the service refused a row of a batch: {row}")


def without(family: Family, programs: set[str]) -> Family:
    """Return the family with a ranking that leaves out some programs."""
    return replace(family, ranking=[program for program in family.ranking if program not in programs])


def change_rankings(people: People, families: Sequence[Family], terminal: Terminal) -> None:
    """Let some families put their second choice first, and let a few families withdraw."""
    changing = [family for family in families if len(family.ranking) > 1 and family.number % 20 == 3]  # noqa: PLR2004
    withdrawing = [family for family in families if family.ranking and family.number % 150 == 7]  # noqa: PLR2004

    def swap_choices(family: Family) -> None:
        first, second, *rest = family.ranking
        partner_of(people, family)[1].change(f"{applicant_path(family)}/ranking", {"programs": [second, first, *rest]})

    with terminal.bar("Families change their rankings", len(changing)) as step:
        at_once(changing, swap_choices, step)
    with terminal.bar("Families withdraw", len(withdrawing)) as step:
        at_once(withdrawing, lambda family: partner_of(people, family)[1].delete(applicant_path(family)), step)


def refuse_second_application(people: People, family: Family, terminal: Terminal) -> None:
    """Show that a second application of a child is refused, and that a transfer code moves the application."""
    name, partner = partner_of(people, family)
    other_name, other = next((n, p) for n, p in people.partners.items() if n != name)
    try:
        other.put(f"{CYCLE}/applicants/again-{family.number}", family.body)
    except Refused as refused:
        terminal.line(f"{other_name} submits a child who already applied through {name}. The service refuses:")
        terminal.quote([f"{refused.status} {refused.problem['title']}", str(refused.problem["detail"])])
    code = partner.post(f"{applicant_path(family)}/transfer-code")["transfer_code"]
    moved = other.post(f"{CYCLE}/transfers", {"code": code, "reference": f"again-{family.number}"})
    terminal.line(
        f"With a transfer code, the family moves to {other_name}. The ticket stays the same: {moved['ticket']}."
    )


def decide_claims(people: People, city: DemoCity, terminal: Terminal, *, families: Sequence[Family]) -> None:
    """Make claims through partners. Schools decide claims about their school, and administrators decide the rest."""
    claims = [
        (family, fact, school) for family in families for fact, school in family.claims if not _has_withdrawn(family)
    ]
    claims = claims[:MAX_CLAIMS]
    schools = {school.id: school for school in city.schools}

    def claim_and_decide(claim: tuple[Family, str, str | None]) -> None:
        family, fact, school = claim
        made = partner_of(people, family)[1].post(f"{applicant_path(family)}/claims", {"fact": fact, "school": school})
        decider = people.ann if school is None else people.of(schools[school])
        roll = Dice(key_of(1, "claim", family.number, fact, school or "")).below(100)
        if DENIED <= roll < UNDECIDED:
            return
        denied = roll < DENIED
        verdict = "deny" if denied else "approve"
        reason = "Not in our records" if denied else "In our records"
        decider.post(f"/v1/claims/{made['id']}/{verdict}", {"basis": "verified", "reason": reason})

    with terminal.bar("Partners make claims, and most claims are decided", len(claims)) as step:
        at_once(claims, claim_and_decide, step)


def _has_withdrawn(family: Family) -> bool:
    return bool(family.ranking) and family.number % 150 == 7  # noqa: PLR2004


def leave_cycle(people: People, school: ParticipatingSchool, terminal: Terminal) -> None:
    """Let a school leave after the cycle opened. Partners of the families who ranked the school get warnings."""
    people.of(school).change(
        f"{CYCLE}/schools/{school.id}/participation",
        {"status": "out", "reason": "The building will not be ready in time"},
    )
    warned = sum(len(partner.get_all(f"{CYCLE}/warnings")) for partner in people.partners.values())
    terminal.line(
        f"{school.body['name']} leaves the cycle. Partners get warnings about {warned} families who ranked it."
    )


def order_applicants(people: People, school: ParticipatingSchool, terminal: Terminal) -> None:
    """Let a screened school send its own order of applicants. An administrator approves the change."""
    office, program = people.of(school), str(school.programs[0]["id"])
    listed = office.get(f"{CYCLE}/programs/{program}/applicants")["applicants"]
    tickets = [str(one["ticket"]) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    order = Dice(key_of(2, program)).shuffled(tickets)
    rules = office.get(f"{CYCLE}/programs/{program}/rules")["own"]
    own_rules = dict(rules) if isinstance(rules, dict) else {}
    body: dict[str, Json] = {
        "rules": {**own_rules, "tie_break": {"ranked": order}},
        "reason": "Our own order, by interview, as announced",
    }
    office.change(f"{CYCLE}/programs/{program}/rules", body)
    for change in people.ann.get_all(f"{CYCLE}/rules-changes"):
        people.bea.post(f"/v1/rules-changes/{change['id']}/approve", {"reason": "Announced before the opening"})
    terminal.line(
        f"{program} ranks its {len(order)} applicants itself. An administrator approved this change of the rules."
    )
