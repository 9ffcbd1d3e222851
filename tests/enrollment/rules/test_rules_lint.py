"""Lint warns of rules that cannot do what they say: when they are saved, proposed and read, and before that."""

import string
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import httpx2
import pytest

from enrollment.languages import in_language, languages
from enrollment.rules.findings import ABOUT_OTHERS, BY_APPLICANTS, BY_RULES
from enrollment.rules.idle_backfill import idle_backfill
from enrollment.rules.lint_pointers import LintedProgram, findings_at
from enrollment.rules.model import BackfillInput, RulesInput, resolve
from enrollment.rules.to_market import ProgramContext, read_back, write_program
from lottery.lint import lint_rules
from lottery.lint.findings import Check
from lottery.market.canonical import Json
from lottery.market.model import Kind, Market, Policy, Round
from people import Caller, Service
from rules_spoken import (
    CYCLE,
    OPERATOR,
    PROGRAM,
    SCHOOL,
    SIBLING,
    WHY,
    city,
    faults,
    open_now,
    propose,
    put,
    rules_put,
    say,
)

EVERYONE: Mapping[str, Json] = {"name": "all", "when": {"everyone": True}}
TENTH: Mapping[str, Json] = {"name": "ell", "percent": 10, "when": {"has": "ell"}}
FAULTY: Mapping[str, Json] = {
    "seats": {"match": 3},
    "classes": [EVERYONE, SIBLING],
    "reserves": [TENTH],
    "tie_break": {"ranked": []},
    "backfill": {"last_date": "2026-01-01"},
}
FOUND = {
    ("/rules/classes/0", "class-for-all"),
    ("/rules/classes/1", "class-unreachable"),
    ("/rules/reserves/0", "reserve-without-seats"),
    ("/rules/tie_break/ranked", "list-empty"),
    ("/rules/backfill/last_date", "last-date-past"),
}


def shown(findings: Sequence[Mapping[str, str]]) -> set[tuple[str, str]]:
    """Return the places and codes of findings."""
    return {(finding["pointer"], finding["code"]) for finding in findings}


def lint(caller: Caller, path: str, rules: Mapping[str, Json]) -> httpx2.Response:
    """Lint rules."""
    return caller.post(f"{path}/lint", say(rules))


