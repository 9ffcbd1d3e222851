"""The round: rehearsed, frozen, drawn, matched, looked at, published; then checked with files and explained."""

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
from enrollment.demo.city import Family, Invented
from enrollment.demo.setup import CYCLE, Cast
from enrollment.demo.terminal import Teller
from lottery.transparency_log.merkle import leaf_hash, root

MAIN = "/v1/rounds/2027-main"
DICE = 25
ENTRIES_AT_ONCE = 1_000
WORTH_EXPLAINING = 3
"""A choice of which there is much to tell."""

FILES = ("market", "outcome", "draw")


class NotRight(RuntimeError):
    """A check of the demo found something wrong."""


def rehearse(cast_: Cast, tell: Teller) -> None:
    """Look at what is to be seen to, make the round, and rehearse it."""
    ready = cast_.ann.get(f"{CYCLE}/readiness")
    findings = cast("list[dict[str, object]]", ready["findings"])
    counts: dict[str, int] = {}
    for finding in findings:
        counts[str(finding["code"])] = counts.get(str(finding["code"]), 0) + cast("int", finding["number"])
    blocking = [str(finding["detail"]) for finding in findings if finding["blocks"]]
    tell.line(f"Readiness: {'; '.join(f'{code} {number}' for code, number in sorted(counts.items())) or 'nothing'}.")
    tell.line(f"In the way of the freeze now: {'; '.join(blocking) or 'nothing'}.")
    cast_.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    asked = cast_.ann.post(f"{MAIN}/rehearse")
    path = f"{MAIN}/rehearsals/{asked['id']}"
    rehearsed = wait(lambda: cast_.ann.get(path), lambda told: told["state"] != "waiting")
    if rehearsed["totals"] is None:
        tell.line(f"The rehearsal could not be run: {rehearsed['reason']}")
        return
    totals = cast("dict[str, int]", rehearsed["totals"])
    tell.line(
        f"Rehearsal with a random seed: {totals['placed']:,} of {totals['applicants']:,} would have a seat. "
        "Only totals are kept, and it can never become the result."
    )


def wait(read: Callable[[], Answer], done: Callable[[Answer], bool]) -> Answer:
    """Read again until something is done."""
    while not done(told := read()):
        time.sleep(0.2)
    return told


def run(cast_: Cast, tell: Teller) -> None:
    """Freeze, draw, match; another administrator looks at it and publishes."""
    frozen = cast_.ann.post(f"{MAIN}/freeze", {"dice_in_minutes": 0})
    tell.line(f"Frozen at log size {frozen['log_size']:,}: market {frozen['market_digest']}.")
    dice = throw_dice()
    drawn = cast_.ann.post(f"{MAIN}/draw", {"dice": dice})
    tell.line(f"Dice rolled in public (here by the machine): {dice}; seed {drawn['seed']}.")
    cast_.ann.post(f"{MAIN}/match")
    review = wait(lambda: cast_.bea.get(f"{MAIN}/review"), lambda told: not told["waiting"])
    state = cast("dict[str, object]", review["round"])["state"]
    gates = cast("list[dict[str, object]]", review["gates"])
    if state != "matched":
        raise NotRight(f"the round was not matched: {review['complaint']}")
    tell.line(f"Matched and verified by the worker; {len(gates)} gates before publishing, all open.")
    cast_.bea.post(f"{MAIN}/publish")
    tell.line("Published by the second administrator, bea; ann, who had it matched, could not.")


def throw_dice() -> str:
    """Throw dice, here by the machine; in earnest they are rolled in public."""
    return "".join(secrets.choice("0123456789") for _ in range(DICE))


def report(cast_: Cast, tell: Teller) -> None:
    """Show the public report, and the cutoffs of what is most asked for."""
    anyone = cast_.otto
    told = anyone.get(f"{MAIN}/report")
    applicants, placed = cast("int", told["applicants"]), cast("int", told["placed"])
    choices = cast("list[dict[str, int | None]]", told["by_choice"])
    tell.table(
        f"Placed, by choice: {placed:,} of {applicants:,} applicants have a seat",
        ("choice", "applicants", "of all"),
        [(f"{one['choice']}.", _shown(one["applicants"]), _share(one["applicants"], applicants)) for one in choices],
    )
    cutoffs = cast("list[dict[str, object]]", anyone.get(f"{MAIN}/cutoffs")["cutoffs"])
    known = [one for one in cutoffs if one["last"] is not None and isinstance(one["waiting"], int)]
    known.sort(key=lambda one: -cast("int", one["waiting"]))
    tell.table(
        "Longest waitlists, with the last one admitted (small cells are hidden, numbers cut short)",
        ("program", "group", "seats", "waiting", "last class", "number or place"),
        [
            (one["program"], one["group"], one["seats"], one["waiting"], last["priority_class"], _place(last))
            for one in known[:8]
            for last in [cast("dict[str, object]", one["last"])]
        ],
    )


