"""Rules of a cycle, and rules of schools about lottery numbers and backfill rounds."""

from collections import Counter
from collections.abc import Iterator, Sequence

from lottery.lint.applicants import Look
from lottery.lint.findings import Basis, Check, Finding, Weight, about_cycle, counted
from lottery.market.model import Late, Market, Twins
from lottery.market.rules import Order, Program, Ranked, TieBreak, VacatedReserves, depends_on_siblings

COSTS = (
    "When seats are short, one lottery number for all programs usually gives more children their first choice "
    "(Ashlagi & Nikzad 2020; DC's own test)."
)


# ---- rules of the cycle


def policy_of_cycle(market: Market) -> Iterator[Finding]:
    """Find effects of the cycle's rules that you may not expect."""
    yield from _many_numbers(market)
    yield from _late_equal(market)
    yield from _draws_not_listed(market)
    yield from _grade_order(market)
    yield from _sibling_reports(market)
    yield from _twins(market)


def _many_numbers(market: Market) -> Iterator[Finding]:
    drawing = [program for program in market.programs if program.tie_break in {None, TieBreak.MULTIPLE}]
    if market.policy.tie_break is TieBreak.MULTIPLE and len(drawing) > 1:
        yield about_cycle(
            Check.MANY_NUMBERS,
            "$.policy.tie_break",
            basis=Basis.RULES,
            wrong=f"Under these rules, each of {len(drawing):,} programs draws its own lottery numbers. {COSTS}",
            change="Set `tie_break` to “single”, unless each program needs its own draw.",
        )


def _late_equal(market: Market) -> Iterator[Finding]:
    if market.policy.late is not Late.EQUAL:
        return
    late = [applicant.id for applicant in market.applicants if applicant.late]
    if late:
        yield about_cycle(
            Check.LATE_EQUAL,
            "$.policy.late",
            wrong=f"Right now, {counted(len(late), 'late application counts', 'late applications count')} "
            "the same as an application that came on time.",
            change="Set `late` to “after” or “within” if late applications must come after the others.",
            tickets=late,
        )
    newcomers = [applicant.id for applicant in market.applicants if applicant.drawn_in == market.round.id]
    puts_behind = any(map(_puts_newcomers_behind, market.programs))
    if (
        market.is_backfill
        and market.round.earlier is None
        and puts_behind
        and 0 < len(newcomers) < len(market.applicants)
    ):
        yield about_cycle(
            Check.LATE_EQUAL,
            "$.policy.late",
            wrong=f"Right now, {counted(len(newcomers), 'newcomer', 'newcomers')} of this round can pass "
            "children who already wait. The rule “equal” treats newcomers the same as waiting children.",
            change="List the earlier rounds in `round.earlier`, or set `late` to “after” or “within” for this round.",
            tickets=newcomers,
        )


def _draws_not_listed(market: Market) -> Iterator[Finding]:
    """Find children of several earlier rounds whose order the market does not say."""
    rounds = {applicant.drawn_in for applicant in market.applicants} - {market.round.id}
    if market.is_backfill and market.round.earlier is None and len(rounds) > 1:
        if not any(map(_puts_newcomers_behind, market.programs)):
            return
        yield about_cycle(
            Check.DRAWS_NOT_LISTED,
            "$.round",
            wrong=f"Right now, children of {counted(len(rounds), 'earlier round', 'earlier rounds')} compare their "
            "lottery numbers as if all had been drawn in the main round. Children who applied later can pass children "
            "who already wait.",
            change="List the earlier rounds in `round.earlier`, in the order in which they drew.",
        )


def _puts_newcomers_behind(program: Program) -> bool:
    return program.backfill.fills and program.backfill.order is not Order.FRESH


def _grade_order(market: Market) -> Iterator[Finding]:
    if market.policy.grade_order and not market.siblings_matter():
        yield about_cycle(
            Check.GRADE_ORDER_IGNORED,
            "$.policy.grade_order",
            wrong="Right now, the order of grades has no effect. No rule depends on a sibling's "
            "placement, and no family asks for siblings to be together.",
            change="Change nothing. Or check that families' requests came in, and that the rules use `sibling_placed`.",
        )


