"""A city's lottery from beginning to end, by the very commands that anybody can type: `scripts/demo`."""

import argparse
import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lottery.cli.main import main
from lottery.cli.match_commands import DONE, REFUSED
from lottery.market.files import load_market, load_outcome, write_whole
from lottery.market.outcome import Outcome, Placement

WORTH_EXPLAINING = 3
"""The choice of the child whose result is explained: there is something to tell of the two above it."""

CHILDREN, SCHOOLS = 22_443, 210
"""Of the size of Washington's common lottery."""

DICE = "4182 0973 5561 2840 9917 3306"
SUMMER_DICE = "7719 2054 8836 1127 4490 6328"
"""Digits as they might be rolled in public, each after the market it draws was fixed."""


class UnexpectedAnswer(RuntimeError):
    """A command did not answer as it must."""


def demo(arguments: Sequence[str] | None = None) -> None:
    """Make a city, draw, match, verify, tamper, explain, and go on into the summer."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--children", type=int, default=CHILDREN, help=f"default: {CHILDREN}")
    parser.add_argument("--schools", type=int, default=SCHOOLS, help=f"default: {SCHOOLS}")
    parser.add_argument("--folder", type=Path, default=Path("demo-city"), help="where the files go; default: demo-city")
    parser.add_argument("--lottery", action="store_true", help="the lottery alone, on files: this demo")
    parser.add_argument("--exit", action="store_true", help="end when done, as it does anyway: nothing stays up")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    city = ["--applicants", str(options.children), "--schools", str(options.schools), "--seed", "1"]
    market, outcome = folder / "city.json", folder / "outcome.json"

    headline(f"An invented city: {options.children:,} children, {options.schools} schools, each with rules of its own.")
    run("generate", *city, "-o", market)
    seed = seed_of(DICE)
    headline(f"The draw. Dice rolled in public gave {DICE}; the seed is the SHA-256 of these digits.")
    run("match", market, "--seed", seed, "-o", outcome, "--report")
    headline("Anybody can check the outcome, and needs to trust nobody for it.")
    run("verify", market, outcome)
    refuse_one_altered_placement(market, outcome, folder / "altered.json")
    headline("Why one child got what it got.")
    run("explain", market, outcome, "--applicant", worth_explaining(load_outcome(outcome)))
    summer(city, folder, seed)
    what_next(market, outcome, load_outcome(outcome))


def refuse_one_altered_placement(market: Path, outcome: Path, altered: Path) -> None:
    """Give one child another's seat, and see it refused."""
    right = load_outcome(outcome)
    favored, pushed_out = swap_of_two(right)
    ranking = next(child.ranking for child in load_market(market).applicants if child.id == favored)
    stolen = replace(pushed_out, applicant=favored, choice=ranking.index(pushed_out.program) + 1)
    others = (placement for placement in right.placements if placement != pushed_out)
    placements = sorted([*others, stolen], key=lambda placement: placement.applicant)
    unplaced = sorted({*right.unplaced, pushed_out.applicant} - {favored})
    with write_whole(altered) as stream:
        stream.write(replace(right, placements=tuple(placements), unplaced=tuple(unplaced)).to_bytes())
    headline(f"Somebody gives the seat of {pushed_out.applicant} at {pushed_out.program} to {favored}. It is caught.")
    run("verify", market, altered, expect=REFUSED)


def swap_of_two(outcome: Outcome) -> tuple[str, Placement]:
    """Find the last one of some waitlist, who has no seat, and somebody who sits where they wait."""
    seats = {(placement.program, placement.group): placement for placement in outcome.placements}
    unplaced = set(outcome.unplaced)
    for waitlist in outcome.waitlists:
        seat = seats.get((waitlist.program, waitlist.group))
        if seat and waitlist.applicants[-1] in unplaced:
            return waitlist.applicants[-1], seat
    raise UnexpectedAnswer("nobody waits for a seat that another has; make a city with more children")


def worth_explaining(outcome: Outcome) -> str:
    """Return a child of whose result there is most to tell; else the first one that has a seat."""
    some = (placement.applicant for placement in outcome.placements if placement.choice == WORTH_EXPLAINING)
    return next(some, outcome.placements[0].applicant)


def summer(city: Sequence[str], folder: Path, seed: str) -> None:
    """Run the backfill round after the main one."""
    market, outcome, before = folder / "summer.json", folder / "summer-outcome.json", folder / "outcome.json"
    headline(
        "Summer: some give up their seats, some leave, some are new. Each school backfills by its own rule, or not."
    )
    run("generate", *city, "--round", "backfill", "--after", before, "-o", market)
    main_round = f"2027-main={seed}"
    run("match", market, "--seed", seed_of(SUMMER_DICE), "--seed-of", main_round, "-o", outcome)
    run("verify", market, outcome, "--seed-of", main_round)
    seats = {placement.applicant: placement.program for placement in load_outcome(before).placements}
    applicants = json.loads(market.read_bytes())["applicants"]
    holders = {applicant["id"] for applicant in applicants if applicant.get("holds")}
    newcomers = {applicant["id"] for applicant in applicants if applicant["drawn_in"] != "2027-main"}
    moved = Counter(
        kind(placement, holders, newcomers, seats.get(placement.applicant))
        for placement in load_outcome(outcome).placements
    )
    for what, count in sorted(moved.items()):
        print(f"  {count:>7,}  {what}")


def kind(placement: Placement, holders: set[str], newcomers: set[str], before: str | None) -> str:
    """Say what the summer did for a child with a seat."""
    if placement.applicant in newcomers:
        return "newcomers got a seat"
    if placement.applicant not in holders:
        return "waited and got a seat"
    return "kept their seat" if placement.program == before else "moved up from the seat they held"


def what_next(market: Path, outcome: Path, right: Outcome) -> None:
    """Print commands to go on with."""
    some = right.unplaced[0] if right.unplaced else right.placements[0].applicant
    headline("What to try next:")
    for line in (
        f"lottery explain {market} {outcome} --applicant {some} --lang es",
        f"lottery explain {market} {outcome} --applicant {some} --json",
        "lottery generate --applicants 500 --programs 40 --seed 7 -o small.json",
        f"lottery match small.json --seed {seed_of('roll your own dice')} --report -o small-outcome.json",
    ):
        print(f"  .venv/bin/{line}")


def seed_of(dice: str) -> str:
    """Return the seed that a line of digits gives in this demo, in hex."""
    return hashlib.sha256(dice.encode()).hexdigest()


def run(command: str, *arguments: str | Path, expect: int = DONE) -> None:
    """Print a command and run it.

    Raises:
        UnexpectedAnswer: if its exit code is not the one expected.
    """
    words = [command, *map(str, arguments)]
    print(f"$ lottery {shlex.join(words)}", flush=True)
    code = main(words)
    if code != expect:
        raise UnexpectedAnswer(f"lottery {command} ended with {code}, not {expect}")


def headline(line: str) -> None:
    """Print what comes next."""
    print(f"\n## {line}\n", flush=True)


if __name__ == "__main__":
    demo()
