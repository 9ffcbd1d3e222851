"""The main round: rehearse, freeze, draw, match and publish; then check the files, and explain a result."""

import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from enrollment.demo.api_client import Answer
from enrollment.demo.applications import applicant_path, partner_of
from enrollment.demo.city import DemoCity
from enrollment.demo.families import Family
from enrollment.demo.setup import CYCLE, People
from enrollment.demo.terminal import Terminal
from lottery.transparency_log.merkle import leaf_hash, root

MAIN = "/v1/rounds/2027-main"
DICE = 25
ENTRIES_AT_ONCE = 1_000
WORTH_EXPLAINING = 3
"""The choice of a child whose explanation has several programs."""

FILES = ("market", "outcome", "draw")


class CheckFailed(RuntimeError):
    """A check of the demo failed."""


def rehearse(people: People, terminal: Terminal) -> None:
    """Check readiness, make the round, and rehearse the round."""
    ready = people.ann.get(f"{CYCLE}/readiness")
    findings = cast("list[dict[str, object]]", ready["findings"])
    counts: dict[str, int] = {}
    for finding in findings:
        counts[str(finding["code"])] = counts.get(str(finding["code"]), 0) + cast("int", finding["number"])
    blocking = [str(finding["detail"]) for finding in findings if finding["blocks"]]
    found = "; ".join(f"{code} {number}" for code, number in sorted(counts.items()))
    terminal.line(f"The readiness check found: {found or 'nothing'}.")
    terminal.line(f"These findings block the freeze now: {'; '.join(blocking) or 'none'}.")
    people.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    started = people.ann.post(f"{MAIN}/rehearse")
    path = f"{MAIN}/rehearsals/{started['id']}"
    rehearsed = wait(lambda: people.ann.get(path), lambda rehearsal: rehearsal["state"] != "waiting")
    if rehearsed["totals"] is None:
        terminal.line(f"The rehearsal failed: {rehearsed['reason']}")
        return
    totals = cast("dict[str, int]", rehearsed["totals"])
    terminal.line(
        f"A rehearsal with a random seed places {totals['placed']:,} of {totals['applicants']:,} children. "
        "The service keeps only totals, so a rehearsal can never become the result."
    )


def wait(read: Callable[[], Answer], done: Callable[[Answer], bool]) -> Answer:
    """Read again and again until the answer shows that something is done."""
    while not done(answer := read()):
        time.sleep(0.2)
    return answer


def run(people: People, terminal: Terminal) -> None:
    """Freeze, draw and match the round. Then another administrator reviews and publishes the round."""
    frozen = people.ann.post(f"{MAIN}/freeze", {"dice_in_minutes": 0})
    terminal.line(
        f"ann freezes the round at log size {frozen['log_size']:,}. The market is fixed: {frozen['market_digest']}."
    )
    dice = roll_dice()
    drawn = people.ann.post(f"{MAIN}/draw", {"dice": dice})
    terminal.line(f"Dice are rolled in public (here by the computer): {dice}. The seed is {drawn['seed']}.")
    people.ann.post(f"{MAIN}/match")
    review = wait(lambda: people.bea.get(f"{MAIN}/review"), lambda review: not review["waiting"])
    state = cast("dict[str, object]", review["round"])["state"]
    gates = cast("list[dict[str, object]]", review["gates"])
    if state != "matched":
        raise CheckFailed(f"the round was not matched: {review['complaint']}")
    terminal.line(
        f"The worker matches the round and verifies the outcome. All {len(gates)} checks before publishing pass."
    )
    people.bea.post(f"{MAIN}/publish")
    terminal.line("bea publishes the round. ann started the match, so a second administrator had to publish.")


def roll_dice() -> str:
    """Roll dice by computer. In a real round, people roll dice in public."""
    return "".join(secrets.choice("0123456789") for _ in range(DICE))


def show_report(people: People, terminal: Terminal) -> None:
    """Show the public report, and the cutoffs of the programs with the longest waitlists."""
    anyone = people.otto
    report = anyone.get(f"{MAIN}/report")
    applicants, placed = cast("int", report["applicants"]), cast("int | None", report["placed"])
    choices = cast("list[dict[str, int | None]]", report["by_choice"])
    terminal.table(
        f"{applicants:,} applicants, with a seat: {_shown(placed)}, by choice (small numbers are hidden)",
        ("choice", "applicants", "share"),
        [(f"{one['choice']}.", _shown(one["applicants"]), _share(one["applicants"], applicants)) for one in choices],
    )
    cutoffs = cast("list[dict[str, object]]", anyone.get(f"{MAIN}/cutoffs")["cutoffs"])
    known = [one for one in cutoffs if one["last"] is not None and isinstance(one["waiting"], int)]
    known.sort(key=lambda one: -cast("int", one["waiting"]))
    terminal.table(
        "The longest waitlists, with the last child admitted (small numbers are hidden, lottery numbers are shortened)",
        ("program", "group", "seats", "waiting", "last class", "number or position"),
        [
            (one["program"], one["group"], one["seats"], one["waiting"], last["priority_class"], _place(last))
            for one in known[:8]
            for last in [cast("dict[str, object]", one["last"])]
        ],
    )


