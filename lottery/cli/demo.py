"""A city's lottery from start to end, with the commands that anyone can type: `scripts/demo`."""

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
"""The choice of the child in the explained result; the two higher choices have reasons to show."""

CHILDREN, SCHOOLS = 22_443, 210
"""The size of the common lottery in Washington, DC."""

DICE = "4182 0973 5561 2840 9917 3306"
SUMMER_DICE = "7719 2054 8836 1127 4490 6328"
"""Digits like those of public dice rolls, each after its market was final."""


class UnexpectedAnswer(RuntimeError):
    """A command gave an unexpected answer."""


def demo(arguments: Sequence[str] | None = None) -> None:
    """Make a city, draw, match, verify, tamper, explain, and run the summer round."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--children", type=int, default=CHILDREN, help=f"default: {CHILDREN}")
    parser.add_argument("--schools", type=int, default=SCHOOLS, help=f"default: {SCHOOLS}")
    parser.add_argument("--folder", type=Path, default=Path("demo-city"), help="output folder; default: demo-city")
    parser.add_argument("--lottery", action="store_true", help="run only the lottery on files, as this demo does")
    parser.add_argument("--exit", action="store_true", help="stop at the end, as this demo always does")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    city = ["--applicants", str(options.children), "--schools", str(options.schools), "--seed", "1"]
    market, outcome = folder / "city.json", folder / "outcome.json"

    headline(f"Make a city with {options.children:,} children and {options.schools} schools, each with its own rules.")
    run("generate", *city, "-o", market)
    seed = seed_of(DICE)
    headline(f"Draw. Public dice rolls gave {DICE}. The SHA-256 of these digits is the seed.")
    run("match", market, "--seed", seed, "-o", outcome, "--report")
    headline("Check. Anyone can check the outcome, without trusting the program that made it.")
    run("verify", market, outcome)
    refuse_one_altered_placement(market, outcome, folder / "altered.json")
    headline("Explain one child's result.")
    run("explain", market, outcome, "--applicant", worth_explaining(load_outcome(outcome)))
    summer(city, folder, seed)
    what_next(market, outcome, load_outcome(outcome))


def refuse_one_altered_placement(market: Path, outcome: Path, altered: Path) -> None:
    """Give one child's seat to another child, and see that the check finds it."""
    right = load_outcome(outcome)
    favored, pushed_out = swap_of_two(right)
    ranking = next(child.ranking for child in load_market(market).applicants if child.id == favored)
    stolen = replace(pushed_out, applicant=favored, choice=ranking.index(pushed_out.program) + 1)
    others = (placement for placement in right.placements if placement != pushed_out)
    placements = sorted([*others, stolen], key=lambda placement: placement.applicant)
    unplaced = sorted({*right.unplaced, pushed_out.applicant} - {favored})
    with write_whole(altered) as stream:
        stream.write(replace(right, placements=tuple(placements), unplaced=tuple(unplaced)).to_bytes())
    headline(f"Tamper. {favored} gets the seat of {pushed_out.applicant} at {pushed_out.program}. The check fails.")
    run("verify", market, altered, expect=REFUSED)


def swap_of_two(outcome: Outcome) -> tuple[str, Placement]:
    """Return the last child on a waitlist, without a seat, and a placement in the same seats."""
    seats = {(placement.program, placement.group): placement for placement in outcome.placements}
    unplaced = set(outcome.unplaced)
    for waitlist in outcome.waitlists:
        seat = seats.get((waitlist.program, waitlist.group))
        if seat and waitlist.applicants[-1] in unplaced:
            return waitlist.applicants[-1], seat
    raise UnexpectedAnswer("no child waits for a filled seat; make a city with more children")


def worth_explaining(outcome: Outcome) -> str:
    """Return a child with the third choice, or else the first child with a seat."""
    some = (placement.applicant for placement in outcome.placements if placement.choice == WORTH_EXPLAINING)
    return next(some, outcome.placements[0].applicant)


def summer(city: Sequence[str], folder: Path, seed: str) -> None:
    """Run the backfill round after the main one."""
    market, outcome, before = folder / "summer.json", folder / "summer-outcome.json", folder / "outcome.json"
    headline(
        "Summer. Some children leave, and some are new. Each school fills open seats by its own rule, or not at all."
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
    """Return what the summer round did for a child with a seat."""
    if placement.applicant in newcomers:
        return "new children got a seat"
    if placement.applicant not in holders:
        return "waiting children got a seat"
    return "children kept their seat" if placement.program == before else "children moved to a higher choice"


def what_next(market: Path, outcome: Path, right: Outcome) -> None:
    """Print commands to try next."""
    some = right.unplaced[0] if right.unplaced else right.placements[0].applicant
    headline("Try next:")
    for line in (
        f"lottery explain {market} {outcome} --applicant {some} --lang es",
        f"lottery explain {market} {outcome} --applicant {some} --json",
        "lottery generate --applicants 500 --programs 40 --seed 7 -o small.json",
        f"lottery match small.json --seed {seed_of('roll your own dice')} --report -o small-outcome.json",
    ):
        print(f"  .venv/bin/{line}")


def seed_of(dice: str) -> str:
    """Return the seed for a line of digits, in hex."""
    return hashlib.sha256(dice.encode()).hexdigest()


def run(command: str, *arguments: str | Path, expect: int = DONE) -> None:
    """Print a command and run it.

    Raises:
        UnexpectedAnswer: if the exit code differs from `expect`.
    """
    words = [command, *map(str, arguments)]
    print(f"$ lottery {shlex.join(words)}", flush=True)
    code = main(words)
    if code != expect:
        raise UnexpectedAnswer(f"lottery {command} ended with {code}, not {expect}")


def headline(line: str) -> None:
    """Print a heading."""
    print(f"\n## {line}\n", flush=True)


if __name__ == "__main__":
    demo()
