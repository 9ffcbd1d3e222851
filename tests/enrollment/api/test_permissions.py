"""Nobody sees or changes what is not theirs: every operation of the OpenAPI is walked, with everybody else's token."""

import pytest

from enrollment.access.inputs import PartnerIn
from enrollment.access.partners import lock_partner, make_partner, make_secret
from enrollment.access.scopes import PARTNER_SCOPES, STAFF_SCOPES
from enrollment.database import transaction
from people import Caller, Service
from permissions import OWNED, Operation, Whole, make_whole, operations, scopes_of

PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "POST /v1/oauth/token",
    "POST /v1/sessions",
    "POST /v1/invitations/accept",
    "GET /v1/cycles",
    "GET /v1/cycles/{cycle}",
    "GET /v1/cycles/{cycle}/schools",
    "GET /v1/cycles/{cycle}/programs",
    "GET /v1/cycles/{cycle}/zones",
    "GET /v1/cycles/{cycle}/rounds",
    "GET /v1/zones",
    "GET /v1/operators",
    "GET /v1/operators/{operator}",
    "GET /v1/schools",
    "GET /v1/schools/{school}",
    "GET /v1/programs",
    "GET /v1/programs/{program}",
    "GET /v1/cycles/{cycle}/schools/{school}/participation",
    "GET /v1/cycles/{cycle}/operators/{operator}/rules",
    "GET /v1/cycles/{cycle}/schools/{school}/rules",
    "GET /v1/cycles/{cycle}/programs/{program}/rules",
    "GET /v1/cycles/{cycle}/programs/{program}/rules/versions",
    "GET /v1/rounds/{round}",
    "GET /v1/rounds/{round}/cutoffs",
    "GET /v1/rounds/{round}/report",
    "GET /v1/rounds/{round}/rules",
    "GET /v1/presets",
    "GET /v1/presets/{preset}",
    "GET /v1/cycles/{cycle}/presets/{preset}",
    "GET /v1/cycles/{cycle}/placements/counts",
    "GET /v1/log/tree",
    "GET /v1/log/entries",
}
"""What anybody may ask without a token: rules, the directory and the log are public, and have no child in them."""

OWN_NAME = {"PUT /v1/cycles/{cycle}/applicants/{reference}"}
"""A reference is the partner's own: another partner's PUT of the same one makes its own application."""

REFUSED = {401, 403, 404}


@pytest.fixture
def whole(service: Service) -> Whole:
    return make_whole(service)


def not_public(whole: Whole) -> list[Operation]:
    return [operation for operation in operations(whole.city.service) if operation.name not in PUBLIC]


def test_the_walk_is_long_and_what_is_public_is_there(service: Service) -> None:
    names = {operation.name for operation in operations(service)}
    assert len(names) > 90
    assert names >= PUBLIC


def test_every_operation_but_the_public_ones_refuses_a_stranger_and_a_made_up_token(whole: Whole) -> None:
    service, before = whole.city.service, whole.contents()
    for caller in (service.stranger(), service.with_token("made-up"), service.with_token("made.up.token")):
        for operation in not_public(whole):
            assert whole.ask(caller, operation).status_code == 401, operation.name
    assert whole.contents() == before


def test_what_is_public_needs_no_token(whole: Whole) -> None:
    stranger = whole.city.service.stranger()
    for operation in operations(whole.city.service):
        if operation.name in PUBLIC:
            assert not operation.security, operation.name
            if operation.method == "GET" and operation.path != "/v1/zones":
                assert whole.ask(stranger, operation).status_code == 200, operation.name
        else:
            assert operation.security, operation.name


def test_partners_do_nothing_of_the_staff_s_and_staff_nothing_of_the_partners(whole: Whole) -> None:
    city, before = whole.city, whole.contents()
    for operation in not_public(whole):
        wrong = [city.portal] if "staff" in operation.security else [city.ann, city.otto, city.lincoln]
        for caller in wrong:
            assert whole.ask(caller, operation).status_code == 403, operation.name
    assert whole.contents() == before


def strangers_to(whole: Whole, operation: Operation) -> list[Caller]:
    """Return callers of the right kind whose scope does not have what the path names."""
    if "partner" in operation.security:
        return [whole.network]
    return [whole.city.adams, whole.elsewhere]


