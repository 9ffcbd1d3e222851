"""Errors of access tokens: RFC 6749 for the requests that ask for one, RFC 6750 for the requests that bring one."""

import base64
import uuid
from collections.abc import Mapping

import httpx2
import pytest

from enrollment.access.inputs import PartnerIn
from enrollment.access.partners import lock_partner, make_partner, make_secret
from enrollment.database import transaction
from people import Service

TOKEN = "/v1/oauth/token"  # noqa: S105 - a path
FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"


@pytest.fixture
def secret(service: Service) -> str:
    with transaction(service.sessions) as session:
        make_partner(session, PartnerIn(id="portal", name="Portal", scopes=["results:read"]))
        return make_secret(session, lock_partner(session, "portal"))[1]


def basic(words: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}


def ask(service: Service, form: str, headers: Mapping[str, str] | None = None, kind: str = FORM) -> httpx2.Response:
    return service.send("POST", TOKEN, {"Content-Type": kind, **(headers or {})}, form.encode())


def test_every_fault_of_a_token_request_has_the_fields_and_headers_of_rfc_6749(service: Service, secret: str) -> None:
    own = basic(f"portal:{secret}")
    in_form = f"client_id=portal&client_secret={secret}"
    asked = {
        "no body": (ask(service, "", own), 400, "invalid_request"),
        "no grant type": (ask(service, "scope=results:read", own), 400, "invalid_request"),
        "a grant type twice": (ask(service, f"{GRANT}&{GRANT}", own), 400, "invalid_request"),
        "a scope that is too long": (ask(service, f"{GRANT}&scope={'a' * 2001}", own), 400, "invalid_request"),
        "a JSON body": (ask(service, '{"grant_type": "x"}', own, "application/json"), 400, "invalid_request"),
        "a broken multipart body": (ask(service, "x", own, "multipart/form-data"), 400, "invalid_request"),
        "two ways to sign in": (ask(service, f"{GRANT}&{in_form}", own), 400, "invalid_request"),
        "two ids": (ask(service, f"{GRANT}&client_id=other", own), 400, "invalid_request"),
        "another grant type": (ask(service, "grant_type=password", own), 400, "unsupported_grant_type"),
        "a scope of others": (ask(service, f"{GRANT}&scope=offers:write", own), 400, "invalid_scope"),
        "a scope that does not exist": (ask(service, f"{GRANT}&scope=all", own), 400, "invalid_scope"),
        "no client": (ask(service, GRANT), 401, "invalid_client"),
        "a wrong secret": (ask(service, GRANT, basic("portal:wrong")), 401, "invalid_client"),
        "an unknown client": (ask(service, f"{GRANT}&client_id=nobody&client_secret=x"), 401, "invalid_client"),
        "no colon": (ask(service, GRANT, basic("portal")), 401, "invalid_client"),
        "no base64": (ask(service, GRANT, {"Authorization": "Basic %%%"}), 401, "invalid_client"),
        "a NUL": (ask(service, f"{GRANT}&client_id=portal&client_secret=%00"), 401, "invalid_client"),
    }
    for fault, (answer, status, error) in asked.items():
        told = answer.json()
        assert (answer.status_code, told["error"]) == (status, error), (fault, answer.text)
        assert told["error_description"], fault
        assert told["error_description"].isascii(), fault
        assert not set('"\\') & set(told["error_description"]), fault
        assert told["code"], fault
        assert answer.headers["Content-Type"] == "application/json", fault
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache"), fault
        assert answer.headers.get("WWW-Authenticate", "").startswith("Basic ") == (status == 401), fault


def test_a_right_token_request_gets_a_token_in_both_ways(service: Service, secret: str) -> None:
    for answer in (
        ask(service, GRANT, basic(f"portal:{secret}")),
        ask(service, f"{GRANT}&client_id=portal", basic(f"portal:{secret}")),
        ask(service, f"{GRANT}&client_id=portal&client_secret={secret}&scope=results:read"),
    ):
        assert answer.status_code == 200, answer.text
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")


def test_a_refused_token_gets_the_challenge_of_rfc_6750(service: Service, secret: str) -> None:
    token = ask(service, GRANT, basic(f"portal:{secret}")).json()["access_token"]
    path = f"/v1/cycles/{uuid.uuid4().hex}/applicants"
    none = service.stranger().get(path)
    assert (none.status_code, none.headers["WWW-Authenticate"]) == (401, "Bearer")
    for bad in ("made-up", "made.up.token", token + "x", "x" * 5_000):
        refused = service.with_token(bad).get(path)
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"], bad
    lacking = service.with_token(token).get(path)
    assert lacking.status_code == 403
    assert 'error="insufficient_scope"' in lacking.headers["WWW-Authenticate"]
    assert 'scope="applications:read"' in lacking.headers["WWW-Authenticate"]
