"""A value has one form: what is not exactly a date, a number or a name is refused, and the range is named."""

from collections.abc import Mapping, Sequence

from sqlalchemy import text

from enrollment.database import transaction
from enrollment.field_faults import FORMS, SAYS
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, make_city

OPEN: Mapping[str, Json] = {
    "grade": "KG",
    "child": {"given_name": "Ada", "family_name": "Example", "birth_date": "2022-03-01"},
}
PATH = f"{CYCLE}/applicants/new"


def set_deadline(service: Service, when: str) -> None:
    """Give the cycle a deadline, which says the school year."""
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE cycle SET deadline = :when"), {"when": when})


def with_child(**more: Json) -> dict[str, Json]:
    return {**OPEN, "child": {"given_name": "Ada", "family_name": "Example", "birth_date": "2022-03-01", **more}}


def at_point(longitude: Json, latitude: Json = 1) -> dict[str, Json]:
    return {**OPEN, "addresses": [{"text": "Elm", "point": {"longitude": longitude, "latitude": latitude}}]}


def with_guardian(**more: Json) -> dict[str, Json]:
    return {**OPEN, "guardians": [{"name": "Eve", **more}]}


DATE, POINT = "/child/birth_date", "/addresses/0/point/longitude"
EMAIL, PHONE = "/guardians/0/email", "/guardians/0/phone"

REFUSED: Sequence[tuple[dict[str, Json], str, str]] = [
    *(
        (with_child(birth_date=value), DATE, "of the form 2027-01-31")
        for value in (1646092800, "1646092800", True, "2022-3-1", "20220301", "2022-W09-2", "2022-02-30", "2022-03-01T")
    ),
    (with_child(birth_date="1989-12-31"), DATE, "1990-01-01 or later"),
    (with_child(birth_date="2031-03-01"), DATE, "must be from 2013-09-02 to 2025-09-01 for grade KG"),
    (with_child(birth_date="1995-03-01"), DATE, "must be from 2013-09-02 to 2025-09-01 for grade KG"),
    *((at_point(value), POINT, "must be a number") for value in (True, "1", "1_0", None)),
    (at_point(181), POINT, "180 or less"),
    (at_point(1, -91), "/addresses/0/point/latitude", "-90 or more"),
    *(
        ({**OPEN, "language": value}, "/language", "BCP 47")
        for value in ("klingon", "e", "en_US", "es-", "", " ", "español")
    ),
    *(
        (with_guardian(email=value), EMAIL, "name@example.org")
        for value in (
            "not an email", "a@b", "@example.org", "a@example.", "a..b@example.org", "a b@example.org",
            ".a@example.org", "a@example.org, b@example.org", "a@-example.org", f"{'a' * 65}@example.org",
        )
    ),
    *((with_guardian(phone=value), PHONE, "5 to 25 digits") for value in ("none", "1234", "call 5550100", "1" * 26)),
    ({**OPEN, "attends": "nowhere"}, "/attends", "names nowhere"),
    (with_child(family_name=" "), "/child/family_name", "no visible character"),
    (with_child(given_name=""), "/child/given_name", "1 or more characters"),
    (with_child(given_name="a" * 501), "/child/given_name", "at most 500 characters"),
    ({**OPEN, "addresses": [{"text": "Elm"}] * 3}, "/addresses", "at most 2 entries"),
    ({**OPEN, "grade": "K G"}, "/grade", "1 to 64 characters of A-Z"),
    ({**OPEN, "together": "true"}, "/together", "true or false"),
]  # fmt: skip


def test_a_value_in_the_wrong_form_or_range_is_refused_and_the_range_is_named(service: Service) -> None:
    city = make_city(service, children=0)
    set_deadline(service, "2027-02-01T00:00:00Z")
    for body, pointer, says in REFUSED:
        answer = city.portal.put(PATH, body)
        assert answer.status_code in (409, 422), (body, answer.text)
        found = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
        assert found.keys() == {pointer}, body
        assert says in found[pointer], (body, found)


def test_a_deadline_is_a_time_and_no_number(service: Service) -> None:
    ann = service.administrator()
    body: dict[str, Json] = {
        "id": "2030",
        "name": "Year",
        "grades": ["KG"],
        "agreement_version": "1",
        "agreement": "Yes.",
    }
    body |= {"opens_at": "2030-01-01T00:00:00Z", "time_zone": "America/New_York"}
    for value in ("1801458000", 1801458000, "2030-02-01", "2030-02-01T00:00:00", "2030-02-01T24:30Z", True, "tomorrow"):
        answer = ann.post("/v1/cycles", {**body, "deadline": value})
        assert answer.status_code == 422, value
        (fault,) = answer.json()["errors"]
        assert (fault["pointer"], "2027-01-31T23:59:00-05:00" in fault["detail"]) == ("/deadline", True)
    late = ann.post("/v1/cycles", {**body, "deadline": "2201-01-01T00:00:00Z"})
    assert [fault["detail"] for fault in late.json()["errors"]] == ["must be 2200-01-01T00:00:00+00:00 or earlier"]
    assert ann.post("/v1/cycles", {**body, "deadline": "2030-02-01T00:00:00.5-05:00"}).status_code == 201


