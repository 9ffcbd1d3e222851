"""Everything that a family reads about one child, held against the tables and against each other."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import RowMapping

from enrollment.database import transaction
from reading_grade import too_hard
from rounds_by_hand import CYCLE, City
from summer_city import rows_of

Answer: TypeAlias = dict[str, Any]  # type: ignore[explicit-any]  # a document of any depth

LIVE = ("open", "accepted")
STATUSES = {"open": "offered", "accepted": "accepted"}


@dataclass(frozen=True, slots=True)
class Texts:
    """What a family reads about a child at one moment."""

    result: Answer
    explanation: Answer
    offers: Sequence[Answer]
    places: Sequence[Answer]
    history: Sequence[Answer]
    ranking: Answer
    versions: Sequence[Answer]
    notices: Sequence[Answer]
    """The notices about the child, the oldest first."""


def read_texts(city: City, reference: str, notices: Sequence[Answer]) -> Texts:
    """Read everything about a child with an active application."""

    def read(what: str) -> Answer:
        answer = city.portal.get(f"{CYCLE}/applicants/{reference}/{what}")
        assert answer.status_code == 200, answer.text
        found: Answer = answer.json()
        return found

    return Texts(
        result=read("result"),
        explanation=read("explanation"),
        offers=read("offers")["data"],
        places=read("waitlists")["places"],
        history=read("waitlists/history?limit=200")["data"],
        ranking=read("ranking"),
        versions=read("ranking/versions?limit=200")["data"],
        notices=[notice for notice in notices if notice["about"].get("reference") == reference],
    )


def all_texts_agree(city: City) -> int:
    """Check everything that families read about the children with active applications. Return their number."""
    rows = _rows(city, "SELECT * FROM applicant WHERE withdrawn_at IS NULL ORDER BY reference")
    notices: list[Answer] = []
    cursor = ""
    while True:
        page = city.portal.get(f"{CYCLE}/notices?limit=200{cursor}").json()
        notices += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    for row in rows:
        texts = read_texts(city, row["reference"], notices)
        offers = _rows(city, "SELECT * FROM offer WHERE child_id = :child ORDER BY made_at DESC", child=row["child_id"])
        _the_round_is_told_as_it_was(city, texts)
        _the_seat_is_the_same_everywhere(texts, offers)
        _nobody_is_asked_to_answer_what_is_closed(texts)
        _places_are_the_same_everywhere(city, texts, row)
        _each_seat_is_told_once(texts, offers)
        _lateness_follows_from_the_deadline(city, texts)
    return len(rows)


def _the_round_is_told_as_it_was(city: City, texts: Texts) -> None:
    result = texts.result
    for told in ([result["detail"]], texts.explanation["lines"], *[[one["detail"]] for one in texts.offers]):
        assert too_hard("\n".join(told)) == []
    placed = _rows(
        city,
        "SELECT * FROM placement WHERE round_id = :round AND tag = :tag",
        round=result["round"],
        tag=result["ticket"],
    )
    seat = result["placement"]
    assert [row["program_id"] for row in placed] == ([seat["program"]] if seat else []), result
    assert result["detail"] == f"{result['round_detail']} {result['now']['detail']}"
    round_line = result["round_detail"].split(". ")[0]
    assert round_line in texts.explanation["lines"][0 if result["excluded"] else 1]
    waiting = _rows(
        city,
        "SELECT program_id, place FROM waiting_place WHERE round_id = :round AND tag = :tag",
        round=result["round"],
        tag=result["ticket"],
    )
    told = re.findall(r"After this round, your child was number (\d+) ", "\n".join(texts.explanation["lines"]))
    if result["excluded"] is None:
        assert sorted(map(int, told)) == sorted(row["place"] for row in waiting)
    if result["not_listed"]:
        assert "did not list your child" in result["round_detail"]
        assert "did not list your child" in "\n".join(texts.explanation["lines"])
        assert not {one["program"] for one in result["not_listed"]} & {place["program"] for place in texts.places}


def _the_seat_is_the_same_everywhere(texts: Texts, offers: Sequence[RowMapping]) -> None:
    now, live = texts.result["now"], [offer for offer in offers if offer["status"] in LIVE]
    assert [str(offer["id"]) for offer in live] == ([now["seat"]["offer"]] if now["seat"] else [])
    assert [(one["id"], one["status"]) for one in texts.offers] == [(str(one["id"]), one["status"]) for one in offers]
    assert {**texts.explanation["now"], "at": ""} | {"detail": ""} == {**now, "at": ""} | {"detail": ""}
    lost = max((one for one in offers if one["status"] not in LIVE), key=lambda one: one["closed_at"], default=None)
    if live:
        assert now["status"] == STATUSES[live[0]["status"]]
        assert now["seat"]["program"] == live[0]["program_id"]
        (mine,) = [one for one in texts.offers if one["status"] in LIVE]
        assert mine["detail"] in now["detail"]
        assert "no seat now" not in texts.result["detail"]
    else:
        assert now["status"] == (lost["status"] if lost else "no-seat")
        assert "Your child has no seat now." in now["detail"]
    if lost and not live:
        (mine,) = [one for one in texts.offers if one["id"] == str(lost["id"])]
        assert mine["detail"] in now["detail"]
    placement = texts.result["placement"]
    at_program = [one["status"] for one in offers if placement and one["program_id"] == placement["program"]]
    assert texts.result["placement_status"] == (at_program[0] if at_program else None)
    assert any("This is how things stand on " in line for line in texts.explanation["lines"])


def _nobody_is_asked_to_answer_what_is_closed(texts: Texts) -> None:
    asked = {one["id"] for one in texts.offers if one["needs_answer"]}
    seat = texts.result["now"]["seat"]
    assert asked == ({seat["offer"]} if seat and seat["needs_answer"] else set())
    for one in texts.offers:
        assert ("Please answer" in one["detail"]) == one["needs_answer"], one
    for text in (texts.result["detail"], "\n".join(texts.explanation["lines"])):
        assert ("Please answer" in text) == bool(asked), text
        assert "What to do next: answer" not in text


def _places_are_the_same_everywhere(city: City, texts: Texts, row: RowMapping) -> None:
    stored = _rows(
        city,
        "SELECT program_id, seat_group, place FROM waitlist_place WHERE child_id = :child",
        child=row["child_id"],
    )
    here = {(one["program"], one["group"]): one["place"] for one in texts.places}
    assert here == {(one["program_id"], one["seat_group"]): one["place"] for one in stored}
    assert texts.result["now"]["waits_at"] == sorted({program for program, _ in here})
    last: dict[tuple[str, str], int | None] = {}
    for move in reversed(texts.history):
        last[move["program"], move["group"]] = move["became"]
        assert move["program_name"] in move["detail"]
        assert "On " in move["detail"]
    for key, place in last.items():
        assert here.get(key) == place, (key, texts.history)
    lines = "\n".join(texts.explanation["lines"])
    for one in texts.places:
        assert f"now number {one['place']} on the waitlist of {one['program_name']}" in one["detail"]
        assert one["detail"] in lines
    if not texts.places and not texts.result["now"]["seat"]:
        assert "not on a waitlist" in texts.result["now"]["detail"]


def _each_seat_is_told_once(texts: Texts, offers: Sequence[RowMapping]) -> None:
    """Check that each offer has one notice, which names the seat lost if the child left a seat."""
    told = {one["about"]["offer"]: one for one in texts.notices if one["event"] in ("offer.made", "offer.moved")}
    given = [one for one in texts.notices if one["event"] in ("offer.made", "offer.moved")]
    assert len(given) == len(told) == len(offers)
    for one in texts.offers:
        notice = told[one["id"]]
        about = notice["about"]
        assert (notice["event"], about.get("replaces")) == (
            "offer.moved" if one["replaces"] else "offer.made",
            one["replaces"],
        )
        assert about["program"] == one["program"]
        assert (about["answer_by"] is None) == (about["status"] == "accepted")
        if one["replaces"]:
            (left,) = [other for other in texts.offers if other["id"] == one["replaces"]]
            assert (left["status"], left["replaced_by"], left["program"]) == (
                "replaced",
                one["id"],
                about["left_program"],
            )
            assert one["program_name"] in left["detail"]


def _lateness_follows_from_the_deadline(city: City, texts: Texts) -> None:
    (cycle,) = _rows(city, "SELECT deadline FROM cycle")
    stored = {
        row["confirmation"]: row["at"] >= cycle["deadline"]
        for row in _rows(city, "SELECT confirmation, at FROM ranking_version WHERE confirmation IS NOT NULL")
    }
    for one in (texts.ranking, *texts.versions):
        assert one["late"] == stored[one["confirmation"]], json.dumps(one)


def _rows(city: City, query: str, **values: object) -> Sequence[RowMapping]:
    with transaction(city.service.sessions) as session:
        return rows_of(session, query, **values)
