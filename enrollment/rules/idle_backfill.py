"""Backfill rules that fill no seat, or have parts without effect."""

from collections.abc import Iterator
from datetime import date

from enrollment.dates import Value
from enrollment.problems import sentence
from enrollment.rules.findings import RulesFinding
from enrollment.rules.model import BackfillInput
from lottery.lint.findings import Weight

AT = "/backfill"


def idle_backfill(rule: BackfillInput, grade: str, *, today: date, main_round_over: date) -> Iterator[RulesFinding]:
    """Find the parts of a backfill rule that keep a program from filling seats, or that change nothing.

    Args:
        rule: the rule.
        grade: the program's grade.
        today: today in the cycle's time zone.
        main_round_over: the last known day of the main round.
    """
    if rule.never:
        if _says_more(rule):
            yield _never()
        return
    if rule.grades is None and rule.entry_grades:
        detail = sentence(
            "Every grade already fills seats that open later, so entry_grades has no effect. Limit grades to some "
            "grades, or remove entry_grades."
        )
        yield RulesFinding("entry-grades-idle", Weight.NOTE, f"{AT}/entry_grades", detail)
    if rule.at_most == 0:
        detail = sentence("at_most is 0, so a round fills no open seat. Set a larger number, or set never to true.")
        yield RulesFinding("at-most-zero", Weight.CANNOT, f"{AT}/at_most", detail)
    if rule.grades is None or grade in [*rule.grades, *rule.entry_grades]:
        yield from _last_date(rule, grade, today=today, main_round_over=main_round_over)


def _says_more(rule: BackfillInput) -> bool:
    plain = BackfillInput(never=True, hours_to_answer=rule.hours_to_answer)
    return rule != plain


def _never() -> RulesFinding:
    detail = sentence(
        "never is true, so seats that open later stay empty, and the other parts of the backfill rule have no effect. "
        "Remove the other parts, or set never to false."
    )
    return RulesFinding("backfill-never", Weight.CANNOT, f"{AT}/never", detail)


def _last_date(rule: BackfillInput, grade: str, *, today: date, main_round_over: date) -> Iterator[RulesFinding]:
    last = rule.last_date_by_grade.get(grade, rule.last_date)
    if last is None:
        return
    pointer = f"{AT}/last_date_by_grade/{grade}" if grade in rule.last_date_by_grade else f"{AT}/last_date"
    values: dict[str, Value] = {"date": last, "over": main_round_over}
    if last < today:
        detail = sentence("The last date, {date}, has passed, so no seat is filled. Set a later date.")
        yield RulesFinding("last-date-past", Weight.CANNOT, pointer, detail, values)
    elif last < main_round_over:
        detail = sentence(
            "The last date, {date}, is before the end of the main round ({over}), so no seat is filled later. Set a "
            "later date."
        )
        yield RulesFinding("last-date-early", Weight.CANNOT, pointer, detail, values)
