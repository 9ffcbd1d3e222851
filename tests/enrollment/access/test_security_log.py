"""The security log: its events, its order and its readers."""

import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from enrollment.access.denied_acts import MAX_RECORDED
from enrollment.access.models import SecurityEvent
from enrollment.access.security_log import Event, Somebody, record
from enrollment.database import transaction
from lottery.market.canonical import Json
from people import PASSWORD, Caller, Service
from rounds_by_hand import CYCLE, make_city

LOG = "/v1/security-log"


def events(caller: Caller, query: str = "limit=200") -> list[dict[str, object]]:
    answer = caller.get(f"{LOG}?{query}")
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, object]] = answer.json()["data"]
    return rows


def test_sign_ins_failures_limits_sessions_and_tokens_are_logged_with_account_and_address(service: Service) -> None:
    ann = service.administrator()
    otto = service.auditor()
    home, elsewhere = service.stranger_at("198.51.100.1"), service.stranger_at("203.0.113.66")
    for _ in range(8):
        elsewhere.sign_in("otto", "wrong")
    opened = home.sign_in("otto").json()
    made = otto.post("/v1/tokens", {"name": "report", "scopes": ["records:read"], "days": 1}).json()
    otto.delete(f"/v1/tokens/{made['id']}")
    otto.delete(f"/v1/tokens/{opened['id']}")
    otto.delete("/v1/sessions")
    ann.post("/v1/staff/otto/unlock")

    told = events(ann, "account=staff:otto&limit=200")
    assert [row["event"] for row in told] == [
        *["sign-in-failed"] * 5, "sign-in-limited", "signed-in", "token-made", "token-revoked", "session-ended",
        "sessions-ended",
    ]  # fmt: skip
    addresses = {str(row["event"]): row["address"] for row in told}
    assert addresses["sign-in-failed"] == addresses["sign-in-limited"] != addresses["signed-in"]
    assert "203.0.113.66" not in json.dumps(told)
    assert [row["event"] for row in events(ann, "event=unlocked")] == ["unlocked"]


def test_wrong_invitation_codes_and_too_many_wrong_proofs_are_logged_once(service: Service) -> None:
    ann = service.administrator()
    ann.post("/v1/staff", {"id": "dora", "name": "Dora", "roles": [{"role": "auditor"}]})
    for staff in ("dora", "dora", "nobody"):
        wrong: Json = {"id": staff, "invitation_code": "wrong", "password": PASSWORD}
        assert service.stranger().post("/v1/invitations/accept", wrong).status_code == 401
    for _ in range(13):
        ann.post("/v1/presence", {"recovery_code": "wrong"})
    failed = [
        (row["event"], row["account"]) for row in events(ann) if str(row["event"]).endswith(("failed", "limited"))
    ]
    assert failed == [
        ("invitation-failed", "staff:dora"),
        *[("presence-failed", "staff:ann")] * 10,
        ("presence-limited", "staff:ann"),
    ]


def test_partners_secrets_accounts_and_denied_requests_are_logged(service: Service) -> None:
    ann = service.administrator()
    portal = service.partner("portal")
    secret = ann.post("/v1/partners/portal/secrets").json()
    ann.delete(f"/v1/partners/portal/secrets/{secret['id']}")
    ann.post("/v1/staff", {"id": "dora", "name": "Dora", "roles": [{"role": "auditor"}]})
    otto = service.auditor()
    assert otto.post("/v1/operators", {"id": "x", "name": "X"}).status_code == 403
    assert portal.get("/v1/staff").status_code == 403
    form = {"grant_type": "client_credentials", "client_id": "portal", "client_secret": "wrong"}
    for _ in range(3):
        assert service.stranger().post_form("/v1/oauth/token", form).status_code == 401

    told = [(row["event"], row["account"]) for row in events(ann)]
    assert told[2:] == [
        ("secret-made", "staff:ann"),
        ("secret-revoked", "staff:ann"),
        ("account-made", "staff:ann"),
        ("invitation-made", "staff:ann"),
        ("act-denied", "staff:otto"),
        ("act-denied", "partner:portal"),
        ("client-failed", "partner:portal"),
    ]
    denied = events(ann, "event=act-denied")
    assert [row["about"] for row in denied] == [{"act": "POST /v1/operators"}, {"act": "GET /v1/staff"}]