def test_rules_that_cannot_do_what_they_say_are_saved_with_a_warning(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    before = lint(school, PROGRAM, FAULTY)
    assert before.status_code == 200, before.text
    assert rules_put(service) == []
    saved = put(school, PROGRAM, FAULTY)
    assert saved.status_code == 200, saved.text
    read = service.stranger().get(PROGRAM)
    for answer in (before, saved, read):
        findings = answer.json()["findings"]
        assert shown(findings) == FOUND
        assert all(finding["programs"] == ["lincoln-kg"] and finding["detail"] for finding in findings)
    in_spanish = service.stranger().get(PROGRAM, {"Accept-Language": "es"}).json()["findings"]
    assert {one["detail"] for one in in_spanish}.isdisjoint(one["detail"] for one in read.json()["findings"])


def test_an_operators_findings_name_the_programs_and_parts_of_other_levels_the_whole_body(service: Service) -> None:
    city(service)
    school, district = service.school_staff("lincoln"), service.operator_staff("district", "dora")
    put(school, SCHOOL, {"classes": [EVERYONE, SIBLING]})
    never: Json = {"never": True, "grades": ["KG"]}
    again: Json = {"name": "again", "when": SIBLING["when"]}
    found = lint(district, OPERATOR, {"classes": [SIBLING, again], "backfill": never}).json()["findings"]
    assert [(one["pointer"], one["code"], one["weight"], one["programs"]) for one in found] == [
        ("/rules/classes/1", "class-unreachable", "cannot", ["adams-kg"]),
        ("/rules/backfill/never", "backfill-never", "cannot", ["adams-kg", "lincoln-kg"]),
    ]
    of_school = lint(school, SCHOOL, {"classes": [EVERYONE]}).json()["findings"]
    assert [(one["pointer"], one["code"], one["programs"]) for one in of_school] == [
        ("/rules/classes/0", "class-for-all", ["lincoln-kg"])
    ]
    inherited = lint(school, PROGRAM, {"seats": {"match": 5}}).json()["findings"]
    assert shown(inherited) == {("/rules", "class-unreachable"), ("/rules", "class-for-all")}


def test_who_proposes_and_who_approves_reads_the_findings(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    change = propose(school, PROGRAM, FAULTY)
    asked = school.get(PROGRAM).json()
    assert (asked["findings"], shown(asked["change"]["findings"])) == ([], FOUND)
    administrator = service.administrator("bob")
    (waiting,) = administrator.get(f"{CYCLE}/rules-changes").json()["data"]
    approved = administrator.post(f"/v1/rules-changes/{change}/approve", {"reason": WHY})
    assert (shown(waiting["findings"]), shown(approved.json()["findings"])) == (FOUND, FOUND)
    again = propose(school, PROGRAM, {**FAULTY, "classes": [EVERYONE]})
    refused = administrator.post(f"/v1/rules-changes/{again}/refuse", {"reason": WHY})
    assert refused.json()["findings"] == []


def test_lint_of_rules_without_seats_counts_the_seats_that_the_school_committed_as_saving_does(
    service: Service,
) -> None:
    city(service)
    school, reverse = service.school_staff("lincoln"), {"backfill": {"order": "reverse"}}
    linted, saved = lint(school, PROGRAM, reverse), put(school, PROGRAM, reverse)
    assert (linted.status_code, saved.status_code) == (200, 200), linted.text
    assert linted.json()["findings"] == saved.json()["findings"] != []


def test_lint_refuses_what_saving_refuses_and_lets_only_those_in_who_may_save(service: Service) -> None:
    city(service)
    lincoln, adams, partner = service.school_staff("lincoln"), service.school_staff("adams"), service.partner()
    assert faults(lint(lincoln, PROGRAM, {"seats": {"match": 3}, "eligible": {"has": "wealth"}})) == {
        ("/rules/eligible/has", "unknown-fact")
    }
    assert lint(lincoln, PROGRAM, {"seats": "many"}).status_code == 422
    for path in (OPERATOR, SCHOOL, PROGRAM):
        assert service.stranger().post(f"{path}/lint", say({})).status_code == 401
        assert adams.post(f"{path}/lint", say({})).status_code == 404
        assert partner.post(f"{path}/lint", say({})).status_code == 403
    assert service.administrator().post(f"{CYCLE}/programs/none/rules/lint", say({})).status_code == 404


# ---- single rules


def found_in(**parts: Json) -> set[tuple[str, str]]:
    """Return the places and codes of what lint finds in rules with three seats, in a school with zone Z1."""
    said = RulesInput.model_validate({"seats": {"match": 3}, **parts})
    rules = resolve(operator=None, school=None, program=said).rules
    written = write_program(rules, ProgramContext("lincoln-KG", "lincoln", "KG", ["Z1"]))
    market = read_back(written.document)  # type: ignore[arg-type]  # a program is an object
    findings = lint_rules(Market(Round("lint", Kind.MAIN), Policy(grade_order=("KG",)), (market,), ()))
    return {(one.pointer, one.code) for one in findings_at(LintedProgram(rules, written, market), findings)}


OWN: Json = {"own_zone": True}
GUARANTEE: Json = {"rule": "guarantee"}
OWN_ZONE_FIRST: Mapping[str, Json] = {"name": "r", "seats": 1, "when": OWN}
X: Json = {"has": "x"}


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ({"neighborhood": {"rule": "reserve", "percent": 10, "filled": "open-seats-first"}}, "/neighborhood"),
        ({"neighborhood": {"rule": "only"}, "reserves": [{"name": "r", "seats": 1, "when": OWN}]}, "/reserves/0"),
        ({"neighborhood": {"rule": "only"}, "eligible": {"not": OWN}}, "/eligible"),
        ({"classes": [{"name": "a", "when": {"all": [OWN, {"any": [OWN, {"has": "x"}]}]}}]}, "/classes/0/when/all/1"),
        ({"classes": [{"name": "a", "when": {"sibling_placed": True}}]}, "/classes/0/when/sibling_placed"),
        ({"classes": [SIBLING], "tie_break": {"ranked": ["t"]}}, "/classes"),
        ({"reserves": [{"name": "r", "seats": 3, "when": OWN, "overflow": "closed"}]}, "/reserves"),
        ({"reserves": [{**OWN_ZONE_FIRST, "overflow": {"to": {"not": OWN}}}]}, "/reserves/0/overflow/to"),
        ({"reserves": [{**OWN_ZONE_FIRST, "overflow": {"to": {"any": [X, X]}}}]}, "/reserves/0/overflow/to/any/1"),
        ({"reserves": [{**OWN_ZONE_FIRST, "seats": 3, "overflow": {"to": X}}]}, "/reserves"),
    ],
)
def test_a_finding_points_into_the_rules_as_they_are_said(rules: dict[str, Json], found: str) -> None:
    assert [pointer for pointer, _ in found_in(**rules)] == [found]