def _place(last: Mapping[str, object]) -> str:
    return f"position {last['position']} on the school's list" if last["number"] is None else f"{last['number']}…"


def _shown(number: int | None) -> str:
    return "hidden" if number is None else f"{number:,}"


def _share(number: int | None, whole: int) -> str:
    return "" if number is None else f"{100 * number / whole:.1f} %"


def verify(people: People, folder: Path, terminal: Terminal) -> Sequence[Path]:
    """Download the round's files as an auditor, and check them offline with `lottery verify`."""
    paths = []
    for name in FILES:
        path = folder / f"{name}.json"
        path.write_bytes(people.otto.download(f"{MAIN}/{name}"))
        paths.append(path)
    market, outcome, _ = paths
    command = [sys.executable, "-m", "lottery", "verify", str(market), str(outcome)]
    terminal.line(f"$ .venv/bin/lottery verify {market} {outcome}")
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    terminal.quote(checked.stdout.splitlines())
    if checked.returncode != 0:
        raise CheckFailed(checked.stderr or "the outcome does not verify")
    return paths


def compare_with_log(people: People, paths: Sequence[Path], terminal: Terminal) -> None:
    """Rebuild the log's root from its entries, and compare the downloaded files with their hashes in the log."""
    frozen_at = cast("int", people.otto.get(MAIN)["log_size"])
    after_publishing = frozen_at + len(("freeze", "draw", "result", "publish"))
    # The sequencer gives entries their places once a second.
    tree = wait(lambda: people.otto.get("/v1/log/tree"), lambda head: cast("int", head["size"]) >= after_publishing)
    size = cast("int", tree["size"])
    bodies: list[str] = []
    while len(bodies) < size:
        end = min(len(bodies) + ENTRIES_AT_ONCE, size)
        page = cast(
            "list[dict[str, str]]", people.otto.get(f"/v1/log/entries?start={len(bodies)}&end={end}")["entries"]
        )
        bodies += [entry["entry"] for entry in page]
    if root([leaf_hash(body.encode()) for body in bodies]).hex() != tree["root"]:
        raise CheckFailed("the log's root does not match its entries")
    result = next(entry for entry in map(json.loads, bodies) if entry["type"] == "round.result")
    for path in paths:
        if f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" != result["manifest"][path.name]:
            raise CheckFailed(f"{path.name} does not match its hash in the log")
    kinds: dict[str, int] = {}
    for body in bodies:
        kind = json.loads(body)["type"]
        kinds[kind] = kinds.get(kind, 0) + 1
    terminal.table(f"The log has {size:,} entries", ("entry type", "number"), sorted(kinds.items()))
    terminal.line(f"The root of the log's Merkle tree is {tree['root']}.")
    terminal.line("The auditor rebuilt this root from the entries. The three files match their hashes in the log.")


def explain(people: People, city: DemoCity, terminal: Terminal) -> str:
    """Show the explanation of one child's result in three languages. Return the path of the application."""
    family, path = family_to_explain(people, city)
    name, partner = partner_of(people, family)
    explanation = partner.get(f"{path}/explanation", "en")
    terminal.line(f"{name} reads {path}/explanation:")
    terminal.quote(cast("list[str]", explanation["lines"]))
    for language in ("es", "ar"):
        lines = cast("list[str]", partner.get(f"{path}/explanation", language)["lines"])
        terminal.line(f"With Accept-Language: {language}, the explanation begins:")
        terminal.quote(lines[:3])
    return path


def family_to_explain(people: People, city: DemoCity) -> tuple[Family, str]:
    """Return a family whose child got a third choice, or else the first family with a long ranking."""
    found: tuple[Family, str] | None = None
    for family in city.families:
        name, partner = partner_of(people, family)
        if name != "city-portal" or len(family.ranking) <= WORTH_EXPLAINING or family.number % 150 == 7:  # noqa: PLR2004
            continue
        path = applicant_path(family)
        placement = cast("Mapping[str, object] | None", partner.get(f"{path}/result")["placement"])
        found = found or (family, path)
        if placement is not None and placement["choice"] == WORTH_EXPLAINING:
            return family, path
    if found is None:
        raise CheckFailed("no family ranked enough programs to explain")
    return found


def show_school_view(people: People, city: DemoCity, terminal: Terminal) -> None:
    """Show how a school sees its own program."""
    school = next(one for one in city.schools if one.id in people.offices and one.takes_part and not one.screened)
    program = str(school.programs[0]["id"])
    office = people.offices[school.id]
    applicants = office.get(f"{CYCLE}/programs/{program}/applicants")
    waiting = cast("list[object]", office.get(f"{CYCLE}/programs/{program}/waitlist")["waiting"])
    by_class = cast("dict[str, int]", applicants["by_class"])
    seats = ", ".join(f"{number} {name}" for name, number in by_class.items())
    rules = cast("list[str]", office.get(f"{CYCLE}/programs/{program}/rules")["sentences"])
    terminal.line(
        f"The office of {program} sees seats by priority class ({seats}), and {len(waiting)} waiting. The rules are:"
    )
    terminal.quote(rules)
