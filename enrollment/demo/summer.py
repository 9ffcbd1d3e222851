"""After the round: answers, a nightly backfill round, late families, a placement outside, and the ledger at the end."""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from enrollment.demo.api_client import Answer, Person, Refused
from enrollment.demo.applications import at_once, set_calendar, soon, wait_for_phase
from enrollment.demo.city import Family, Invented
from enrollment.demo.round import NotRight, throw_dice, wait
from enrollment.demo.setup import CYCLE, Cast
from enrollment.demo.terminal import Teller
from lottery.generate.dice import Dice, key_of
from lottery.market.canonical import Json

DECLINING, ANSWERING = 10, 60
"""Of a hundred families, so many decline their offer; from there to the second number, so many accept it."""

MAX_ANSWERS = 1_200
"""Each is a request of its own; in a large city the rest answer later."""

LATECOMERS = 3
FIRST_NIGHT, SECOND = "2027-backfill-1", "2027-backfill-2"
WORTH_TELLING = 6
MAX_LOOKED_AT = 60


@dataclass(frozen=True, slots=True)
class Offered:
    """A seat that a partner is to ask a family about."""

    partner: Person
    reference: str
    offer: str


def open_backfill_window(cast_: Cast, calendar: dict[str, Json], tell: Teller) -> None:
    """Let the summer begin: from now on families may rank anew, and new ones may come."""
    now = soon()
    set_calendar(cast_.ann, calendar, reason="The demo does not wait for days", late_until=now, backfill_opens=now)
    wait_for_phase(cast_.ann, "backfill")
    tell.line("The backfill window is open: families may rank anew, and new ones may come.")


def answer(cast_: Cast, tell: Teller) -> None:
    """Have families accept and decline; what they ranked higher goes on waiting for them."""
    _wait_for_notices(cast_)
    offered = [
        Offered(partner, str(about["reference"]), str(about["offer"]))
        for partner in cast_.partners.values()
        for about in _noticed(partner, "offer.made")
    ]
    offered = sorted(offered, key=lambda one: one.reference)
    thrown = {one.offer: Dice(key_of(3, "answer", one.reference)).below(100) for one in offered}
    answering = [one for one in offered if thrown[one.offer] < ANSWERING][:MAX_ANSWERS]

    def tell_answer(one: Offered) -> None:
        how = "decline" if thrown[one.offer] < DECLINING else "accept"
        one.partner.post(f"/v1/offers/{one.offer}/{how}")

    with tell.bar(f"Families answer {len(offered):,} offers; some have not yet", len(answering)) as step:
        at_once(answering, tell_answer, step)
    declined = sum(thrown[one.offer] < DECLINING for one in answering)
    tell.line(f"{len(answering) - declined:,} accepted, {declined:,} declined; who accepted keeps places higher up.")


def _wait_for_notices(cast_: Cast) -> None:
    """Wait until the notices of the published round can be read: all of them at once, a moment after publishing."""
    partners = cast_.partners.values()
    wait(
        lambda: {"told": any(_noticed(partner, "results.published") for partner in partners)},
        lambda answer: answer["told"] is True,
    )


def _noticed(partner: Person, event: str) -> list[Mapping[str, object]]:
    return [
        cast("Mapping[str, object]", notice["about"])
        for notice in partner.every(f"{CYCLE}/notices")
        if notice["event"] == event
    ]


def run_nightly(cast_: Cast, tell: Teller) -> None:
    """Put nightly rounds on the calendar, in two names, and let the first night come."""
    first = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    cast_.ann.post(f"{CYCLE}/round-calendar", {"every": "day", "first_at": first, "dice_in_minutes": 0})
    cast_.bea.post(f"{CYCLE}/round-calendar/approve")
    tell.line("ann puts nightly backfill rounds on the calendar, bea approves it. The first night comes.")
    _until_published(cast_, FIRST_NIGHT, tell)
    cast_.ann.delete_plain(f"{CYCLE}/round-calendar")


