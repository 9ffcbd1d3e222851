"""What applicants ask for that does nothing, and programs for which nobody asks."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from lottery.lint.applicants import Look
from lottery.lint.conditions import meant_instead
from lottery.lint.findings import Basis, Check, Finding, Place, Weight, about_cycle, counted, few_of
from lottery.market.model import Applicant, Market

APPLICANTS = "$.applicants"


# ---- choices that are not considered


def choices_not_considered(looks: Sequence[Look]) -> Iterator[Finding]:
    """Find, at one school, by how many a program is ranked who are not considered there, by the reason."""
    asking = [(look, _newcomers(look)) for look in looks]
    total = sum(look.askers.count(kinds) for look, kinds in asking)
    for reason in (_nobody_new, _not_eligible, _not_listed, _shut_out):
        concerned = [(look, kinds) for look, newcomers in asking if (kinds := reason.kinds(look, newcomers))]
        if concerned:
            yield _not_considered(concerned, reason, total)


def _newcomers(look: Look) -> AbstractSet[int]:
    return {place for place, kind in enumerate(look.askers.kinds) if kind.holds is None}


class _Reason:
    """Why a child who ranks a program cannot be placed there, with those of whom it is true."""

    def __init__(
        self, kinds: Callable[[Look, AbstractSet[int]], AbstractSet[int]], *, path: str, why: str, change: str
    ) -> None:
        self.kinds = kinds
        self.path = path
        self.why = why
        self.change = change


def _kinds_not_eligible(look: Look, newcomers: AbstractSet[int]) -> AbstractSet[int]:
    return newcomers - look.askers.kinds_in(look.eligible) if look.takes_new else frozenset()


def _kinds_not_listed(look: Look, newcomers: AbstractSet[int]) -> AbstractSet[int]:
    unlisted = {place for place in newcomers if not look.askers.kinds[place].listed}
    return unlisted - _kinds_not_eligible(look, newcomers) if look.takes_new else frozenset()


def _kinds_shut_out(look: Look, newcomers: AbstractSet[int]) -> AbstractSet[int]:
    with_seats = [group for group, seats in look.seats.items() if seats]
    reserves = [look.program.reserve(group) for group in with_seats]
    if not look.takes_new or not reserves or any(reserve is None or not reserve.closed for reserve in reserves):
        return frozenset()
    considered = look.askers.kinds_in(look.considered) & newcomers
    for reserve in reserves:
        if reserve:
            considered -= look.askers.kinds_in(look.askers.cases.meeting(reserve.when))
    return considered


_nobody_new = _Reason(
    lambda look, newcomers: frozenset() if look.takes_new else newcomers,
    path="backfill.fills",
    why="since the program takes nobody new in this round",
    change="Tell these families, or let the program fill its seats.",
)
_not_eligible = _Reason(
    _kinds_not_eligible,
    path="eligible",
    why="since the child does not meet `eligible`",
    change="Tell these families while they can still rank others, or check that their facts came in.",
)
_not_listed = _Reason(
    _kinds_not_listed,
    path="tie_break.ranked",
    why="since the child is not on the school's own list",
    change="Tell these families while they can still rank others, or complete the list.",
)
_shut_out = _Reason(
    _kinds_shut_out,
    path="reserves",
    why="since all seats are in closed reserves whose conditions the child does not meet",
    change="Tell these families while they can still rank others, or leave seats open.",
)


def _not_considered(concerned: Sequence[tuple[Look, AbstractSet[int]]], reason: _Reason, total: int) -> Finding:
    number = sum(look.askers.count(kinds) for look, kinds in concerned)
    tickets = {ticket for look, kinds in concerned for ticket in few_of(look.askers.tickets(kinds))}
    return Finding(
        check=Check.NOT_CONSIDERED,
        weight=Weight.NOTE,
        basis=Basis.APPLICANTS,
        school=concerned[0][0].program.school,
        places=tuple(Place(look.program.id, f"{look.path}.{reason.path}") for look, _ in concerned),
        group=None,
        class_=None,
        applicants=number,
        tickets=few_of(tickets),
        wrong=f"In this market {number:,} of the {counted(total, 'choice', 'choices')} of this school "
        f"{'is' if number == 1 else 'are'} in vain, {reason.why}.",
        change=reason.change,
    )


# ---- programs


def lonely_programs(look: Look) -> Iterator[Finding]:
    """Find programs without seats that are ranked, and programs with seats that nobody ranks."""
    kinds = range(len(look.askers.kinds))
    asking = look.askers.count(kinds)
    if asking and not look.program.seats:
        wrong = f"In this market {counted(asking, 'child ranks', 'children rank')} the program, which has no seats."
        yield _lonely(look, Check.NO_SEATS, wrong, "Give it seats, or take it out of the round.", kinds)
    if look.program.seats and not asking:
        wrong = "In this market nobody ranks the program, so all its seats stay empty."
        yield _lonely(look, Check.NOT_RANKED, wrong, "Check that families could find it.", ())


def _lonely(look: Look, check: Check, wrong: str, change: str, kinds: Iterable[int]) -> Finding:
    return look.finding(
        check,
        f"{look.path}.seats",
        weight=Weight.NOTE,
        basis=Basis.APPLICANTS,
        wrong=wrong,
        change=change,
        kinds=kinds,
    )


# ---- applicants


def applicants_of_cycle(market: Market) -> Iterator[Finding]:
    """Find what many applicants ask for that does nothing."""
    if not market.applicants:
        yield about_cycle(
            Check.NO_APPLICANTS,
            APPLICANTS,
            wrong="In this market there are no applicants: only what follows from the rules alone is said.",
            change="Lint again once applications are in.",
        )
    yield from _grades_without_programs(market)
    yield from _rankings(market)
    yield from _together(market)
    yield from _schools_unknown(market)


def _grades_without_programs(market: Market) -> Iterator[Finding]:
    offered = {program.grade for program in market.programs}
    grades: defaultdict[str, list[str]] = defaultdict(list)
    for applicant in market.applicants:
        if applicant.grade not in offered:
            grades[applicant.grade].append(applicant.id)
    for grade, tickets in sorted(grades.items()):
        yield about_cycle(
            Check.GRADE_WITHOUT_PROGRAM,
            APPLICANTS,
            wrong=f"In this market {counted(len(tickets), 'applicant is', 'applicants are')} of grade {grade}, for "
            "which there is no program.",
            change="Correct the grade, or offer one.",
            tickets=tickets,
        )


def _rankings(market: Market) -> Iterator[Finding]:
    empty = [a.id for a in market.applicants if not a.ranking and not a.holds]
    if empty:
        yield about_cycle(
            Check.RANKING_EMPTY,
            APPLICANTS,
            wrong=f"In this market {counted(len(empty), 'applicant ranks', 'applicants rank')} nothing, holds no seat, "
            "and gets none.",
            change="Ask these families, or leave them out.",
            tickets=empty,
        )
    not_ranked = [a.id for a in market.applicants if a.holds and a.holds.program not in a.ranking]
    if not_ranked:
        yield about_cycle(
            Check.HELD_NOT_RANKED,
            APPLICANTS,
            wrong=f"In this market {counted(len(not_ranked), 'applicant does', 'applicants do')} not rank the seat "
            "that they hold: it counts as their last choice, and they keep it unless placed higher.",
            change="Nothing, if they mean to keep it; who gives it up must not hold it.",
            tickets=not_ranked,
        )
    below = [a.id for a in market.applicants if a.holds and a.holds.program in a.ranking[:-1]]
    if below:
        yield about_cycle(
            Check.BELOW_HELD,
            APPLICANTS,
            wrong=f"In this market {counted(len(below), 'applicant ranks', 'applicants rank')} programs below the seat "
            "that they hold: these choices count for nothing, since they end at that seat or higher.",
            change="Nothing; or tell these families to rank above it what they would rather have.",
            tickets=below,
        )


# ---- together


def _together(market: Market) -> Iterator[Finding]:
    households: defaultdict[str, list[Applicant]] = defaultdict(list)
    for applicant in market.applicants:
        if applicant.household is not None:
            households[applicant.household].append(applicant)
    wishing = [applicant for applicant in market.applicants if applicant.together]
    tests: Mapping[str, tuple[Callable[[Applicant], bool], str]] = {
        "are said to be of no household": (lambda one: one.household is None, "Give them their household."),
        "are alone in their household": (
            lambda one: len(households.get(one.household or "", ())) == 1,
            "Check that their siblings' applications are of the same household.",
        ),
        "have siblings of the same grade only, who are matched at the same time": (
            lambda one: _same_grade_only(one, households.get(one.household or "", ())),
            "Twins who share a number (policy.twins) and rank alike mostly end together; nothing else does it.",
        ),
    }
    for why, (test, change) in tests.items():
        concerned = [applicant.id for applicant in wishing if test(applicant)]
        if concerned:
            yield about_cycle(
                Check.TOGETHER_IDLE,
                APPLICANTS,
                wrong=f"In this market the wish to be together does nothing for "
                f"{counted(len(concerned), 'applicant', 'applicants')} who {why}.",
                change=change,
                tickets=concerned,
            )


def _same_grade_only(applicant: Applicant, household: Collection[Applicant]) -> bool:
    return len(household) > 1 and all(member.grade == applicant.grade for member in household)


# ---- schools


def _schools_unknown(market: Market) -> Iterator[Finding]:
    """Find facts at a school that has no program, where one with nearly that name has."""
    known = {program.school for program in market.programs}
    concerned: defaultdict[str, list[str]] = defaultdict(list)
    for applicant in market.applicants:
        for school in applicant.at:
            if school not in known:
                concerned[school].append(applicant.id)
    for school, tickets in sorted(concerned.items()):
        meant = meant_instead(school, known)
        if meant:
            yield about_cycle(
                Check.SCHOOL_UNKNOWN,
                APPLICANTS,
                wrong=f"In this market {counted(len(tickets), 'applicant has', 'applicants have')} facts at school "
                f"“{school}”, which has no program.",
                change=f"Write “{meant}”, if that is meant.",
                tickets=tickets,
            )
