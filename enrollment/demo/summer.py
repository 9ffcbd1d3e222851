"""After the round: answers, backfill rounds, new families, an administrative placement, and the vacancy ledger."""

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
from enrollment.demo.city import DemoCity
from enrollment.demo.families import Family
from enrollment.demo.round import CheckFailed, roll_dice, wait
from enrollment.demo.setup import CYCLE, People
from enrollment.demo.terminal import Terminal
from lottery.generate.dice import Dice, key_of
from lottery.market.canonical import Json

DECLINING, ANSWERING = 10, 60
"""Of 100 families, the first 10 decline their offer, and the next 50 accept their offer."""

MAX_ANSWERS = 1_200
"""The most answers of the demo. In a large city, the other families answer later."""

NEW_FAMILIES = 3
FIRST_BACKFILL, SECOND_BACKFILL = "2027-backfill-1", "2027-backfill-2"
MAX_SCHOOLS = 6
MAX_HISTORIES = 60


@dataclass(frozen=True, slots=True)
class SeatOffer:
    """An offer that a partner forwards to a family."""

    partner: Person
    reference: str
    offer: str


def open_backfill_window(people: People, calendar: dict[str, Json], terminal: Terminal) -> None:
    """Open the backfill window."""
    now = soon()
    set_calendar(people.ann, calendar, reason="The demo does not wait for days", late_until=now, backfill_opens=now)
    wait_for_phase(people.ann, "backfill")
    terminal.line("The backfill window is open. Families can change their rankings, and new families can apply.")


def answer(people: People, terminal: Terminal) -> None:
    """Let families accept and decline offers."""
    _wait_for_notices(people)
    offers = [
        SeatOffer(partner, str(about["reference"]), str(about["offer"]))
        for partner in people.partners.values()
        for about in _notices(partner, "offer.made")
    ]
    offers = sorted(offers, key=lambda offer: offer.reference)
    rolls = {offer.offer: Dice(key_of(3, "answer", offer.reference)).below(100) for offer in offers}
    answered = [offer for offer in offers if rolls[offer.offer] < ANSWERING][:MAX_ANSWERS]

    def send_answer(offer: SeatOffer) -> None:
        act = "decline" if rolls[offer.offer] < DECLINING else "accept"
        offer.partner.post(f"/v1/offers/{offer.offer}/{act}")

    with terminal.bar(
        f"Families answer {len(offers):,} offers; some families do not answer yet", len(answered)
    ) as step:
        at_once(answered, send_answer, step)
    declined = sum(rolls[offer.offer] < DECLINING for offer in answered)
    terminal.line(
        f"{len(answered) - declined:,} families accept, and {declined:,} decline. Children with an accepted seat "
        "stay on the waitlists for higher choices."
    )


def _wait_for_notices(people: People) -> None:
    """Wait until partners can read the notices of the published round. All of them appear together."""
    partners = people.partners.values()
    wait(
        lambda: {"notified": any(_notices(partner, "results.published") for partner in partners)},
        lambda answer: answer["notified"] is True,
    )


def _notices(partner: Person, event: str) -> list[Mapping[str, object]]:
    return [
        cast("Mapping[str, object]", notice["about"])
        for notice in partner.get_all(f"{CYCLE}/notices")
        if notice["event"] == event
    ]


def run_nightly(people: People, terminal: Terminal) -> None:
    """Schedule nightly rounds with two administrators, and wait for the first round."""
    first = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    people.ann.post(f"{CYCLE}/round-calendar", {"every": "day", "first_at": first, "dice_in_minutes": 0})
    people.bea.post(f"{CYCLE}/round-calendar/approve")
    terminal.line("ann schedules nightly backfill rounds, and bea approves the schedule. The first round begins.")
    _until_published(people, FIRST_BACKFILL, terminal)
    people.ann.delete_unversioned(f"{CYCLE}/round-calendar")