def test_a_query_parameter_has_one_form_too(service: Service) -> None:
    city = make_city(service, children=0)
    for path, name in (
        ("/v1/schools?limit=1_0", "limit"),
        ("/v1/schools?limit=%2B1", "limit"),
        ("/v1/schools?limit=1.0", "limit"),
        ("/v1/log/entries?start=0_0", "start"),
        ("/v1/zones?lon=1_0&lat=1", "lon"),
        ("/v1/zones?lon=1e1&lat=1", "lon"),
    ):
        answer = city.ann.get(path)
        assert (answer.status_code, [fault["pointer"] for fault in answer.json()["errors"]]) == (400, [name]), path


def test_unlikely_ages_get_a_warning_and_nothing_else(service: Service) -> None:
    city = make_city(service, children=0)
    set_deadline(service, "2027-02-01T00:00:00Z")
    for number, (born, warned) in enumerate(
        {"2023-03-01": False, "2019-03-01": True, "2023-09-01": False, "2023-09-02": True}.items()
    ):
        path = f"{CYCLE}/applicants/a{number}"
        made = city.portal.put(path, with_child(birth_date=born))
        assert made.status_code == 201, made.text
        for answer in (made, city.portal.get(path)):
            codes = [warning["code"] for warning in answer.json()["warnings"]]
            assert codes == (["birth-date-unlikely"] if warned else []), born


def test_any_unicode_form_comes_in_and_nfc_is_kept(service: Service) -> None:
    city = make_city(service, children=0)
    child = {"given_name": "Jose\u0301", "family_name": "Nun\u0303ez", "birth_date": "2022-03-01"}
    shown = city.portal.put(PATH, {**OPEN, "child": child}).json()["child"]
    assert (shown["given_name"], shown["family_name"]) == ("José", "Nuñez")
    renamed = city.ann.change(
        "/v1/schools/lincoln", {"operator": "district", "name": "E\u0301cole", "sector": "district"}
    )
    assert renamed.json()["name"] == "École"
    same = city.portal.put(PATH, {**OPEN, "child": {**child, "given_name": "José"}}, '"1"')
    assert same.headers["ETag"] == '"1"'


def test_a_child_may_have_one_name(service: Service) -> None:
    city = make_city(service, children=0)
    for number, child in enumerate(
        (with_child(family_name=""), {**OPEN, "child": {"given_name": "Suharto", "birth_date": "2022-03-01"}})
    ):
        path = f"{CYCLE}/applicants/one-{number}"
        assert city.portal.put(path, child).status_code == 201
        assert city.portal.get(path).json()["child"]["family_name"] == ""


BLANKS = ("", " ", "  ", "\t", "\u00a0", "\u200b", "\u2060\ufeff", "\u3164", "\u2800")


def test_blank_means_no_id_wherever_an_optional_id_may_be_given(service: Service) -> None:
    city = make_city(service, children=0)
    other, tickets = service.partner("network"), set()
    for number, blank in enumerate(BLANKS):
        partner = (city.portal, other)[number % 2]
        body = {**OPEN, "sis_id": blank, "household": blank, "household_code": blank, "attends": blank}
        made = partner.put(f"{CYCLE}/applicants/b{number}", body)
        assert made.status_code == 201, (blank, made.text)
        assert (made.json()["attends"], made.json()["household_code"]) == (None, None)
        tickets.add(made.json()["ticket"])
        school: Json = {"operator": "district", "name": "Lincoln", "sector": "district", "nces_id": blank}
        assert city.ann.change("/v1/schools/lincoln", school).json()["nces_id"] is None
    assert len(tickets) == len(BLANKS)
    claim = city.portal.post(f"{CYCLE}/applicants/b0/claims", {"fact": "frl", "school": " "})
    assert (claim.status_code, claim.json()["school"]) == (201, None)


def test_a_blank_idempotency_key_is_no_key(service: Service) -> None:
    ann = service.administrator()
    for blank in ("", " ", "   "):
        headers = {**ann.headers, "Idempotency-Key": blank, "Content-Type": "application/json"}
        answer = service.send("POST", "/v1/operators", headers, b'{"id": "o", "name": "Network"}')
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")


def test_a_school_outside_the_city_is_said_to_be_outside(service: Service) -> None:
    city = make_city(service, children=0)
    made = city.portal.put(PATH, {**OPEN, "attends": "outside:little-stars"})
    assert (made.status_code, made.json()["attends"]) == (201, "outside:little-stars")
    refused = city.portal.put(PATH, {**OPEN, "attends": "little-stars"}, "*")
    assert refused.json()["code"] == "present-school-unknown"
    assert "outside:little-stars" in refused.json()["errors"][0]["detail"]


def test_every_pattern_of_a_body_or_a_parameter_has_a_sentence(service: Service) -> None:
    document = service.app.openapi()
    every = [operation for methods in document["paths"].values() for operation in methods.values()]
    todo: list[object] = [operation.get(part) for operation in every for part in ("requestBody", "parameters")]
    found, seen = set(), set()
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                todo.append(document["components"]["schemas"][name])
            if isinstance(pattern := part.get("pattern"), str):
                found.add(pattern)
            todo += part.values()
        elif isinstance(part, list):
            todo += part
    assert found == FORMS.keys()


def test_no_sentence_says_only_that_something_is_wrong() -> None:
    assert not [text for text in SAYS.values() if "is too" in text or "not allowed" in text or "allowed values" in text]
