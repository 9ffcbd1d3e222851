"""The `lottery` command (lottery.md, section 10).

It stands on the standard library's argparse, so that an auditor can run `match` and `verify` with Python alone.
Exit 0: done; 1: the answer is no; 2: unusable input, with one line per fault on stderr, and nothing is written then.
"""

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from lottery.draw import SEED_BYTES, UnusableSeed
from lottery.engines import Engine, match
from lottery.files import load_market, load_outcome, outcome_from, read_bytes, save_market, write_whole
from lottery.market import Kind, Market
from lottery.outcome import Outcome
from lottery.read_market import read_market
from lottery.strict import Fault, UnusableInput
from lottery.terminal import progress_bars
from lottery.verify import CHECKS, Complaint, Rule, verify

DONE, REFUSED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

MOST_COMPLAINTS = 10
"""Complaints that are printed of each rule; the rest are counted."""

MARKET_HELP = "a market: a JSON file, a folder or a zip"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A command makes millions of values that live to its end and hardly a cycle; looking for cycles only costs time.
    collecting = gc.isenabled()
    gc.disable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack the letters of a language
    try:
        options = _parser().parse_args(arguments)
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except UnusableInput as refusal:
        print(*refusal.lines(), sep="\n", file=sys.stderr)
    except UnusableSeed as refusal:
        print(Fault("seed", "$", *str(refusal).split("; ", 1)), file=sys.stderr)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if collecting:
            gc.enable()
    return UNUSABLE


def run_match(options: argparse.Namespace) -> int:
    """Match a market and write the outcome."""
    _refuse_overwriting(options.market, options.output)
    with progress_bars() as track:
        market = load_market(options.market, track=track)
        outcome = match(market, seed=options.seed, seeds=_seeds(options), engine=options.engine, track=track)
    if options.output is None:
        sys.stdout.buffer.write(outcome.to_bytes())
    else:
        with write_whole(options.output) as stream:
            stream.write(outcome.to_bytes())
    if options.report:
        _print_report(market, outcome, options)
    return DONE


def _print_report(market: Market, outcome: Outcome, options: argparse.Namespace) -> None:
    from lottery.report import report
    from lottery.tables import print_report

    counted = report(market, outcome, seeds=_seeds(options))
    print_report(counted, sys.stderr if options.output is None else sys.stdout)


def run_verify(options: argparse.Namespace) -> int:
    """Check an outcome and print what each check says."""
    with progress_bars() as track:
        market = load_market(options.market, track=track)
        raw = read_bytes(options.outcome)
        outcome = outcome_from(raw, options.outcome)
        complaints = list(verify(market, outcome, seeds=_seeds(options), track=track))
    if not complaints and raw != outcome.to_bytes():
        text = "the file says the same but is not written as canonical JSON with one LF at the end"
        complaints.append(Complaint(Rule.REFERENCE, None, None, text))
    broken = {complaint.rule for complaint in complaints}
    for rule in [Rule.SEED, *(CHECKS if Rule.SEED not in broken else ())]:
        print(f"{'NO ' if rule in broken else 'yes'}  {rule}")
        of_rule = [complaint for complaint in complaints if complaint.rule is rule]
        for complaint in of_rule[:MOST_COMPLAINTS]:
            print(f"       {complaint.without_rule()}")
        if len(of_rule) > MOST_COMPLAINTS:
            print(f"       and {len(of_rule) - MOST_COMPLAINTS} more")
    if complaints:
        print(f"The outcome is refused: {len(complaints)} complaints.")
        return REFUSED
    print(f"The outcome is right: {len(outcome.placements)} placed, {len(outcome.unplaced)} without a seat.")
    return DONE


def run_explain(options: argparse.Namespace) -> int:
    """Explain one applicant's result."""
    from lottery.explain import Explainer, Extract, UnfitOutcome, UnknownApplicant
    from lottery.language import Language, UnknownLanguage
    from lottery.words import explanation_in_words

    try:
        language = Language(options.lang)
        with progress_bars() as track:
            market = load_market(options.market, track=track)
        explainer = Explainer(Extract.whole(market, load_outcome(options.outcome)), seeds=_seeds(options))
        explanation = explainer.explain(options.applicant)
    except UnknownLanguage as refusal:
        raise UnusableInput([Fault("--lang", "$", *refusal.args[0].split("; ", 1))]) from None
    except UnfitOutcome as refusal:
        raise UnusableInput([Fault(options.outcome, "$", *refusal.args[0].split("; ", 1))]) from None
    except UnknownApplicant as refusal:
        raise UnusableInput([Fault("--applicant", "$", *refusal.args[0].split("; ", 1))]) from None
    lines = explanation_in_words(explanation, language)
    if options.json:
        said = {"language": language.code, "direction": language.direction, "lines": lines}
        print(json.dumps({**explanation.document(), "in_words": said}, ensure_ascii=False, indent=2))
    else:
        print(*lines, sep="\n")
    return DONE