def _until_published(cast_: Cast, name: str, tell: Teller) -> None:
    """Wait for a round of the calendar; throw dice for it if it draws numbers."""
    path = f"/v1/rounds/{name}"
    wait(lambda: _rounds(cast_), lambda rounds: name in rounds)
    state = wait(lambda: cast_.ann.get(path), lambda told: told["state"] != "frozen" or bool(told["draws"]))
    if state["draws"]:
        dice = throw_dice()
        cast_.ann.post(f"{path}/draw", {"dice": dice})
        tell.line(f"{name} draws numbers (some school's order is fresh), so dice are rolled: {dice}.")
    else:
        tell.line(f"{name} draws no number, so it needs no dice and goes on by itself.")
    wait(lambda: cast_.ann.get(path), lambda told: told["state"] == "published")
    tell.line(f"{name} is matched, verified, and published in both names.")


def _rounds(cast_: Cast) -> Answer:
    return {str(one["id"]): one["state"] for one in cast_.ann.every(f"{CYCLE}/rounds")}


def tell_of_a_move(cast_: Cast, tell: Teller) -> None:
    """Show how one child moved on waitlists by what others did, with the reasons."""
    partner = cast_.partners["city-portal"]
    moves = wait(lambda: {"moves": cast("Json", _noticed(partner, "waitlist.moved"))}, lambda told: bool(told["moves"]))
    references = [str(about["reference"]) for about in cast("list[Mapping[str, object]]", moves["moves"])]
    for reference in list(dict.fromkeys(reversed(references)))[:MAX_LOOKED_AT]:
        path = f"{CYCLE}/applicants/{reference}/waitlists/history"
        history = cast("list[Mapping[str, object]]", partner.get(path)["data"])
        told = [_in_words(move) for move in history if _by_others(move)]
        if told:
            tell.line(f"city-portal reads {path}")
            tell.quote(told[:2])
            return


def _by_others(move: Mapping[str, object]) -> bool:
    reasons = cast("list[Mapping[str, object]]", move["reasons"])
    return any(not str(reason["code"]).startswith("own-") for reason in reasons)


def _in_words(move: Mapping[str, object]) -> str:
    reasons = " ".join(str(reason["detail"]) for reason in cast("list[Mapping[str, object]]", move["reasons"]))
    return f"{move['program']}, {move['group']}: {move['detail']} {reasons}"


def come_late(cast_: Cast, city: Invented, tell: Teller) -> list[str]:
    """Have families apply who are new in the city; return their references."""
    partner = cast_.partners["city-portal"]
    models = [family for family in city.families if len(family.ranking) > 1 and family.number % 40 == 1][:LATECOMERS]
    left = {str(one["id"]) for one in partner.every(f"{CYCLE}/programs") if one["status"] != "in"}
    came = []
    for place, family in enumerate(models):
        reference = f"latecomer-{place}"
        _apply_late(partner, family, reference, left)
        came.append(reference)
    tell.line(f"{len(came)} families who are new in the city apply; they stand behind those who have waited.")
    return came


def _apply_late(partner: Person, family: Family, reference: str, left: set[str]) -> None:
    body = {name: part for name, part in family.body.items() if name not in ("sis_id", "household", "together")}
    partner.put(f"{CYCLE}/applicants/{reference}", body)
    programs = [program for program in family.ranking if program not in left]
    partner.put(f"{CYCLE}/applicants/{reference}/ranking", {"programs": programs})


def place_outside(cast_: Cast, reference: str, tell: Teller) -> None:
    """Place one child outside the lottery: with a reason, a document and two people, counted in public."""
    partner = cast_.partners["city-portal"]
    applicant = partner.get(f"{CYCLE}/applicants/{reference}")
    program = cast("list[str]", partner.get(f"{CYCLE}/applicants/{reference}/ranking")["programs"])[0]
    asked = cast_.ann.post(
        "/v1/placements",
        {
            "cycle": "2027",
            "ticket": applicant["ticket"],
            "program": program,
            "reason_code": "safety",
            "document": "Case file 2027-114",
            "beyond_seats": True,
        },
    )
    try:
        cast_.ann.post(f"/v1/placements/{asked['id']}/approve", {"reason": "I asked for it"})
    except Refused as refused:
        tell.line("ann asks for a placement outside the lottery, and tries to approve it herself:")
        tell.quote([f"{refused.status} {refused.problem['title']}"])
    cast_.bea.post(f"/v1/placements/{asked['id']}/approve", {"reason": "The case file was seen"})
    counts = cast("list[Mapping[str, object]]", cast_.otto.get(f"{CYCLE}/placements/counts")["data"])
    shown = ", ".join(f"{one['school']} {one['placements']}" for one in counts)
    tell.line(f"bea approves it. Placements outside the lottery, as anybody can read them: {shown}.")