def _sibling_reports(market: Market) -> Iterator[Finding]:
    rules = sum(any(map(depends_on_siblings, program.conditions())) for program in market.programs)
    together = [applicant.id for applicant in market.applicants if applicant.together]
    if rules or together:
        yield about_cycle(
            Check.SIBLING_REPORTS,
            "$.policy.grade_order",
            wrong=f"Right now, {counted(rules, 'program looks', 'programs look')} at a sibling's placement, "
            f"and {counted(len(together), 'child asks', 'children ask')} to be together with a sibling. In a small "
            "market, a family can gain by hiding an older child's true choice, or by a false report about siblings.",
            change="Check households before the draw. A rule about siblings who already attend (at_school) does not "
            "depend "
            "on rankings.",
        )


def _twins(market: Market) -> Iterator[Finding]:
    if market.policy.twins is not Twins.SHARE or not market.applicants:
        return
    families = Counter((a.household, a.grade) for a in market.applicants if a.household is not None)
    if not any(children > 1 for children in families.values()):
        yield about_cycle(
            Check.TWINS_IDLE,
            "$.policy.twins",
            wrong="Right now, no two children share a household and a grade, so no children share a number.",
            change="Change nothing if this is right. If not, check that the households came in.",
        )


# ---- rules of one school


def numbers_of_its_own(look: Look) -> Iterator[Finding]:
    """Find a program that draws its own numbers while other programs share one draw."""
    single = look.market.policy.tie_break is TieBreak.SINGLE
    beside = sum(program.grade == look.program.grade for program in look.market.programs)
    if look.program.tie_break is TieBreak.MULTIPLE and single and beside > 1:
        yield look.finding(
            Check.MANY_NUMBERS,
            f"{look.path}.tie_break",
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong="Under these rules, this program draws its own lottery numbers, and other programs share one "
            f"draw. {COSTS}",
            change="Remove `tie_break`, unless the school needs its own draw.",
        )


def new_numbers(look: Look) -> Iterator[Finding]:
    """Find backfill orders that can reward a false first ranking, also before the backfill round."""
    rule = look.program.backfill
    if rule.fills and rule.order is not Order.WAITLIST and not isinstance(look.program.tie_break, Ranked):
        does = "reverses the lottery numbers" if rule.order is Order.REVERSE else "draws new lottery numbers"
        yield look.finding(
            Check.NEW_NUMBERS,
            f"{look.path}.backfill.order",
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong=f"Under these rules, a backfill round {does} (order: {rule.order}). Over two rounds, a family can "
            "gain "
            "by leaving a wanted school off the first ranking.",
            change="Set the order to “waitlist”, so that a true ranking is best in both rounds. Or accept this "
            "effect for the other benefits of this order.",
        )


def idle_backfill(look: Look) -> Iterator[Finding]:
    """Find parts of a backfill rule without effect, in a backfill round."""
    if look.market.is_backfill:
        for path, why, change in _idle_parts(look):
            yield look.finding(
                Check.BACKFILL_IDLE,
                f"{look.path}.backfill.{path}",
                weight=Weight.NOTE,
                basis=Basis.RULES,
                wrong=f"Under these rules, {why}.",
                change=change,
            )


def _idle_parts(look: Look) -> Sequence[tuple[str, str, str]]:
    rule, found = look.program.backfill, []
    if not rule.fills:
        why = "this part has no effect, because the program takes no new children (fills: false)"
        change = "Remove this part, or set `fills` to true."
        if rule.order is not Order.WAITLIST:
            found.append(("order", why, change))
        if rule.vacated_reserves is VacatedReserves.RELEASE:
            found.append(("vacated_reserves", why, change))
        return found
    if rule.vacated_reserves is VacatedReserves.RELEASE and not look.program.reserves:
        found.append(
            ("vacated_reserves", "this part has no effect, because the program has no reserves", "Remove this part.")
        )
    if isinstance(look.program.tie_break, Ranked) and rule.order is not Order.WAITLIST:
        found.append(("order", _at_a_list(rule.order), "Remove this part if the school's own list must decide."))
    return found


def _at_a_list(order: Order) -> str:
    if order is Order.FRESH:
        return "this part has one effect only: newcomers do not count as late"
    return "this part has no effect, because the school's own list decides instead of lottery numbers"
