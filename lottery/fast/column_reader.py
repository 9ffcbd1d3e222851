"""Read a market into columns: quickly where a file is surely valid, otherwise with the strict reader.

The quick reader reports no faults. It parses applicants with msgspec, checks whole columns, and stops at anything
unusual. `lottery.market.files.load_market` then reads the file again, and accepts or refuses it. So one place decides
about faults and their words.

msgspec keeps the last value of a repeated key and reports nothing. So the quick reader writes the values again as
canonical lines and counts quotation marks. A lost key would have had quotation marks. So nothing was lost if the lines
have as many as the file and the defaults together.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import Raw

from lottery.fast.applicant_rows import MarketText, market_text, pieces, require, require_one_per_line, row_type
from lottery.fast.column_builder import MAX_ID_LENGTH, ColumnBuilder
from lottery.fast.columns import Coded, Columns, Int64s, MarketInColumns, in_columns, starts_of
from lottery.market.files import load_market
from lottery.market.model import Market
from lottery.market.reader import MarketReader, read_market_in_parts
from lottery.progress import Track, untracked

Word = TypeVar("Word", bound=Hashable)


def load_columns(path: str | Path, *, track: Track = untracked) -> MarketInColumns:
    """Read a market from a JSON file, a folder or a zip into columns.

    The result and the faults are the same as those of `lottery.market.files.load_market`.

    Raises:
        UnusableInput: with every fault: its file, its JSON path, the problem and the remedy.
    """
    market = read_quickly(path, track=track)
    return in_columns(load_market(path, track=track)) if market is None else market


def read_quickly(path: str | Path, *, track: Track = untracked) -> MarketInColumns | None:
    """Read a market, or return None if only the strict reader can decide whether the file is valid."""
    try:
        text = market_text(Path(path))
        head = read_market_in_parts(text.head, (), file="", reader=MarketReader())
        return _market_in_columns(head, text, track)
    except (ValueError, RecursionError):  # raised by msgspec, by the strict reader or by this reader
        return None


def _market_in_columns(head: Market, text: MarketText, track: Track) -> MarketInColumns:
    programs = tuple(sorted(head.programs, key=lambda program: program.id))
    this_round = Raw(f'"{head.round.id}"')
    decoder = msgspec.json.Decoder(row_type(programs, this_round))
    builder = ColumnBuilder(programs, head.round.id, this_round)
    for piece in track(pieces(text.applicants), "reading", None):
        rows = decoder.decode_lines(piece)
        if isinstance(text.applicants, bytes):
            require_one_per_line(piece, len(rows))
        builder.read(rows)
    applicants = builder.columns()
    require(head.round.earlier is None or set(applicants.drawn_in.words) <= set(head.round.draws))
    _require_grades_in_order(head, applicants)
    order = _order_by_ticket(applicants.tickets)
    digest = builder.lines.digest(next(head.canonical_lines()), order, text.quotes + builder.quotes_of_defaults)
    return MarketInColumns(head.round, head.policy, programs, _in_order(applicants, order), digest)


def _order_by_ticket(tickets: Sequence[str]) -> Int64s:
    """Return the order of tickets by their bytes.

    Raises:
        Unusual: if two tickets are equal.
    """
    words = np.array(tickets, f"S{MAX_ID_LENGTH}")
    order = words.argsort()
    words = words[order]
    require(bool((words[1:] != words[:-1]).all()))
    return order


def _require_grades_in_order(head: Market, applicants: Columns) -> None:
    if head.siblings_matter() or applicants.together.any():
        times = Counter(head.policy.grade_order)
        in_use = {*applicants.grade.words, *(program.grade for program in head.programs)}
        require(all(times[grade] == 1 for grade in in_use))


def _in_order(columns: Columns, order: Int64s) -> Columns:
    """Reorder columns that are in the order of the file."""
    start, entries = _entries_in_order(columns.ranking_start, order)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    at_applicant = place[columns.at_applicant]
    at = at_applicant.argsort(kind="stable")
    return Columns(
        tickets=[columns.tickets[index] for index in order.tolist()],
        ranking_start=start,
        ranking=columns.ranking[entries],
        grade=_coded_in_order(columns.grade, order),
        zones=_coded_in_order(columns.zones, order),
        flags=_coded_in_order(columns.flags, order),
        at_applicant=at_applicant[at].astype(np.int32),
        at_school=_coded_in_order(columns.at_school, at),
        at_facts=_coded_in_order(columns.at_facts, at),
        attends=_coded_in_order(columns.attends, order),
        household=_coded_in_order(columns.household, order),
        drawn_in=_coded_in_order(columns.drawn_in, order),
        together=columns.together[order],
        late=columns.late[order],
        holds_program=columns.holds_program[order],
        holds_group=columns.holds_group[order],
    )


def _coded_in_order(column: Coded[Word], order: Int64s) -> Coded[Word]:
    return Coded(column.words, column.codes[order])


def _entries_in_order(start: Int64s, order: Int64s) -> tuple[Int64s, Int64s]:
    """Return where rankings start in the new order, and the old index of each of their entries."""
    lengths = np.diff(start)[order]
    later = starts_of(lengths)
    return later, np.arange(later[-1]) + np.repeat(start[order] - later[:-1], lengths)
