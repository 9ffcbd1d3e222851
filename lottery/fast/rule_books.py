"""Gather the rules that decide a static standing. Programs with equal rules share a rule book."""

from collections.abc import Iterator
from typing import NamedTuple

from lottery.market.model import Kind
from lottery.market.rules import EVERYONE, Condition, Order, PriorityClass, Program, Ranked, depends_on_siblings


class GroupRule(NamedTuple):
    """The rules of a seat group."""

    when: Condition
    others: Condition
    priorities: tuple[PriorityClass, ...]


class RuleBook(NamedTuple):
    """The rules that decide a standing, except the lottery number and the school."""

    eligible: Condition
    groups: tuple[GroupRule, ...]
    nobody_new: bool
    draws_count: bool
    screened: bool

    def depends_on_siblings(self) -> bool:
        """Return whether any condition contains `sibling_placed`."""
        return any(map(depends_on_siblings, self.conditions()))

    def conditions(self) -> Iterator[Condition]:
        """Yield every condition."""
        yield self.eligible
        for group in self.groups:
            yield group.when
            yield group.others
            for priority in group.priorities:
                yield priority.when


def rule_book_of(kind: Kind, program: Program) -> RuleBook:
    """Return the rule book of a program in a round of this kind."""
    reserves = {reserve.name: reserve for reserve in program.reserves}
    return RuleBook(
        eligible=program.eligible,
        groups=tuple(
            GroupRule(reserve.when, reserve.others, reserve.priorities)
            if (reserve := reserves.get(group))
            else GroupRule(EVERYONE, EVERYONE, program.priorities)
            for group in program.precedence
        ),
        nobody_new=kind is Kind.BACKFILL and not program.backfill.fills,
        draws_count=kind is Kind.BACKFILL and program.backfill.order is not Order.FRESH,
        screened=isinstance(program.tie_break, Ranked),
    )