def run_by_hand(cast_: Cast, tell: Teller) -> None:
    """Run one more backfill round by hand, with dice, as there are new children to draw a number for."""
    path = f"/v1/rounds/{SECOND}"
    cast_.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    cast_.ann.post(f"{path}/freeze", {"dice_in_minutes": 0})
    dice = throw_dice()
    cast_.ann.post(f"{path}/draw", {"dice": dice})
    cast_.ann.post(f"{path}/match")
    review = wait(lambda: cast_.bea.get(f"{path}/review"), lambda told: not told["waiting"])
    if cast("Mapping[str, object]", review["round"])["state"] != "matched":
        raise NotRight(f"{SECOND} was not matched: {review['complaint']}")
    cast_.bea.post(f"{path}/publish")
    tell.line(f"{SECOND} is run by hand: dice {dice}; the new children have numbers now, and the ledger is up to date.")


def verify(cast_: Cast, folder: Path, tell: Teller) -> None:
    """Download the last round as an auditor, and have `lottery verify` check it with the seeds of both draws."""
    paths = []
    for name in ("market", "outcome"):
        path = folder / f"{SECOND}-{name}.json"
        path.write_bytes(cast_.otto.download(f"/v1/rounds/{SECOND}/{name}"))
        paths.append(str(path))
    seeds = [f"{name}={cast_.otto.get(f'/v1/rounds/{name}')['seed']}" for name in ("2027-main", FIRST_NIGHT)]
    options = [part for seed in seeds for part in ("--seed-of", seed)]
    command = [sys.executable, "-m", "lottery", "verify", *paths, *options]
    tell.line(f"$ .venv/bin/lottery verify {' '.join(paths)} --seed-of 2027-main=… --seed-of {FIRST_NIGHT}=…")
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    tell.quote(checked.stdout.splitlines())
    if checked.returncode != 0:
        raise NotRight(checked.stderr or "the outcome does not verify")


def ledger(cast_: Cast, tell: Teller) -> None:
    """Show the public ledger: what became of the seats that opened, by the rules that schools set themselves."""
    counts = cast("list[Mapping[str, object]]", cast_.otto.get(f"{CYCLE}/vacancies/counts")["data"])
    counts = sorted(counts, key=lambda one: -cast("int", one["opened"]))
    tell.table(
        "The ledger of vacancies, by school (those with most)",
        ("school", "opened", "filled", "left empty", "by what of its rule"),
        [
            (one["school"], one["opened"], one["filled"], one["left_empty"], _whys(one["by_why"]))
            for one in counts[:WORTH_TELLING]
        ],
    )
    whole: Counter[str] = Counter()
    for one in counts:
        whole.update({key: cast("int", one[key]) for key in ("opened", "filled", "left_empty", "open", "removed")})
    tell.line(
        f"In the city {whole['opened']:,} seats opened: {whole['filled']:,} were filled, "
        f"{whole['left_empty']:,} stay empty by a rule or for want of a child, {whole['open']:,} wait for a round."
    )
    for status in ("filled", "left-empty"):
        page = cast("list[Mapping[str, object]]", cast_.otto.get(f"{CYCLE}/vacancies?status={status}&limit=2")["data"])
        tell.quote([f"{one['program']} number {one['number']}: {one['detail']}" for one in page])


def _whys(by_why: object) -> str:
    return ", ".join(f"{why} {number}" for why, number in cast("Mapping[str, int]", by_why).items())


def run(cast_: Cast, city: Invented, calendar: dict[str, Json], folder: Path, tell: Teller) -> Sequence[str]:
    """Act out the summer, from the answers to the ledger; return who came late."""
    open_backfill_window(cast_, calendar, tell)
    answer(cast_, tell)
    run_nightly(cast_, tell)
    tell_of_a_move(cast_, tell)
    came = come_late(cast_, city, tell)
    place_outside(cast_, came[0], tell)
    run_by_hand(cast_, tell)
    verify(cast_, folder, tell)
    ledger(cast_, tell)
    return came