def _until_published(people: People, name: str, terminal: Terminal) -> None:
    """Wait for a scheduled round to be published. Roll dice for the round if it draws lottery numbers."""
    path = f"/v1/rounds/{name}"
    wait(lambda: _rounds(people), lambda rounds: name in rounds)
    state = wait(lambda: people.ann.get(path), lambda round_: round_["state"] != "frozen" or bool(round_["draws"]))
    if state["draws"]:
        dice = roll_dice()
        people.ann.post(f"{path}/draw", {"dice": dice})
        terminal.line(f"{name} draws new lottery numbers, so dice are rolled: {dice}.")
    else:
        terminal.line(f"{name} draws no lottery numbers, so the service goes on without dice.")
    wait(lambda: people.ann.get(path), lambda round_: round_["state"] == "published")
    terminal.line(f"{name} is matched, verified and published, as both administrators approved.")


def _rounds(people: People) -> Answer:
    return {str(one["id"]): one["state"] for one in people.ann.get_all(f"{CYCLE}/rounds")}


def show_waitlist_move(people: People, terminal: Terminal) -> None:
    """Show how one child moved on waitlists because of other children, with the reasons."""
    partner = people.partners["city-portal"]
    moves = wait(
        lambda: {"moves": cast("Json", _notices(partner, "waitlist.moved"))}, lambda answer: bool(answer["moves"])
    )
    references = [str(about["reference"]) for about in cast("list[Mapping[str, object]]", moves["moves"])]
    for reference in list(dict.fromkeys(reversed(references)))[:MAX_HISTORIES]:
        path = f"{CYCLE}/applicants/{reference}/waitlists/history"
        history = cast("list[Mapping[str, object]]", partner.get(path)["data"])
        moves_by_others = [_in_words(move) for move in history if _by_others(move)]
        if moves_by_others:
            terminal.line(f"city-portal reads how a child moved on waitlists: {path}")
            terminal.quote(moves_by_others[:2])
            return


def _by_others(move: Mapping[str, object]) -> bool:
    reasons = cast("list[Mapping[str, object]]", move["reasons"])
    return any(not str(reason["code"]).startswith("own-") for reason in reasons)


def _in_words(move: Mapping[str, object]) -> str:
    reasons = " ".join(str(reason["detail"]) for reason in cast("list[Mapping[str, object]]", move["reasons"]))
    return f"{move['detail']} {reasons}"


def apply_late(people: People, city: DemoCity, terminal: Terminal) -> list[str]:
    """Let families apply who are new in the city. Return their references."""
    partner = people.partners["city-portal"]
    examples = [family for family in city.families if len(family.ranking) > 1 and family.number % 40 == 1][
        :NEW_FAMILIES
    ]
    left = {str(one["id"]) for one in partner.get_all(f"{CYCLE}/programs") if one["status"] != "in"}
    references = []
    for place, family in enumerate(examples):
        reference = f"latecomer-{place}"
        _apply_late(partner, family, reference, left)
        references.append(reference)
    terminal.line(
        f"{len(references)} new families apply. They wait behind families with the same priority who applied earlier."
    )
    return references


def _apply_late(partner: Person, family: Family, reference: str, left: set[str]) -> None:
    body = {name: part for name, part in family.body.items() if name not in ("sis_id", "household", "together")}
    partner.put(f"{CYCLE}/applicants/{reference}", body)
    programs = [program for program in family.ranking if program not in left]
    partner.put(f"{CYCLE}/applicants/{reference}/ranking", {"programs": programs})


