"""What a cycle settles for all schools, and what schools settle about numbers and backfill."""

from collections import Counter
from collections.abc import Iterator, Sequence

from lottery.lint.applicants import Look
from lottery.lint.findings import Basis, Check, Finding, Weight, about_cycle, counted
from lottery.market.model import Late, Market, Twins
from lottery.market.rules import Order, Program, Ranked, TieBreak, VacatedReserves, depends_on_siblings

COSTS = (
    "where seats are short, one number a child for all of them usually gives more children their first choice "
    "(Ashlagi & Nikzad 2020; DC's own test)"
)


# ---- the cycle's


def policy_of_cycle(market: Market) -> Iterator[Finding]:
    """Find what the cycle's policy does that is worth knowing."""
    yield from _many_numbers(market)
    yield from _late_equal(market)
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
            wrong=f"By the rules alone, each of {len(drawing):,} programs draws numbers of its own: {COSTS}.",
            change="Write “single”, unless programs that draw apart are wanted.",
        )


def _late_equal(market: Market) -> Iterator[Finding]:
    if market.policy.late is not Late.EQUAL:
        return
    late = [applicant.id for applicant in market.applicants if applicant.late]
    if late:
        yield about_cycle(
            Check.LATE_EQUAL,
            "$.policy.late",
            wrong=f"In this market {counted(len(late), 'application', 'applications')} came late and count as if they "
            "had come in time.",
            change="Write “after” or “within”, if late ones are to stand behind.",
            tickets=late,
        )
    newcomers = [applicant.id for applicant in market.applicants if applicant.drawn_in == market.round.id]
    puts_behind = any(map(_puts_newcomers_behind, market.programs))
    if market.is_backfill and puts_behind and 0 < len(newcomers) < len(market.applicants):
        yield about_cycle(
            Check.LATE_EQUAL,
            "$.policy.late",
            wrong=f"In this market {counted(len(newcomers), 'newcomer', 'newcomers')} of this round may overtake those "
            "who waited: they would stand behind as late ones do, and “equal” knows no late ones.",
            change="Write “after” or “within” for this round.",
            tickets=newcomers,
        )


def _puts_newcomers_behind(program: Program) -> bool:
    return program.backfill.fills and program.backfill.order is not Order.FRESH


def _grade_order(market: Market) -> Iterator[Finding]:
    if market.policy.grade_order and not market.siblings_matter():
        yield about_cycle(
            Check.GRADE_ORDER_IGNORED,
            "$.policy.grade_order",
            wrong="In this market the order of grades changes nothing: no rule asks whether a sibling was placed, and "
            "no applicant wishes to be together with one.",
            change="Nothing; or check that these wishes came in, and that rules ask for `sibling_placed`.",
        )


def _sibling_reports(market: Market) -> Iterator[Finding]:
    rules = sum(any(map(depends_on_siblings, program.conditions())) for program in market.programs)
    together = [applicant.id for applicant in market.applicants if applicant.together]
    if rules or together:
        yield about_cycle(
            Check.SIBLING_REPORTS,
            "$.policy.grade_order",
            wrong=f"In this market {counted(rules, 'program asks', 'programs ask')} whether a sibling was placed, and "
            f"{counted(len(together), 'applicant wishes', 'applicants wish')} to be together with one: in small "
            "markets a family can gain by hiding an elder child's true choice, or by what it reports about siblings.",
            change="Check who is of one household before the draw; a fact about siblings who attend (at_school) hangs "
            "on no ranking.",
        )


def _twins(market: Market) -> Iterator[Finding]:
    if market.policy.twins is not Twins.SHARE or not market.applicants:
        return
    families = Counter((a.household, a.grade) for a in market.applicants if a.household is not None)
    if not any(children > 1 for children in families.values()):
        yield about_cycle(
            Check.TWINS_IDLE,
            "$.policy.twins",
            wrong="In this market no two applicants are of one household and grade, so nobody shares a number.",
            change="Nothing, if that is so; else check that households came in.",
        )


# ---- a school's


def numbers_of_its_own(look: Look) -> Iterator[Finding]:
    """Find a program that draws numbers of its own beside others that do not."""
    single = look.market.policy.tie_break is TieBreak.SINGLE
    beside = sum(program.grade == look.program.grade for program in look.market.programs)
    if look.program.tie_break is TieBreak.MULTIPLE and single and beside > 1:
        yield look.finding(
            Check.MANY_NUMBERS,
            f"{look.path}.tie_break",
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong=f"By the rules alone, it draws numbers of its own beside others' common one: {COSTS}.",
            change="Leave `tie_break` out, unless the school wants a draw of its own.",
        )


def new_numbers(look: Look) -> Iterator[Finding]:
    """Find orders of a backfill round under which a false first ranking can pay, also before there is such a round."""
    rule = look.program.backfill
    if rule.fills and rule.order is not Order.WAITLIST and not isinstance(look.program.tie_break, Ranked):
        does = "turns the numbers round" if rule.order is Order.REVERSE else "draws new numbers"
        yield look.finding(
            Check.NEW_NUMBERS,
            f"{look.path}.backfill.order",
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong=f"By the rules alone, a backfill round {does} (order: {rule.order}): over two rounds a family "
            "can gain by leaving a true choice out of its first ranking.",
            change="Write “waitlist”, where the truth is best in both rounds; or keep it for what else it is good for.",
        )


def idle_backfill(look: Look) -> Iterator[Finding]:
    """Find, in a backfill round, parts of a backfill rule that change nothing."""
    if look.market.is_backfill:
        for path, why, change in _idle_parts(look):
            yield look.finding(
                Check.BACKFILL_IDLE,
                f"{look.path}.backfill.{path}",
                weight=Weight.NOTE,
                basis=Basis.RULES,
                wrong=f"By the rules alone, {why}.",
                change=change,
            )


def _idle_parts(look: Look) -> Sequence[tuple[str, str, str]]:
    rule, found = look.program.backfill, []
    if not rule.fills:
        why = "it changes nothing, since the program takes nobody new (fills: false)"
        change = "Leave it out, or write “fills”: true."
        if rule.order is not Order.WAITLIST:
            found.append(("order", why, change))
        if rule.vacated_reserves is VacatedReserves.RELEASE:
            found.append(("vacated_reserves", why, change))
        return found
    if rule.vacated_reserves is VacatedReserves.RELEASE and not look.program.reserves:
        found.append(("vacated_reserves", "it changes nothing, since the program has no reserves", "Leave it out."))
    if isinstance(look.program.tie_break, Ranked) and rule.order is not Order.WAITLIST:
        found.append(("order", _at_a_list(rule.order), "Leave it out, if the list's order is meant."))
    return found


def _at_a_list(order: Order) -> str:
    if order is Order.FRESH:
        return "it does not touch the school's own list; all it does is that newcomers do not count as late"
    return "it changes nothing, since the school's own list decides instead of numbers"
