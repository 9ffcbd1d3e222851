"""The commands `simulate`, `compare` and `lint` (docs/reference/specification.md, section 10)."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lottery.cli.match_commands import DONE, REFUSED, refuse_overwriting, seeds_of
from lottery.cli.terminal import progress_bars
from lottery.market.files import load_market, write_whole
from lottery.market.json_reader import Fault, UnusableInput
from lottery.progress import Track

if TYPE_CHECKING:
    from lottery.fast.columns import MarketInColumns
    from lottery.simulate.comparison import Comparison
    from lottery.simulate.parallel import Counted, Counting

DRAWS_WORTH_A_PROCESS = 25
"""Draws that take less time than the start of another process."""


def run_simulate(options: argparse.Namespace) -> int:
    """Draw many times, and write the table of chances and filled seats."""
    with _refusing_what_is_missing():
        from lottery.fast.column_reader import load_columns
        from lottery.simulate.simulation import Simulated, prepare
        from lottery.simulate.table import FORMATS, table_of
    write = FORMATS.get(options.output.suffix)
    if write is None:
        remedy = f"end its name with {' or '.join(FORMATS)}"
        raise UnusableInput([Fault(str(options.output), "$", "is not a kind of table that lottery can write", remedy)])
    refuse_overwriting(options.output, options.market)
    _refuse_without_folder(options.output)
    with progress_bars() as track:
        market = load_columns(options.market, track=track)
        _note_forgotten_rounds(market, options)
        simulation = prepare(market, seed=options.seed, seeds=seeds_of(options))
        tally = _count(options, simulation, simulation.compiled.entry_program.size, track)
    simulated = Simulated(simulation.compiled, tally)
    table = table_of(simulated)
    with write_whole(options.output) as stream:
        write(table, stream)
    return DONE


def run_compare(options: argparse.Namespace) -> int:
    """Match two markets on the same draws, and print gains and losses."""
    with _refusing_what_is_missing():
        from lottery.simulate.report import Compared
    if options.market_b is None and options.change_a == options.change_b:
        problem = "has only one market and no change to compare"
        raise UnusableInput([Fault("compare", "$", problem, "give two markets, or use --change-b")])
    refuse_overwriting(options.output, options.market_a, options.market_b or options.market_a)
    _refuse_without_folder(options.output)
    with progress_bars() as track:
        comparison = _comparison(options, track)
        compared = Compared(comparison, _count(options, comparison, 2 * comparison.entries, track))
    if options.output:
        with write_whole(options.output) as stream:
            stream.write(_json(compared.document()))
    if options.json:
        sys.stdout.buffer.write(_json(compared.document()))
    else:
        compared.print(sys.stdout)
    return DONE


def _comparison(options: argparse.Namespace, track: Track) -> "Comparison":
    """Read both markets, and change their rules if the command says so."""
    from lottery.fast.column_reader import load_columns
    from lottery.simulate.comparison import Comparison, Incomparable

    first, second = options.market_a, options.market_b or options.market_a
    market = load_columns(first, track=track)
    other = market if second == first else load_columns(second, track=track)
    before, after = _changed(market, options.change_a, first), _changed(other, options.change_b, second)
    try:
        comparison = Comparison(before, after, seed=options.seed, seeds=seeds_of(options))
    except Incomparable as refusal:
        raise UnusableInput([Fault(second, "$", *str(refusal).split("; ", 1))]) from None
    _note_forgotten_rounds(market, options)
    return comparison


def _changed(market: "MarketInColumns", change: str | None, file: str) -> "MarketInColumns":
    from lottery.simulate.comparison import Incomparable, with_change

    try:
        return with_change(market, change) if change else market
    except Incomparable as refusal:
        raise UnusableInput([Fault(file, "$", *str(refusal).split("; ", 1))]) from None


def run_lint(options: argparse.Namespace) -> int:
    """Print rules that cannot work as written, and effects that a school may not expect."""
    from lottery.lint import lint
    from lottery.lint.findings import Weight
    from lottery.lint.report import document_of, print_findings

    with progress_bars() as track, _refusing_what_is_missing():
        market = load_market(options.market, track=track)
        findings = lint(market, draws=options.draws, track=track)
    if options.json:
        sys.stdout.buffer.write(_json(document_of(findings)))
    else:
        print_findings(findings, sys.stdout)
    return REFUSED if any(finding.weight is Weight.CANNOT for finding in findings) else DONE


def _note_forgotten_rounds(market: "MarketInColumns", options: argparse.Namespace) -> None:
    """Print a note if held seats come from numbers that the simulation draws again; such a summer cannot happen."""
    rounds = set(market.applicants.drawn_in.words) - {market.round.id} - {name for name, _ in options.seed_of}
    if rounds and (market.applicants.holds_program >= 0).any():
        names = ", ".join(sorted(rounds))
        print(
            f"note: the simulation draws new numbers for {names}, but the held seats come from the true numbers; "
            f"add --seed-of {min(rounds)}=HEX",
            file=sys.stderr,
        )


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def _refuse_without_folder(output: Path | None) -> None:
    """Refuse an output without a folder before the long work starts."""
    if output and not output.parent.is_dir():
        raise UnusableInput([Fault(str(output), "$", "is in a folder that does not exist", "make the folder first")])


def _count(options: argparse.Namespace, work: "Counting[Counted]", entries: int, track: Track) -> "Counted":
    """Count draws on a cluster or on processes of this machine."""
    from lottery.simulate.parallel import WorkerLost, count_draws

    try:
        if options.scheduler is not None:
            return _count_on_cluster(options, work, entries, track)
        workers = options.workers or min(os.cpu_count() or 1, 1 + options.draws // DRAWS_WORTH_A_PROCESS)
        return count_draws(work, options.draws, entries=entries, workers=workers, track=track)
    except WorkerLost as refusal:
        where = "--workers" if options.scheduler is None else "--scheduler"
        raise UnusableInput([Fault(where, "$", *str(refusal).split("; ", 1))]) from None


def _count_on_cluster(options: argparse.Namespace, work: "Counting[Counted]", entries: int, track: Track) -> "Counted":
    if options.workers:
        problem = "do not go together, because a scheduler has its own workers"
        raise UnusableInput([Fault("--workers and --scheduler", "$", problem, "use only one of them")])
    with _refusing_what_is_missing():
        from lottery.simulate.cluster import NoScheduler, count_draws_on
    try:
        return count_draws_on(options.scheduler, work, options.draws, entries=entries, track=track)
    except NoScheduler as refusal:
        raise UnusableInput([Fault("--scheduler", "$", *str(refusal).split("; ", 1))]) from None


@contextmanager
def _refusing_what_is_missing() -> Iterator[None]:
    """Report a missing package that only this command needs."""
    try:
        yield
    except ModuleNotFoundError as error:
        problem = f"needs {error.name}, which is not installed"
        raise UnusableInput([Fault("lottery", "$", problem, f"pip install {error.name}")]) from None
