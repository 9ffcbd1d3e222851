"""The `lottery` command (docs/reference/specification.md, section 10).

It uses the standard library's argparse, so that an auditor can run `match` and `verify` with Python alone.
Exit codes: 0 for done, 1 for the answer no, and 2 for unusable input. With 2, stderr has one line for each fault, and
the command writes no file.
"""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from lottery.cli import simulate_commands
from lottery.cli.match_commands import DONE, INTERRUPTED, UNUSABLE, run_explain, run_generate, run_match, run_verify
from lottery.cli.seed_commands import run_check_seed
from lottery.engines import Engine, MissingEngine
from lottery.market.json_reader import Fault, UnusableInput
from lottery.market.model import Kind
from lottery.match.lottery_numbers import SEED_BYTES, UnusableSeed
from lottery.simulate.rule_changes import CHANGES

MOST = 1_000_000_000
"""Most draws or workers in one command."""

LINT_DRAWS = 100

MARKET_HELP = "a market: a JSON file, a folder or a zip"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A command makes millions of values that live to its end and almost no cycles; a search for cycles only costs time.
    collecting = gc.isenabled()
    gc.disable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not have all letters of a language
    try:
        options = _parser().parse_args(arguments)
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except UnusableInput as refusal:
        print(*refusal.lines(), sep="\n", file=sys.stderr)
    except UnusableSeed as refusal:
        print(Fault("seed", "$", *str(refusal).split("; ", 1)), file=sys.stderr)
    except MissingEngine as refusal:
        print(Fault("--engine", "$", *str(refusal).split("; ", 1)), file=sys.stderr)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if collecting:
            gc.enable()
    return UNUSABLE


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command in one line, like any other fault."""

    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lottery", description="Match applicants to seats by lottery; check and explain the result.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_match(commands.add_parser("match", help="match the applicants of a market to its seats"))
    _add_verify(commands.add_parser("verify", help="check an outcome independently of the program that made it"))
    _add_check_seed(commands.add_parser("check-seed", help="check that a round's seed follows from freeze and dice"))
    _add_explain(commands.add_parser("explain", help="explain one child's result"))
    _add_simulate(commands.add_parser("simulate", help="draw many times: each child's chances, and how programs fill"))
    _add_compare(commands.add_parser("compare", help="compare two sets of rules on the same draws"))
    _add_lint(commands.add_parser("lint", help="find rules that cannot work as written"))
    _add_generate(commands.add_parser("generate", help="make a market of an invented city"))
    return parser


def _add_match(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument("--seed", required=True, type=_seed, metavar="HEX", help="this round's seed, 64 hex digits")
    _add_seed_of(parser)
    engines = [engine.value for engine in Engine]
    parser.add_argument("--engine", choices=engines, help="the engine; default: the fast engine, if installed")
    parser.add_argument("-o", "--output", type=Path, metavar="OUTCOME", help="output file; default: standard output")
    parser.add_argument("--report", action="store_true", help="print tables of the outcome")
    parser.set_defaults(run=run_match)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument("outcome", metavar="OUTCOME", help="the outcome to check")
    _add_seed_of(parser)
    parser.set_defaults(run=run_verify)


def _add_check_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("round", metavar="ROUND", help="the file from GET /v1/rounds/ROUND, or the round's draw file")
    parser.add_argument(
        "entries", nargs="*", metavar="ENTRIES", help="the files from GET /v1/log/entries; every page that is needed"
    )
    parser.set_defaults(run=run_check_seed)


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument("outcome", metavar="OUTCOME", help="the outcome of the market")
    parser.add_argument("--applicant", required=True, metavar="TICKET", help="the applicant's id in the market")
    parser.add_argument("--lang", default="en", metavar="LANGUAGE", help="en, es or ar; default: en")
    parser.add_argument("--json", action="store_true", help="print JSON with the facts and the sentences")
    _add_seed_of(parser)
    parser.set_defaults(run=run_explain)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    _add_draws(parser)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="TABLE", help="NAME.parquet or NAME.csv")
    parser.set_defaults(run=simulate_commands.run_simulate)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market_a", metavar="MARKET_A", help=MARKET_HELP)
    parser.add_argument(
        "market_b", nargs="?", metavar="MARKET_B", help="the market with other rules; default: MARKET_A"
    )
    parser.add_argument("--change-a", choices=CHANGES, metavar="CHANGE", help="change MARKET_A's rules first")
    parser.add_argument(
        "--change-b",
        choices=CHANGES,
        metavar="CHANGE",
        help=f"change MARKET_B's: {', '.join(CHANGES)}",
    )
    _add_draws(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="also write the JSON to this file")
    parser.set_defaults(run=simulate_commands.run_compare)


def _add_draws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", required=True, type=_at_least_one, metavar="N", help="the number of draws")
    parser.add_argument("--seed", required=True, type=_seed, metavar="HEX", help="the simulation's seed, 64 hex digits")
    parser.add_argument(
        "--workers", type=_at_least_one, metavar="K", help="worker processes; default: up to one for each core"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="draw on the workers of this Dask scheduler instead")
    parser.add_argument(
        "--seed-of",
        action="append",
        default=[],
        type=_seed_of,
        metavar="ROUND=HEX",
        help="the seed of a past round, whose true numbers count in every draw; repeat for each round",
    )


def _add_lint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument(
        "--draws",
        type=_none_or_more,
        default=LINT_DRAWS,
        metavar="N",
        help="draws to find reserves without effect; 0 for none; default: 100",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=simulate_commands.run_lint)


def _at_least_one(text: str) -> int:
    return _whole_number(text, least=1)


def _none_or_more(text: str) -> int:
    return _whole_number(text, least=0)


def _whole_number(text: str, *, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and least <= int(text) <= MOST):
        raise argparse.ArgumentTypeError(f"give a whole number from {least} to {MOST}")
    return int(text)


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--applicants", required=True, type=int, metavar="N")
    parser.add_argument("--programs", type=int, metavar="M", help="the number of programs; or use --schools")
    parser.add_argument("--schools", type=int, metavar="S", help="the number of schools (only in a city)")
    parser.add_argument("--choices", type=int, metavar="K", help="the longest ranking; default: as in real cities")
    parser.add_argument("--shape", choices=["city", "uniform", "skewed"], default="city")
    parser.add_argument("--reserves", action=argparse.BooleanOptionalAction, help="reserves; default: only in a city")
    parser.add_argument("--siblings", action=argparse.BooleanOptionalAction, help="siblings; default: only in a city")
    parser.add_argument("--seed", required=True, type=int, metavar="INT", help="another number makes another city")
    parser.add_argument("--round", choices=[kind.value for kind in Kind], default=Kind.MAIN.value)
    parser.add_argument(
        "--after", metavar="OUTCOME", help="for a backfill round: the outcome of the same city's main round"
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
        help="the seed of an earlier round with lottery numbers of applicants; repeat for each round",
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
