"""A proposed change is read back in words, with what differs, to whoever proposes and whoever approves."""

from collections.abc import Mapping

from lottery.market.canonical import Json
from people import Service
from rules_spoken import CYCLE, OPERATOR, PROGRAM, SIBLING, WHY, city, open_now, propose, put

RESERVE: Mapping[str, Json] = {"rule": "reserve", "percent": 50, "filled": "open-seats-first"}


def test_a_proposal_is_read_back_with_what_differs(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    answer = put(school, PROGRAM, {"seats": {"match": 20}, "classes": [SIBLING]}, WHY)
    assert answer.status_code == 202, answer.text
    (told,) = answer.json()["change"]["read_back"]
    assert told["programs"] == ["lincoln-kg"]
    assert told["sentences"][0] == "There are 20 seats."
    numbers = "Among children with the same priority, the lower lottery number comes first."
    (difference,) = told["differences"]
    assert (difference["part"], difference["was"]) == ("classes", [numbers])
    assert difference["would_be"][0].startswith("Priority 1, “sibling”: a child who")
    assert difference["would_be"][1:] == [numbers]
    # The administrator who decides reads the same, in any language.
    administrator = service.administrator()
    (waiting,) = administrator.get(f"{CYCLE}/rules-changes").json()["data"]
    assert waiting["read_back"] == [told]
    for language, seats in (("es", "Hay 20 cupos."), ("ar", "20")):
        (waiting,) = administrator.get(f"{CYCLE}/rules-changes", {"Accept-Language": language}).json()["data"]
        (translated,) = waiting["read_back"]
        assert seats in translated["sentences"][0]
        assert translated["differences"][0]["part"] == "classes"
        assert translated["differences"][0]["would_be"] != difference["would_be"]
    decided = administrator.post(f"/v1/rules-changes/{waiting['id']}/approve", {"reason": WHY})
    assert decided.json()["read_back"] == []


def test_a_change_of_a_level_is_read_back_once_for_programs_to_which_it_does_the_same(service: Service) -> None:
    city(service)
    open_now(service)
    dora = service.operator_staff("district", "dora")
    propose(dora, OPERATOR, {"tie_break": "multiple"})
    (told,) = dora.get(OPERATOR).json()["change"]["read_back"]
    assert told["programs"] == ["adams-kg", "lincoln-kg"]
    sentence = "Each child gets a separate lottery number for this school."
    assert told == {
        "programs": ["adams-kg", "lincoln-kg"],
        "sentences": [sentence],
        "differences": [{"part": "tie_break", "was": [], "would_be": [sentence]}],
    }


def test_a_neighborhood_rule_is_read_back_with_its_seats_and_their_order(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    propose(school, PROGRAM, {"seats": {"match": 20}, "neighborhood": RESERVE})
    (told,) = school.get(PROGRAM).json()["change"]["read_back"]
    parts = {one["part"]: one for one in told["differences"]}
    assert parts.keys() == {"neighborhood", "reserves"}
    assert parts["neighborhood"]["was"] == ["A child's address does not matter."]
    assert parts["neighborhood"]["would_be"][0] == "50 of every 100 seats go to neighborhood children first."
    assert parts["reserves"]["would_be"][-1] == "The school fills seats in this order: open seats, then neighborhood."
