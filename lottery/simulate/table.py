"""The results of many draws, as one table (docs/reference/specification.md, section 10)."""

from collections.abc import Callable, Mapping
from typing import IO, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lottery.fast.columns import NONE, Int64s, Truths
from lottery.simulate.simulation import Simulated

COLUMNS = {
    "applicant": pl.String,
    "choice": pl.Int32,
    "program": pl.String,
    "group": pl.String,
    "class": pl.String,
    "seats": pl.Int64,
    "draws": pl.Int32,
    "times": pl.Int64,
    "chance": pl.Float64,
    "filled": pl.Float64,
    "standard_error": pl.Float64,
}
"""The table's columns.

A row with an `applicant` says how often the applicant got a seat at `program`: in `times` of the `draws`. The last row
of each applicant has no program and counts the draws without a seat. `choice` counts from 1 in the submitted ranking,
and is empty for an unranked held seat. A row without an applicant says how many `seats` of a program's `group` were
`filled` by applicants of a `class`, on average; `times` is their sum over all draws.
"""

Float64s: TypeAlias = NDArray[np.float64]

Write = Callable[[pl.DataFrame, IO[bytes]], None]

FORMATS: Mapping[str, Write] = {".parquet": pl.DataFrame.write_parquet, ".csv": pl.DataFrame.write_csv}
"""The writer for each ending of a file's name."""


def table_of(simulated: Simulated) -> pl.DataFrame:
    """Return the table of a market's draws: applicants by id and choice, then seat groups by program and class."""
    return pl.concat([_of_applicants(simulated), _of_groups(simulated)])


def _of_applicants(simulated: Simulated) -> pl.DataFrame:
    applicants, tally = simulated.market.applicants, simulated.tally
    everybody, lengths = np.arange(len(applicants)), np.diff(applicants.ranking_start)
    of_ranking = np.repeat(everybody, lengths)
    nowhere = tally.draws - tally.times_unranked.astype(np.int64)
    np.subtract.at(nowhere, of_ranking, tally.times)
    held = np.flatnonzero(tally.times_unranked)
    who = np.concatenate([of_ranking, held, everybody])
    in_turn = np.argsort(who, kind="stable")
    ranked = np.arange(of_ranking.size) - np.repeat(applicants.ranking_start[:-1], lengths) + 1
    choice = np.concatenate([ranked, np.zeros(held.size + everybody.size, np.int64)])
    program = np.concatenate([applicants.ranking, applicants.holds_program[held], np.full(everybody.size, NONE)])
    times = np.concatenate([tally.times, tally.times_unranked[held], nowhere])[in_turn]
    chance, error = mean_and_error(times, times, tally.draws)
    tickets = pl.Series(applicants.tickets, dtype=pl.String)
    programs = pl.Series([program.id for program in simulated.market.programs], dtype=pl.String)
    return _table(
        {
            "applicant": tickets.gather(who[in_turn]),
            "choice": _some(choice[in_turn], there=choice[in_turn] > 0),
            "program": programs.gather(_some(program[in_turn], there=program[in_turn] != NONE)),
            "draws": pl.repeat(tally.draws, times.size, eager=True),
            "times": pl.Series(times),
            "chance": pl.Series(chance),
            "standard_error": pl.Series(error),
        }
    )


def _of_groups(simulated: Simulated) -> pl.DataFrame:
    compiled, tally = simulated.compiled, simulated.tally
    rows = [
        (index, place, name)
        for index in range(len(compiled.seats))
        for program, group in [compiled.group(index)]
        for place, name in enumerate(program.classes_at(group))
    ]
    groups = [compiled.group(index) for index, _, _ in rows]
    reached = tally.seats.of_class.shape[1]
    sums, squares = (
        np.array([int(counts[index, place]) if place < reached else 0 for index, place, _ in rows], np.int64)
        for counts in (tally.seats.of_class, tally.squares.of_class)
    )
    mean, error = mean_and_error(sums, squares, tally.draws)
    return _table(
        {
            "program": pl.Series([program.id for program, _ in groups], dtype=pl.String),
            "group": pl.Series([group for _, group in groups], dtype=pl.String),
            "class": pl.Series([name for _, _, name in rows], dtype=pl.String),
            "seats": pl.Series([compiled.seats[index] for index, _, _ in rows], dtype=pl.Int64),
            "draws": pl.Series([tally.draws] * len(rows), dtype=pl.Int32),
            "times": pl.Series(sums),
            "filled": pl.Series(mean),
            "standard_error": pl.Series(error),
        }
    )


def mean_and_error(sums: Int64s, squares: Int64s, draws: int) -> tuple[Float64s, Float64s]:
    """Return the mean and standard error of each number over the draws, from its sum and the sum of its squares."""
    mean = sums / draws
    variance = np.maximum(squares / draws - mean * mean, 0.0)
    return mean, np.sqrt(variance / draws)


def _table(told: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Return a table of all columns; missing columns are empty."""
    size = len(told["times"])
    return pl.DataFrame(
        [
            told[name].cast(kind).alias(name) if name in told else pl.Series(name, [None] * size, dtype=kind)
            for name, kind in COLUMNS.items()
        ]
    )


def _some(values: Int64s, *, there: Truths) -> pl.Series:
    return pl.Series(values).set(pl.Series(~there), None)
