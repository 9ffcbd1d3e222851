"""Choices and requests without effect, and programs that no child ranks."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from lottery.lint.applicants import Look
from lottery.lint.conditions import meant_instead
from lottery.lint.findings import Basis, Check, Finding, Place, Weight, about_cycle, counted, few_of
from lottery.lint.overflow import reserves_with_all_seats
from lottery.market.model import Applicant, Market

APPLICANTS = "$.applicants"


# ---- choices that are not considered


def choices_not_considered(looks: Sequence[Look]) -> Iterator[Finding]:
    """Find choices of one school that cannot lead to a seat, by reason."""
    asking = [(look, _newcomers(look)) for look in looks]
    total = sum(look.askers.count(kinds) for look, kinds in asking)
    for reason in (_nobody_new, _not_eligible, _not_listed, _shut_out):
        concerned = [(look, kinds) for look, newcomers in asking if (kinds := reason.kinds(look, newcomers))]
        if concerned:
            yield _not_considered(concerned, reason, total)


def _newcomers(look: Look) -> AbstractSet[int]:
    return {place for place, kind in enumerate(look.askers.kinds) if kind.holds is None}


class _Reason:
    """Why a child who ranks a program cannot get a seat there, and a test that finds these children."""

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
    reserves = reserves_with_all_seats(look)
    if not look.takes_new or not reserves:
        return frozenset()
    considered = look.askers.kinds_in(look.considered) & newcomers
    for reserve in reserves:
        considered -= look.askers.kinds_in(look.askers.cases.meeting(reserve.admits))
    return considered


_nobody_new = _Reason(
    lambda look, newcomers: frozenset() if look.takes_new else newcomers,
    path="backfill.fills",
    why="the program takes no new children in this round",
    change="Tell these families, or let the program fill its seats.",
)
_not_eligible = _Reason(
    _kinds_not_eligible,
    path="eligible",
    why="these children do not meet `eligible`",
    change="Tell these families while they can still change their rankings, or check that the applicants' facts came "
    "in.",
)
_not_listed = _Reason(
    _kinds_not_listed,
    path="tie_break.ranked",
    why="these children are not on the school's own list",
    change="Tell these families while they can still change their rankings, or complete the list.",
)
_shut_out = _Reason(
    _kinds_shut_out,
    path="reserves",
    why="all seats are in closed reserves, and these children do not meet the conditions",
    change="Tell these families while they can still change their rankings, or leave some seats open.",
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
        wrong=f"Right now, {number:,} of the {counted(total, 'choice', 'choices')} that name this school "
        f"cannot lead to a seat: {reason.why}.",
        change=reason.change,
    )


# ---- programs


def lonely_programs(look: Look) -> Iterator[Finding]:
    """Find ranked programs without seats, and programs with seats that no child ranks."""
    kinds = range(len(look.askers.kinds))
    asking = look.askers.count(kinds)
    if asking and not look.program.seats:
        wrong = f"Right now, {counted(asking, 'child ranks', 'children rank')} a program without seats."
        yield _lonely(look, Check.NO_SEATS, wrong, "Add seats, or take the program out of the round.", kinds)
    if look.program.seats and not asking:
        wrong = "Right now, no child ranks this program, so all of its seats stay empty."
        yield _lonely(look, Check.NOT_RANKED, wrong, "Check that families can find the program.", ())


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
    """Find requests of applicants that have no effect."""
    if not market.applicants:
        yield about_cycle(
            Check.NO_APPLICANTS,
            APPLICANTS,
            wrong="This market has no applicants yet, so lint checked the rules alone.",
            change="Run lint again when applications are in.",
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
            wrong=f"Right now, {counted(len(tickets), 'child is', 'children are')} in grade {grade}, and no "
            "program serves this grade.",
            change="Correct the grade, or add a program for this grade.",
            tickets=tickets,
        )


def _rankings(market: Market) -> Iterator[Finding]:
    empty = [a.id for a in market.applicants if not a.ranking and not a.holds]
    if empty:
        yield about_cycle(
            Check.RANKING_EMPTY,
            APPLICANTS,
            wrong=f"Right now, {counted(len(empty), 'child has', 'children have')} an empty ranking and no "
            "held seat, and cannot get a seat.",
            change="Ask these families for their choices, or remove the applications.",
            tickets=empty,
        )
    not_ranked = [a.id for a in market.applicants if a.holds and a.holds.program not in a.ranking]
    if not_ranked:
        yield about_cycle(
            Check.HELD_NOT_RANKED,
            APPLICANTS,
            wrong=f"Right now, {counted(len(not_ranked), 'child does', 'children do')} not rank the seat "
            "that they hold. The held seat counts as the last choice. The child keeps the seat or gets a higher "
            "choice.",
            change="Change nothing if these families want to keep their seats. Remove a held seat that a family gave "
            "up.",
            tickets=not_ranked,
        )
    below = [a.id for a in market.applicants if a.holds and a.holds.program in a.ranking[:-1]]
    if below:
        yield about_cycle(
            Check.BELOW_HELD,
            APPLICANTS,
            wrong=f"Right now, {counted(len(below), 'child ranks', 'children rank')} programs below the "
            "seat that they hold. These choices have no effect: the child keeps the held seat or gets a higher choice.",
            change="Change nothing, or tell these families to rank the programs they prefer above the held seat.",
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
        "they have no household": (lambda one: one.household is None, "Add the household to these applications."),
        "no other applicant is in their household": (
            lambda one: len(households.get(one.household or "", ())) == 1,
            "Check that the siblings' applications have the same household.",
        ),
        "their siblings are in the same grade only, and the match places one grade at a time": (
            lambda one: _same_grade_only(one, households.get(one.household or "", ())),
            "Let twins share a lottery number (policy.twins), and tell families to rank the same programs.",
        ),
    }
    for why, (test, change) in tests.items():
        concerned = [applicant.id for applicant in wishing if test(applicant)]
        if concerned:
            yield about_cycle(
                Check.TOGETHER_IDLE,
                APPLICANTS,
                wrong=f"Right now, the wish to be together has no effect for "
                f"{counted(len(concerned), 'child', 'children')}: {why}.",
                change=change,
                tickets=concerned,
            )


def _same_grade_only(applicant: Applicant, household: Collection[Applicant]) -> bool:
    return len(household) > 1 and all(member.grade == applicant.grade for member in household)


# ---- schools


def _schools_unknown(market: Market) -> Iterator[Finding]:
    """Find facts about a school without a program, where a school with almost the same name has a program."""
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
                wrong=f"Right now, {counted(len(tickets), 'child has', 'children have')} facts about school "
                f"“{school}”, and this school has no program.",
                change=f"Write “{meant}” if this is the school you mean.",
                tickets=tickets,
            )
