"""Tell which lottery numbers a program compares (docs/reference/specification.md, sections 5 and 7)."""

from enum import IntEnum
from typing import NamedTuple

from lottery.fast.columns import NONE, Int32s, MarketInColumns
from lottery.market.model import Kind
from lottery.market.rules import Order, Program, TieBreak


class Source(IntEnum):
    """The numbers that a program compares: one number per applicant at all programs, or OWN numbers of the program."""

    OWN = NONE
    WAITLIST = 0
    REVERSE = 1
    FRESH = 2


class OwnNumbers(NamedTuple):
    """A program with one number per applicant and program.

    `entries` and `applicants` are the entries at the program and their applicants, by ticket. `source` says which of
    the program's own numbers count in a backfill round.
    """

    program: int
    source: Source
    entries: Int32s
    applicants: Int32s


_SOURCE_OF_ORDER = {Order.WAITLIST: Source.WAITLIST, Order.REVERSE: Source.REVERSE, Order.FRESH: Source.FRESH}


def source_of(market: MarketInColumns, program: Program) -> Source:
    """Return the numbers that a program compares."""
    single = (program.tie_break or market.policy.tie_break) is TieBreak.SINGLE
    return source_of_order(market.round.kind, program) if single else Source.OWN


def source_of_order(kind: Kind, program: Program) -> Source:
    """Return the numbers that a program's backfill rule names. In a main round they are the first draw's."""
    return Source.WAITLIST if kind is Kind.MAIN else _SOURCE_OF_ORDER[program.backfill.order]
