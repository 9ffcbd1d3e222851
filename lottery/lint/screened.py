"""Screened programs: the school's own list puts applicants in order."""

from collections.abc import Collection, Iterator

from lottery.lint.applicants import Look
from lottery.lint.findings import Basis, Check, Finding, Weight, counted, few_of
from lottery.market.rules import Ranked


def empty_lists(look: Look) -> Iterator[Finding]:
    """Find empty lists, and priority classes that come before a list."""
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
            wrong="No matter who applies, this program takes no new children: the school's own list is empty.",
            change="Add applicants to the list, best first. Or let lottery numbers decide (tie_break: null).",
        )
    elif look.program.priorities:
        yield look.finding(
            Check.LIST_AFTER_CLASSES,
            f"{look.path}.priorities",
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong="Under these rules, priority classes come before the school's own list. The list decides only "
            "within a class.",
            change="Change nothing if you want this. If the list alone must decide, remove the classes.",
        )


def lists_in_market(look: Look, tickets: Collection[str]) -> Iterator[Finding]:
    """Find lists with unknown applicants, and lists too short for the seats."""
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
            wrong=f"{len(strangers):,} of the {counted(len(tie_break.tickets), 'applicant', 'applicants')} on the list "
            f"{'is' if len(strangers) == 1 else 'are'} not in this market: "
            f"{shown}{' and others' if len(strangers) > shown.count(',') + 1 else ''}.",
            change="Change nothing if these children withdrew. If not, check that the list is for this round.",
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
            wrong=f"Right now, at least {seats - able:,} of the {counted(seats, 'seat', 'seats')} must "
            f"stay empty. Of the children who rank this program, {able:,} can get a seat, and "
            f"{askers.count(unlisted):,} are not on the list.",
            change="Put more of these children on the list, or offer fewer seats.",
            kinds=unlisted,
        )
