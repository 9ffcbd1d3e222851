"""Screened programs, whose school gives its own order of applicants."""

from collections.abc import Collection, Iterator

from lottery.lint.applicants import Look
from lottery.lint.findings import Basis, Check, Finding, Weight, counted, few_of
from lottery.market.rules import Ranked


def empty_lists(look: Look) -> Iterator[Finding]:
    """Find lists on which nobody is, and classes that go before a list."""
    tie_break = look.program.tie_break
    if not isinstance(tie_break, Ranked):
        return
    path = f"{look.path}.tie_break.ranked"
    if not tie_break.tickets:
        yield look.finding(
            Check.LIST_EMPTY,
            path,
            weight=Weight.CANNOT,
            basis=Basis.RULES,
            wrong="By the rules alone, the school's own list is empty: whatever children apply, nobody new is "
            "considered.",
            change="Put the tickets on the list, best first, or let lottery numbers decide (tie_break: null).",
        )
    elif look.program.priorities:
        yield look.finding(
            Check.LIST_AFTER_CLASSES,
            f"{look.path}.priorities",
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong="By the rules alone, the classes go before the school's own list, which decides only within a class.",
            change="Nothing, if that is meant; if the list alone is to decide, remove the classes.",
        )


def lists_in_market(look: Look, tickets: Collection[str]) -> Iterator[Finding]:
    """Find lists with tickets that are not in the market, and lists too short for the seats."""
    tie_break = look.program.tie_break
    if not isinstance(tie_break, Ranked) or not tie_break.tickets:
        return
    path = f"{look.path}.tie_break.ranked"
    strangers = [ticket for ticket in tie_break.tickets if ticket not in tickets]
    if strangers:
        shown = ", ".join(few_of(strangers))
        yield look.finding(
            Check.LIST_STRANGERS,
            path,
            weight=Weight.NOTE,
            basis=Basis.APPLICANTS,
            wrong=f"{len(strangers):,} of the {counted(len(tie_break.tickets), 'ticket', 'tickets')} on the list are "
            f"not in this market: {shown}{' and others' if len(strangers) > shown.count(',') + 1 else ''}.",
            change="Nothing, if these children have withdrawn; else check that the list is this round's.",
        )
    yield from _short(look, path)


def _short(look: Look, path: str) -> Iterator[Finding]:
    askers, seats = look.askers, sum(look.seats.values())
    able = askers.count(askers.kinds_in(look.considered))
    unlisted = [place for place, kind in enumerate(askers.kinds) if not kind.listed and kind.holds is None]
    if look.takes_new and able < seats and unlisted:
        yield look.finding(
            Check.LIST_SHORT,
            path,
            weight=Weight.NOTE,
            basis=Basis.APPLICANTS,
            wrong=f"In this market at least {seats - able:,} of the {counted(seats, 'seat', 'seats')} must stay empty: "
            f"{able:,} of those who ask can be considered, and {askers.count(unlisted):,} who ask are not on the list.",
            change="Put more of those who ask on the list, or offer fewer seats.",
            kinds=unlisted,
        )