def test_a_guarantee_makes_no_findings_of_its_own() -> None:
    near: Json = {"name": "near", "when": {"all": [OWN, {"has": "frl"}]}}
    assert found_in(classes=[near, SIBLING], neighborhood=GUARANTEE) == set()
    assert found_in(classes=[{"name": "b", "when": {"any": [OWN, {"has": "x"}]}}], neighborhood=GUARANTEE) == set()


def test_a_guarantee_hides_no_finding_about_a_class() -> None:
    assert found_in(classes=[EVERYONE, SIBLING], neighborhood=GUARANTEE) == {
        ("/classes/0", "class-for-all"),
        ("/classes/1", "class-unreachable"),
    }


TODAY = date(2027, 3, 1)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (BackfillInput(last_date=TODAY), set()),
        (BackfillInput(last_date=TODAY - timedelta(days=1)), {("/backfill/last_date", "last-date-past")}),
        (BackfillInput(last_date=TODAY, grades=["01"]), set()),
        (
            BackfillInput(last_date_by_grade={"KG": date(2027, 2, 1)}, last_date=date(2028, 1, 1)),
            {("/backfill/last_date_by_grade/KG", "last-date-past")},
        ),
        (BackfillInput(never=True), set()),
        (BackfillInput(never=True, hours_to_answer=5), set()),
        (BackfillInput(never=True, grades=[]), {("/backfill/never", "backfill-never")}),
        (BackfillInput(never=True, last_date=date(2020, 1, 1)), {("/backfill/never", "backfill-never")}),
        (BackfillInput(entry_grades=["KG"]), {("/backfill/entry_grades", "entry-grades-idle")}),
        (BackfillInput(entry_grades=["KG"], grades=[]), set()),
        (BackfillInput(at_most=0), {("/backfill/at_most", "at-most-zero")}),
    ],
)
def test_a_backfill_rule_that_fills_no_seat_is_found(rule: BackfillInput, found: set[tuple[str, str]]) -> None:
    made = idle_backfill(rule, "KG", today=TODAY, main_round_over=date(2027, 2, 20))
    assert {(one.pointer, one.code) for one in made} == found


def test_a_last_date_before_the_end_of_the_main_round_is_found() -> None:
    rule = BackfillInput(last_date=date(2027, 4, 1))
    (found,) = idle_backfill(rule, "KG", today=TODAY, main_round_over=date(2027, 4, 2))
    assert (found.code, found.values["over"]) == ("last-date-early", date(2027, 4, 2))


def test_each_check_of_the_lottery_has_a_sentence_in_each_language_or_is_about_something_else() -> None:
    assert {Check.RESERVE_IDLE, Check.NO_SEATS, Check.NOT_RANKED} < ABOUT_OTHERS
    values: dict[str, str | int] = {"class": "sibling", "reserve": "ell", "seats": 3, "number": 2}
    for sentences in (BY_RULES, BY_APPLICANTS):
        for text in sentences.values():
            names = {name for _, name, _, _ in string.Formatter().parse(text) if name}
            said = {in_language(language)(text, **values) for language in languages()}
            assert len(said) == len(languages()), text
            assert names <= values.keys()