def test_a_flood_of_denied_requests_makes_a_bounded_number_of_events(service: Service) -> None:
    ann, partner = service.administrator(), service.partner()
    for _ in range(MAX_RECORDED + 15):
        assert partner.get("/v1/staff").status_code == 403
    assert partner.get(LOG).status_code == 403
    told = [row["about"] for row in events(ann, "event=act-denied&account=partner:city-portal&limit=200")]
    assert told.count({"act": "GET /v1/staff"}) == MAX_RECORDED
    assert told.count({"act": f"GET {LOG}"}) == 1
    (more,) = [about for about in told if isinstance(about, dict) and "more_until" in about]
    assert more["act"] == "GET /v1/staff"
    assert len(told) == MAX_RECORDED + 2


def test_reads_of_names_are_logged_without_any_name(service: Service) -> None:
    city = make_city(service, children=2)
    city.portal.post(f"{CYCLE}/applicants/child-00/claims", {"fact": "sibling", "school": "lincoln"})
    assert city.lincoln.get(f"{CYCLE}/claims").status_code == 200
    assert city.portal.get(f"{CYCLE}/applicants/child-00").status_code == 200
    city.run_main()
    assert city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/applicants").status_code == 200
    assert city.ann.get(f"{CYCLE}/programs/lincoln-kg/offers").status_code == 200
    told = events(city.ann, "event=names-read&limit=200")
    assert [(row["account"], dict(row["about"])["what"]) for row in told] == [  # type: ignore[call-overload]  # an object
        ("staff:lincoln.office", "claims"),
        ("partner:city-portal", "application"),
        ("staff:lincoln.office", "applicants"),
        ("staff:ann", "offers"),
    ]
    everything = json.dumps(events(city.ann))
    assert "Ada" not in everything
    assert "Example" not in everything


def test_only_auditors_and_administrators_read_the_security_log(service: Service) -> None:
    city = make_city(service, children=1)
    assert city.otto.get(LOG).status_code == 200
    assert city.ann.get(LOG).status_code == 200
    assert [caller.get(LOG).status_code for caller in (city.lincoln, city.portal)] == [403, 403]
    assert service.stranger().get(LOG).status_code == 401
    assert city.ann.get(f"{LOG}?event=unheard-of").status_code == 400


@pytest.mark.postgresql_errors("only grows")
def test_the_security_log_only_grows(service: Service) -> None:
    ann = service.administrator()
    service.stranger().sign_in("ann", "wrong")
    assert events(ann)
    for statement in (
        "UPDATE security_event SET account = NULL",
        "DELETE FROM security_event",
        "TRUNCATE security_event CASCADE",
        "DELETE FROM security_place",
    ):
        with pytest.raises(DBAPIError, match="only grows"), transaction(service.sessions) as session:
            session.execute(text(statement))


def test_an_event_committed_late_comes_after_events_already_read(service: Service) -> None:
    ann = service.administrator()
    with service.sessions() as late:
        record(late, Event.SIGNED_IN, Somebody("staff:late", None))
        service.stranger().sign_in("ann", "wrong")
        first = ann.get(f"{LOG}?limit=1").json()
        assert [row["account"] for row in first["data"]] == ["staff:ann"]
        late.commit()
    rows = events(ann)
    assert [(row["place"], row["account"]) for row in rows] == [(1, "staff:ann"), (2, "staff:late")]
    assert rows[:1] == first["data"]


def test_the_security_log_has_no_secret(service: Service) -> None:
    ann = service.administrator()
    shown: list[str] = [
        ann.post("/v1/staff", {"id": "dora", "name": "Dora", "roles": [{"role": "auditor"}]}).json()["invitation_code"],
        ann.post("/v1/tokens", {"name": "x", "scopes": ["records:read"], "days": 1}).json()["token"],
        *ann.post("/v1/second-factors/recovery-codes").json()["recovery_codes"],
        service.stranger().sign_in("ann", code=service.code()).json()["token"],
    ]
    body: Json = {"id": "portal", "name": "Portal", "scopes": ["applications:read"]}
    ann.post("/v1/partners", body)
    shown.append(ann.post("/v1/partners/portal/secrets").json()["secret"])
    with transaction(service.sessions) as session:
        written = " ".join(str(row.about) for row in session.query(SecurityEvent))
    assert written
    assert not [secret for secret in shown if secret in written]