def _place(last: Mapping[str, object]) -> str:
    return f"place {last['position']} of its list" if last["number"] is None else f"{last['number']}…"


def _shown(number: int | None) -> str:
    return "under 10, or hidden for its sake" if number is None else f"{number:,}"


def _share(number: int | None, whole: int) -> str:
    return "" if number is None else f"{100 * number / whole:.1f} %"


def verify(cast_: Cast, folder: Path, tell: Teller) -> Sequence[Path]:
    """Download the round as an auditor, and have `lottery verify` check it offline."""
    paths = []
    for name in FILES:
        path = folder / f"{name}.json"
        path.write_bytes(cast_.otto.download(f"{MAIN}/{name}"))
        paths.append(path)
    market, outcome, _ = paths
    command = [sys.executable, "-m", "lottery", "verify", str(market), str(outcome)]
    tell.line(f"$ .venv/bin/lottery verify {market} {outcome}")
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    tell.quote(checked.stdout.splitlines())
    if checked.returncode != 0:
        raise NotRight(checked.stderr or "the outcome does not verify")
    return paths


def hold_against_log(cast_: Cast, paths: Sequence[Path], tell: Teller) -> None:
    """Make the log's root anew from its entries, and hold the downloaded files against what the log says of them."""
    frozen_at = cast("int", cast_.otto.get(MAIN)["log_size"])
    after_publishing = frozen_at + len(("freeze", "draw", "result", "publish"))
    # The sequencer gives entries their places once a second.
    tree = wait(lambda: cast_.otto.get("/v1/log/tree"), lambda told: cast("int", told["size"]) >= after_publishing)
    size = cast("int", tree["size"])
    bodies: list[str] = []
    while len(bodies) < size:
        end = min(len(bodies) + ENTRIES_AT_ONCE, size)
        page = cast("list[dict[str, str]]", cast_.otto.get(f"/v1/log/entries?start={len(bodies)}&end={end}")["entries"])
        bodies += [entry["entry"] for entry in page]
    if root([leaf_hash(body.encode()) for body in bodies]).hex() != tree["root"]:
        raise NotRight("the log's root is not that of its entries")
    result = next(told for told in map(json.loads, bodies) if told["type"] == "round.result")
    for path in paths:
        if hashlib.sha256(path.read_bytes()).hexdigest() != result["manifest"][path.name]:
            raise NotRight(f"{path.name} is not the file that the log names")
    kinds: dict[str, int] = {}
    for body in bodies:
        kind = json.loads(body)["type"]
        kinds[kind] = kinds.get(kind, 0) + 1
    tell.table(f"The log: {size:,} entries", ("entry", "number"), sorted(kinds.items()))
    tell.line(f"Root of its Merkle tree: {tree['root']}")
    tell.line("Its root was made anew from its entries, and it names the three files by their hashes.")


def explain(cast_: Cast, city: Invented, tell: Teller) -> str:
    """Explain one child's result, in its family's language; return where."""
    family, path = worth_explaining(cast_, city)
    name, partner = partner_of(cast_, family)
    told = partner.get(f"{path}/explanation", "en")
    tell.line(f"{name} asks for {path}/explanation")
    tell.quote(cast("list[str]", told["lines"]))
    for language in ("es", "ar"):
        lines = cast("list[str]", partner.get(f"{path}/explanation", language)["lines"])
        tell.line(f"The same with Accept-Language: {language} begins:")
        tell.quote(lines[:3])
    return path


def worth_explaining(cast_: Cast, city: Invented) -> tuple[Family, str]:
    """Return a family of whose result there is most to tell: not its first choice; else any."""
    found: tuple[Family, str] | None = None
    for family in city.families:
        name, partner = partner_of(cast_, family)
        if name != "city-portal" or len(family.ranking) <= WORTH_EXPLAINING or family.number % 150 == 7:  # noqa: PLR2004
            continue
        path = applicant_path(family)
        placement = cast("Mapping[str, object] | None", partner.get(f"{path}/result")["placement"])
        found = found or (family, path)
        if placement is not None and placement["choice"] == WORTH_EXPLAINING:
            return family, path
    if found is None:
        raise NotRight("no family ranked enough programs to explain")
    return found


def school_list(cast_: Cast, city: Invented, tell: Teller) -> None:
    """Show what one school sees of its own program."""
    school = next(one for one in city.schools if one.id in cast_.offices and one.takes_part and not one.screened)
    program = str(school.programs[0]["id"])
    office = cast_.offices[school.id]
    seen = office.get(f"{CYCLE}/programs/{program}/applicants")
    waiting = cast("list[object]", office.get(f"{CYCLE}/programs/{program}/waitlist")["waiting"])
    by_class = cast("dict[str, int]", seen["by_class"])
    rules = cast("list[str]", office.get(f"{CYCLE}/programs/{program}/rules")["sentences"])
    tell.line(f"{program}, as its office sees it: seats by class {by_class}, and {len(waiting)} waiting. Its rules:")
    tell.quote(rules)