def run_generate(options: argparse.Namespace) -> int:
    """Make an invented city's market, or that of the summer after its main round."""
    from lottery.generate import ImpossiblePlan, Plan, Shape, generate, generate_summer

    if (options.round == Kind.BACKFILL) != (options.after is not None):
        raise UnusableInput(
            [Fault("generate", "$", "--round backfill and --after go together", "give both or neither")]
        )
    is_city = options.shape == Shape.CITY
    plan = Plan(
        applicants=options.applicants,
        programs=options.programs,
        schools=options.schools,
        choices=options.choices,
        shape=Shape(options.shape),
        reserves=is_city if options.reserves is None else options.reserves,
        siblings=is_city if options.siblings is None else options.siblings,
        seed=options.seed,
    )
    try:
        made = generate(plan)
        if options.round == Kind.BACKFILL:
            outcome = load_outcome(options.after)
            main_round = read_market({**made.head, "applicants": list(made.applicants)})
            if outcome.market != main_round.digest():
                problem = "is the outcome of another market"
                remedy = (
                    "give the --applicants, --programs or --schools, and --seed of the market that it was made from"
                )
                raise UnusableInput([Fault(options.after, "$.market", problem, remedy)])
            made = generate_summer(plan, outcome.document())
    except ImpossiblePlan as refusal:
        raise UnusableInput([Fault("generate", "$", *str(refusal).split("; ", 1))]) from None
    with progress_bars() as track:
        save_market(options.output, made.head, track(made.applicants, "writing", None))
    return DONE


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command in one line, as with any other fault."""

    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lottery", description="Match a market's applicants to its seats, check it, explain it.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_match(commands.add_parser("match", help="match a market"))
    _add_verify(commands.add_parser("verify", help="check an outcome without trusting who made it"))
    _add_explain(commands.add_parser("explain", help="say why one child got what it got"))
    _add_generate(commands.add_parser("generate", help="make an invented city's market"))
    return parser


def _add_match(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument("--seed", required=True, type=_seed, metavar="HEX", help="this round's seed, 64 hex digits")
    _add_seed_of(parser)
    engines = [engine.value for engine in Engine]
    parser.add_argument("--engine", choices=engines, default=Engine.REFERENCE.value, help="which engine matches")
    parser.add_argument("-o", "--output", type=Path, metavar="OUTCOME", help="where to write; default: standard output")
    parser.add_argument("--report", action="store_true", help="print the outcome in numbers")
    parser.set_defaults(run=run_match)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument("outcome", metavar="OUTCOME", help="the outcome to check")
    _add_seed_of(parser)
    parser.set_defaults(run=run_verify)


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument("outcome", metavar="OUTCOME", help="the market's outcome")
    parser.add_argument("--applicant", required=True, metavar="TICKET", help="the applicant's id in the market")
    parser.add_argument("--lang", default="en", metavar="LANGUAGE", help="en, es or ar; default: en")
    parser.add_argument("--json", action="store_true", help="print the facts as JSON, with the sentences")
    _add_seed_of(parser)
    parser.set_defaults(run=run_explain)


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--applicants", required=True, type=int, metavar="N")
    parser.add_argument("--programs", type=int, metavar="M", help="how many programs; or give --schools")
    parser.add_argument("--schools", type=int, metavar="S", help="how many schools (city only)")
    parser.add_argument("--choices", type=int, metavar="K", help="the longest ranking; default: as in real cities")
    parser.add_argument("--shape", choices=["city", "uniform", "skewed"], default="city")
    parser.add_argument("--reserves", action=argparse.BooleanOptionalAction, help="default: in a city")
    parser.add_argument("--siblings", action=argparse.BooleanOptionalAction, help="default: in a city")
    parser.add_argument("--seed", required=True, type=int, metavar="INT", help="another number, another city")
    parser.add_argument("--round", choices=[kind.value for kind in Kind], default=Kind.MAIN.value)
    parser.add_argument(
        "--after", metavar="OUTCOME", help="for a backfill round: the outcome of the same city's main one"
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="MARKET", help="NAME.json, NAME.zip or a folder"
    )
    parser.set_defaults(run=run_generate)


def _add_seed_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed-of",
        action="append",
        default=[],
        type=_seed_of,
        metavar="ROUND=HEX",
        help="the seed of an earlier round in which applicants were drawn; once for each",
    )


def _seed(text: str) -> bytes:
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES or len(text) != 2 * SEED_BYTES:
        raise argparse.ArgumentTypeError(f"a seed has {2 * SEED_BYTES} hex digits, this has {len(text)} characters")
    return seed


def _seed_of(text: str) -> tuple[str, bytes]:
    round_id, equals, seed = text.partition("=")
    if not (round_id and equals):
        raise argparse.ArgumentTypeError("give ROUND=HEX")
    return round_id, _seed(seed)


def _seeds(options: argparse.Namespace) -> Mapping[str, bytes]:
    seeds: dict[str, bytes] = {}
    for round_id, seed in options.seed_of:
        if seeds.setdefault(round_id, seed) != seed:
            raise UnusableSeed(f"round {round_id} has two different seeds; give its seed once")
    return seeds


def _refuse_overwriting(market: str, output: Path | None) -> None:
    if output and output.exists() and Path(market).exists() and output.samefile(market):
        raise UnusableInput([Fault(str(output), "$", "is the market itself", "give another file for the outcome")])