def place_outside(people: People, reference: str, terminal: Terminal) -> None:
    """Place one child outside the lottery, with a reason, a document and two administrators."""
    partner = people.partners["city-portal"]
    applicant = partner.get(f"{CYCLE}/applicants/{reference}")
    program = cast("list[str]", partner.get(f"{CYCLE}/applicants/{reference}/ranking")["programs"])[0]
    request = people.ann.post(
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
        people.ann.post(f"/v1/placements/{request['id']}/approve", {"reason": "My own request"})
    except Refused as refused:
        terminal.line("ann requests an administrative placement, and tries to approve it herself. The service refuses:")
        terminal.quote([f"{refused.status} {refused.problem['title']}"])
    people.bea.post(f"/v1/placements/{request['id']}/approve", {"reason": "I checked the case file"})
    counts = cast("list[Mapping[str, object]]", people.otto.get(f"{CYCLE}/placements/counts")["data"])
    shown = ", ".join(f"{one['school']} {one['placements']}" for one in counts)
    terminal.line(f"bea approves the placement. The public count of administrative placements by school is: {shown}.")


def run_by_hand(people: People, terminal: Terminal) -> None:
    """Run one more backfill round by hand. The new children need lottery numbers, so dice are rolled."""
    path = f"/v1/rounds/{SECOND_BACKFILL}"
    people.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    people.ann.post(f"{path}/freeze", {"dice_in_minutes": 0})
    dice = roll_dice()
    people.ann.post(f"{path}/draw", {"dice": dice})
    people.ann.post(f"{path}/match")
    review = wait(lambda: people.bea.get(f"{path}/review"), lambda review: not review["waiting"])
    if cast("Mapping[str, object]", review["round"])["state"] != "matched":
        raise CheckFailed(f"{SECOND_BACKFILL} was not matched: {review['complaint']}")
    people.bea.post(f"{path}/publish")
    terminal.line(
        f"ann and bea run {SECOND_BACKFILL} by hand, with dice {dice}. The new children now have lottery numbers."
    )


def verify(people: People, folder: Path, terminal: Terminal) -> None:
    """Download the last round as an auditor, and check it with `lottery verify` and the seeds of earlier draws."""
    paths = []
    for name in ("market", "outcome"):
        path = folder / f"{SECOND_BACKFILL}-{name}.json"
        path.write_bytes(people.otto.download(f"/v1/rounds/{SECOND_BACKFILL}/{name}"))
        paths.append(str(path))
    seeds = [f"{name}={people.otto.get(f'/v1/rounds/{name}')['seed']}" for name in ("2027-main", FIRST_BACKFILL)]
    options = [part for seed in seeds for part in ("--seed-of", seed)]
    command = [sys.executable, "-m", "lottery", "verify", *paths, *options]
    terminal.line(f"$ .venv/bin/lottery verify {' '.join(paths)} --seed-of 2027-main=… --seed-of {FIRST_BACKFILL}=…")
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    terminal.quote(checked.stdout.splitlines())
    if checked.returncode != 0:
        raise CheckFailed(checked.stderr or "the outcome does not verify")


def show_ledger(people: People, terminal: Terminal) -> None:
    """Show the vacancy ledger: which open seats were filled or left empty, and why."""
    counts = cast("list[Mapping[str, object]]", people.otto.get(f"{CYCLE}/vacancies/counts")["data"])
    counts = sorted(counts, key=lambda one: -cast("int", one["opened"]))
    terminal.table(
        "The vacancy ledger, as the auditor reads it: the schools with the most opened seats",
        ("school", "opened", "filled", "left empty", "reasons"),
        [
            (one["school"], one["opened"], one["filled"], one["left_empty"], _reasons(one["by_why"]))
            for one in counts[:MAX_SCHOOLS]
        ],
    )
    whole: Counter[str] = Counter()
    for one in counts:
        whole.update({key: cast("int", one[key]) for key in ("opened", "filled", "left_empty", "open", "removed")})
    terminal.line(
        f"In the whole city, {whole['opened']:,} seats opened. {whole['filled']:,} were filled, "
        f"{whole['left_empty']:,} stay empty, and {whole['open']:,} wait for the next round."
    )
    for status in ("filled", "left-empty"):
        page = cast("list[Mapping[str, object]]", people.otto.get(f"{CYCLE}/vacancies?status={status}&limit=2")["data"])
        terminal.quote([f"{one['program']}, vacancy {one['number']}: {one['detail']}" for one in page])


def _reasons(by_why: object) -> str:
    return ", ".join(f"{why} {number}" for why, number in cast("Mapping[str, int]", by_why).items())


def run(people: People, city: DemoCity, calendar: dict[str, Json], folder: Path, terminal: Terminal) -> Sequence[str]:
    """Act out the summer, from the answers to the ledger. Return the references of the new families."""
    open_backfill_window(people, calendar, terminal)
    answer(people, terminal)
    run_nightly(people, terminal)
    show_waitlist_move(people, terminal)
    references = apply_late(people, city, terminal)
    place_outside(people, references[0], terminal)
    run_by_hand(people, terminal)
    verify(people, folder, terminal)
    show_ledger(people, terminal)
    return references
