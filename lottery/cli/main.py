"""The `lottery` command (lottery.md, section 10).

It stands on the standard library's argparse, so that an auditor can run `match` and `verify` with Python alone.
Exit 0: done; 1: the answer is no; 2: unusable input, with one line per fault on stderr, and nothing is written then.
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
from lottery.engines import Engine, MissingEngine
from lottery.market.json_reader import Fault, UnusableInput
from lottery.market.model import Kind
from lottery.match.lottery_numbers import SEED_BYTES, UnusableSeed
from lottery.simulate.rule_changes import CHANGES

MOST = 1_000_000_000
"""Of draws or workers that can be asked for."""

LINT_DRAWS = 100

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
    except MissingEngine as refusal:
        print(Fault("--engine", "$", *str(refusal).split("; ", 1)), file=sys.stderr)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if collecting:
            gc.enable()
    return UNUSABLE


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
    _add_simulate(commands.add_parser("simulate", help="draw many times: everybody's chances, how programs fill"))
    _add_compare(commands.add_parser("compare", help="say what a change of rules does, on the same draws"))
    _add_lint(commands.add_parser("lint", help="say which rules cannot do what they say"))
    _add_generate(commands.add_parser("generate", help="make an invented city's market"))
    return parser


def _add_match(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument("--seed", required=True, type=_seed, metavar="HEX", help="this round's seed, 64 hex digits")
    _add_seed_of(parser)
    engines = [engine.value for engine in Engine]
    parser.add_argument("--engine", choices=engines, help="which engine matches; default: the fast one, if installed")
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


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    _add_draws(parser)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="TABLE", help="NAME.parquet or NAME.csv")
    parser.set_defaults(run=simulate_commands.run_simulate)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market_a", metavar="MARKET_A", help=MARKET_HELP)
    parser.add_argument("market_b", nargs="?", metavar="MARKET_B", help="the same under other rules; default: MARKET_A")
    parser.add_argument("--change-a", choices=CHANGES, metavar="CHANGE", help="change MARKET_A's rules first")
    parser.add_argument("--change-b", choices=CHANGES, metavar="CHANGE", help=f"or MARKET_B's: {', '.join(CHANGES)}")
    _add_draws(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the JSON here too")
    parser.set_defaults(run=simulate_commands.run_compare)


def _add_draws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", required=True, type=_at_least_one, metavar="N", help="how often to draw")
    parser.add_argument("--seed", required=True, type=_seed, metavar="HEX", help="of the simulation, 64 hex digits")
    parser.add_argument(
        "--workers", type=_at_least_one, metavar="K", help="processes; default: one for each core, as far as they help"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="draw on the workers of a Dask scheduler instead")
    parser.add_argument(
        "--seed-of",
        action="append",
        default=[],
        type=_seed_of,
        metavar="ROUND=HEX",
        help="the seed of a round whose numbers are the true ones in every draw; once for each",
    )


def _add_lint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", metavar="MARKET", help=MARKET_HELP)
    parser.add_argument(
        "--draws", type=_none_or_more, default=LINT_DRAWS, metavar="N", help="for idle reserves; 0: none; default: 100"
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
