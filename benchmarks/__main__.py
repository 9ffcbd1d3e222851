"""Measure, and print tables for docs/performance.md: the fast engine, the lottery's commands, the service.

Every figure is the median of several; what a ratio is taken of is measured in turn with it, so that a machine that
slows down slows both.
"""

import argparse
from collections.abc import Iterable, Sequence
from importlib import import_module

from benchmarks.measuring import Row, machine

TABLES = {
    "engine": "engine",
    "lottery": "files",
    "submissions": "submissions",
    "crowds": "crowds",
    "rounds": "rounds",
    "previews": "previews",
    "zones": "zones",
}
"""Each table's module, which is loaded when it is asked for: the lottery is measured without the service."""

OF_THE_SERVICE = ("submissions", "crowds", "rounds", "previews", "zones")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"of {', '.join(TABLES)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured; default: 5")
    parser.add_argument("--full", action="store_true", help="up to 1,000,000 applicants; takes some ten minutes")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.what) - set(TABLES))
    if unknown:
        parser.error(f"there is no table {', '.join(unknown)}; choose of {', '.join(TABLES)}")
    print(f"{machine()}\n\n| work | measured | bar |\n|---|---|---|")
    for name in options.what or TABLES:
        for row in rows_of(name, options.rounds, full=options.full):
            print(f"| {row.work} | {row.measured} | {row.bar} |", flush=True)


def rows_of(name: str, rounds: int, *, full: bool) -> Iterable[Row]:
    """Measure one table."""
    module = import_module(f"benchmarks.{TABLES[name]}")
    if name in OF_THE_SERVICE:
        return [Row(*line) for line in module.measure()]
    rows: Iterable[Row] = module.measure(rounds, full=full)
    return rows


if __name__ == "__main__":
    main()