def test_what_a_path_names_is_refused_to_another_school_operator_or_partner(whole: Whole) -> None:
    before = whole.contents()
    walked = 0
    for operation in not_public(whole):
        if operation.parameters & OWNED and operation.name not in OWN_NAME:
            for caller in strangers_to(whole, operation):
                answer = whole.ask(caller, operation)
                assert answer.status_code in REFUSED, (operation.name, answer.text)
                walked += 1
    assert walked > 50
    assert whole.contents() == before


def test_what_is_another_s_is_answered_as_what_is_not_there(whole: Whole) -> None:
    unknown = {"reference": "nobody-s", "program": "nobody-s", "school": "nobody-s", "operator": "nobody-s"}
    compared = 0
    for operation in not_public(whole):
        if operation.parameters & unknown.keys() and operation.name not in OWN_NAME:
            for caller in strangers_to(whole, operation):
                theirs, missing = whole.ask(caller, operation), whole.ask(caller, operation, **unknown)
                if theirs.status_code == 403:  # the whole kind of act is not theirs, whatever it names
                    assert missing.status_code == 403, operation.name
                    continue
                assert theirs.status_code == 404, operation.name
                assert told(theirs.json()) == told(missing.json()), operation.name
                compared += 1
    assert compared > 15


def told(problem: dict[str, str]) -> dict[str, str]:
    return {name: part for name, part in problem.items() if name != "request_id"}


def test_lists_have_nothing_of_another_s_in_them(whole: Whole) -> None:
    assert [one["reference"] for one in whole.network.get("/v1/cycles/2027/applicants").json()["data"]] == ["theirs"]
    assert whole.network.get("/v1/cycles/2027/warnings").json()["data"] == []
    assert whole.city.adams.get("/v1/cycles/2027/claims").json()["data"] == []
    assert whole.elsewhere.get("/v1/cycles/2027/claims").json()["data"] == []
    assert len(whole.city.lincoln.get("/v1/cycles/2027/claims").json()["data"]) == 1
    seen = whole.elsewhere.get(f"/v1/rounds/2027-main/rehearsals/{whole.names['rehearsal']}").json()
    assert seen["totals"] == {"demand": []}


def test_the_same_reference_of_another_partner_is_another_application(whole: Whole) -> None:
    path = "/v1/cycles/2027/applicants/child-00"
    before = whole.city.portal.get(path).json()
    assert whole.network.get(path).status_code == 404
    assert whole.city.portal.get(path).json() == before


def test_an_act_without_its_scope_is_refused(whole: Whole) -> None:
    """Tokens that have every scope but the ones that an operation asks for are refused at it."""
    before = whole.contents()
    for scope in PARTNER_SCOPES:
        caller = partner_without(whole.city.service, scope)
        for operation in operations(whole.city.service):
            if scope in scopes_of(operation, "partner"):
                assert whole.ask(caller, operation).status_code == 403, operation.name
    changed = {table for table, digest in whole.contents().items() if digest != before[table]}
    assert changed <= {"partner", "partner_secret"}


def partner_without(service: Service, scope: str) -> Caller:
    """Return a partner's token with every scope but one."""
    name = "without-" + scope.replace(":", "-")
    with transaction(service.sessions) as session:
        scopes = [one for one in PARTNER_SCOPES if one != scope]
        make_partner(session, PartnerIn.model_validate({"id": name, "name": name, "scopes": scopes}))
        _, secret = make_secret(session, lock_partner(session, name))
    form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
    return service.with_token(service.stranger().post_form("/v1/oauth/token", form).json()["access_token"])


def test_a_personal_token_without_its_scope_is_refused(whole: Whole) -> None:
    city = whole.city
    for scope in STAFF_SCOPES:
        rest = [one for one in STAFF_SCOPES if one != scope]
        made = city.ann.post("/v1/tokens", {"name": f"without {scope}", "scopes": rest, "days": 1})
        caller = city.service.with_token(made.json()["token"])
        for operation in operations(city.service):
            if scope in scopes_of(operation, "staff"):
                assert whole.ask(caller, operation).status_code in {403, 404}, operation.name


def test_a_personal_token_makes_no_other(whole: Whole) -> None:
    little = whole.city.ann.post("/v1/tokens", {"name": "little", "scopes": ["records:read"], "days": 1}).json()[
        "token"
    ]
    caller = whole.city.service.with_token(little)
    more = caller.post("/v1/tokens", {"name": "more", "scopes": ["rounds:run", "records:read"], "days": 1})
    assert (more.status_code, more.json()["code"]) == (403, "session-needed")
