"""Partners, their secrets and tokens, and repeated answers."""

import json

from enrollment.access import tokens
from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CYCLE, make_city

PORTAL: Json = {"id": "portal", "name": "Portal", "scopes": ["applications:read", "applications:write"]}


def test_health_is_public_and_readiness_checks_the_database(service: Service) -> None:
    assert service.stranger().get("/healthz").status_code == 200
    assert service.stranger().get("/readyz").json() == {"status": "ready"}


def test_a_partner_has_at_most_two_valid_secrets_and_sees_each_once(service: Service) -> None:
    administrator = service.administrator()
    made = administrator.post("/v1/partners", PORTAL)
    assert made.status_code == 201, made.text
    first = administrator.post("/v1/partners/portal/secrets", key="same")
    again = administrator.post("/v1/partners/portal/secrets", key="same")
    assert first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}
    assert again.headers["Idempotency-Replayed"] == "true"
    assert administrator.post("/v1/partners/portal/secrets").status_code == 201
    assert administrator.post("/v1/partners/portal/secrets").json()["code"] == "two-secrets-already"
    assert administrator.delete(f"/v1/partners/portal/secrets/{first.json()['id']}").status_code == 204
    assert administrator.post("/v1/partners/portal/secrets").status_code == 201


def test_revoking_a_secret_ends_its_access_tokens_also_for_rankings(
    service: Service,
) -> None:
    city = make_city(service, children=1)
    ranking: Json = {"programs": ["adams-kg"]}
    kept = city.portal
    assert kept.put(f"{CYCLE}/applicants/child-00/ranking", ranking, "*").status_code == 200
    second = city.ann.post("/v1/partners/city-portal/secrets").json()
    form = {"grant_type": "client_credentials", "client_id": "city-portal", "client_secret": second["secret"]}
    other = service.with_token(service.stranger().post_form("/v1/oauth/token", form).json()["access_token"])

    assert city.ann.delete(f"/v1/partners/city-portal/secrets/{second['id']}").status_code == 204

    assert other.get(f"{CYCLE}/applicants").status_code == 401
    assert other.put(f"{CYCLE}/applicants/child-00/ranking", ranking, "*").status_code == 401
    assert kept.get(f"{CYCLE}/applicants").status_code == 200
    assert kept.put(f"{CYCLE}/applicants/child-00/ranking", ranking, "*").status_code == 200


def test_a_long_token_is_refused_unread_and_a_forged_token_is_not_cached(service: Service) -> None:
    before = tokens._read.cache_info().currsize  # noqa: SLF001 - what is kept is what the test is about
    for length in (10, 100, 1_000, 500_000):
        made_up = ".".join(["e" * length] * 3)
        assert service.with_token(made_up).get(f"{CYCLE}/applicants").status_code == 401
    assert tokens._read.cache_info().currsize == before  # noqa: SLF001 - likewise


def test_a_stored_answer_is_repeated_only_to_a_caller_who_still_has_access(service: Service) -> None:
    ann, bea = service.administrator("ann"), service.administrator("bea")
    first = ann.post("/v1/partners", PORTAL, key="k1")
    assert first.status_code == 201
    assert ann.post("/v1/partners", PORTAL, key="k1").json() == first.json()

    reading = ann.post("/v1/tokens", {"name": "reading", "scopes": ["records:read"], "days": 1}).json()["token"]
    assert service.with_token(reading).post("/v1/partners", PORTAL, key="k1").status_code == 403

    carla = service.administrator("carla")
    asked = bea.post(
        "/v1/access-changes",
        {"what": "roles", "staff": "ann", "roles": [{"role": "auditor"}], "reason": "She audits now"},
    ).json()
    assert carla.post(f"/v1/access-changes/{asked['id']}/approve", {"reason": "Agreed"}).status_code == 200
    auditor = signed_in_again(service, "ann")
    assert auditor.post("/v1/partners", PORTAL, key="k1").status_code == 403


def test_a_stored_answer_is_not_repeated_after_the_roles_changed(service: Service) -> None:
    city = make_city(service, children=1)
    claim = city.portal.post(f"{CYCLE}/applicants/child-00/claims", {"fact": "sibling", "school": "lincoln"}).json()
    path, decision = f"/v1/claims/{claim['id']}/approve", {"basis": "verified", "reason": "On our roll"}
    assert city.lincoln.post(path, decision, key="k1").status_code == 200
    assert city.lincoln.post(path, decision, key="k1").headers["Idempotency-Replayed"] == "true"

    change: Json = {"name": "Office", "roles": [{"role": "school", "school": "adams"}], "active": True}
    assert city.ann.change("/v1/staff/lincoln.office", change).status_code == 200

    again = city.lincoln.post(path, decision, key="k1")
    assert (again.status_code, again.json()["code"]) == (409, "roles-changed")


def test_values_shown_once_are_not_stored(service: Service) -> None:
    ann = service.administrator()
    body: Json = {"id": "otto", "name": "Otto", "roles": [{"role": "auditor"}]}
    made = ann.post("/v1/staff", body, key="k1").json()
    again = ann.post("/v1/staff", body, key="k1").json()
    assert made["invitation_code"]
    assert again == {**made, "invitation_code": None}
    assert made["invitation_code"] not in json.dumps(ann.get("/v1/security-log?limit=200").json())


def signed_in_again(service: Service, name: str) -> Caller:
    answer = service.stranger().sign_in(name, code=service.code())
    assert answer.status_code == 201, answer.text
    return service.with_token(answer.json()["token"])
