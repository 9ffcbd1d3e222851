"""Rules for every request: an answer is a promise, refusals are problems, and logs name no child."""

import json
import time
from collections.abc import Mapping
from threading import Barrier, Thread

import httpx2
import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr
from sqlalchemy import text

from enrollment.access.derived_keys import key_of
from enrollment.access.tokens import ALGORITHM, AUDIENCE, Client, access_token, partner_of_token
from enrollment.app import create_app
from enrollment.database import transaction
from enrollment.settings import Settings
from lottery.market.canonical import Json
from people import METRICS_TOKEN, SECRET, Service, settings_for

PARTNER = {"id": "portal", "name": "Portal", "scopes": ["applications:read"]}


@pytest.mark.postgresql_errors("ERROR:  no")
def test_an_answer_is_not_given_before_the_commit_and_a_commit_that_fails_is_a_problem(service: Service) -> None:
    administrator = service.administrator()
    with transaction(service.sessions) as session:
        # A constraint that is looked at when the transaction commits, after the route has returned.
        session.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$"
            )
        )
        session.execute(
            text(
                "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON partner DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    answer = administrator.post("/v1/partners", PARTNER)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "in-the-way"
    assert administrator.get("/v1/partners/portal").status_code == 404


def test_all_faults_of_a_body_are_listed_at_once_with_places_and_without_values(service: Service) -> None:
    answer = service.administrator().post(
        "/v1/partners", {"id": "no spaces allowed", "scopes": ["everything", 7], "surname": "Lovelace"}
    )
    assert answer.status_code == 422
    told = answer.json()
    assert {(fault["pointer"], fault["code"]) for fault in told["errors"]} == {
        ("/id", "string-pattern-mismatch"),
        ("/name", "missing"),
        ("/scopes/0", "literal-error"),
        ("/scopes/1", "literal-error"),
        ("/surname", "extra-forbidden"),
    }
    assert "Lovelace" not in answer.text
    assert "everything" not in answer.text
    assert told["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"id": "\\ud800"}', b"[]", b"null", b'"text"'])
def test_a_body_that_is_no_object_is_refused_as_malformed(service: Service, body: bytes) -> None:
    administrator = service.administrator()
    answer = administrator.post_raw("/v1/partners", body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "malformed-body"


def test_a_body_over_one_mebibyte_is_refused(service: Service) -> None:
    answer = service.administrator().post_raw("/v1/partners", b" " * (2**20 + 1))
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"


def test_unknown_addresses_and_methods_are_problems(service: Service) -> None:
    stranger = service.stranger()
    assert stranger.get("/v1/nowhere").json()["code"] == "not-found"
    refused = stranger.delete("/v1/oauth/token")
    assert (refused.status_code, refused.json()["code"]) == (405, "method-not-allowed")
    assert refused.headers["allow"] == "POST"


def test_a_change_names_the_version_that_it_changes(service: Service) -> None:
    administrator = service.administrator()
    made = administrator.post("/v1/partners", PARTNER)
    change: Json = {"name": "Other", "scopes": ["applications:read"], "active": True}
    assert administrator.put("/v1/partners/portal", change).status_code == 428
    changed = administrator.put("/v1/partners/portal", change, made.headers["ETag"])
    assert changed.status_code == 200
    assert administrator.put("/v1/partners/portal", change, made.headers["ETag"]).status_code == 412
    assert administrator.put("/v1/partners/portal", change, changed.headers["ETag"]).status_code == 200


def test_a_request_is_carried_out_once_however_often_it_is_sent(service: Service) -> None:
    administrator = service.administrator()
    assert administrator.post_raw("/v1/partners", json.dumps(PARTNER).encode(), key=None).status_code == 400
    first = administrator.post("/v1/partners", PARTNER, key="k1")
    again = administrator.post("/v1/partners", PARTNER, key="k1")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["ETag"] == first.headers["ETag"]
    other = administrator.post("/v1/partners", {**PARTNER, "name": "Other"}, key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert administrator.post("/v1/partners", PARTNER, key="k2").json()["code"] == "id-taken"


def test_of_two_identical_parallel_requests_one_is_carried_out(service: Service) -> None:
    administrator = service.administrator()
    together = Barrier(4)
    answers: list[httpx2.Response] = []

    def act() -> None:
        together.wait()
        answers.append(administrator.post("/v1/partners", PARTNER, key="same"))

    threads = [Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"act-in-flight"}
    assert len(administrator.get("/v1/partners").json()["data"]) == 1


def test_a_list_comes_in_pages_and_a_strange_cursor_is_refused(service: Service) -> None:
    administrator = service.administrator()
    for name in "abc":
        administrator.post("/v1/partners", {**PARTNER, "id": name})
    first = administrator.get("/v1/partners?limit=2")
    assert [partner["id"] for partner in first.json()["data"]] == ["a", "b"]
    following = first.headers["Link"].split(">")[0].strip("<")
    assert [partner["id"] for partner in administrator.get(following).json()["data"]] == ["c"]
    for cursor in ("!", "%00", "AAAA", "é"):
        assert administrator.get(f"/v1/partners?cursor={cursor}").json()["code"] == "unusable-cursor"
    assert administrator.get("/v1/partners?limit=201").status_code == 400


def test_a_silent_database_makes_the_service_unavailable() -> None:
    app = create_app(settings_for("postgresql://nobody@127.0.0.1:1/nothing"))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert answer.headers["Retry-After"] == "1"


def test_log_and_metrics_have_the_route_and_never_the_address_or_the_body(
    capsys: pytest.CaptureFixture[str], service: Service
) -> None:
    administrator = service.administrator()
    administrator.get("/v1/partners/ada-lovelace?born=2020-02-02")
    administrator.post("/v1/partners", {**PARTNER, "name": "Ada Lovelace"})
    told = capsys.readouterr().err
    lines = [json.loads(line) for line in told.splitlines()]
    assert {"GET /v1/partners/{partner} 400", "POST /v1/partners 201"} <= {
        f"{line['method']} {line['route']} {line['status']}" for line in lines
    }
    counted = service.with_token(METRICS_TOKEN).get("/metrics").text
    assert 'enrollment_requests_total{method="GET",route="/v1/partners/{partner}",status="400"} 1.0' in counted
    assert "lovelace" not in (told + counted).lower()
    assert "2020" not in counted


def test_an_altered_token_or_one_of_another_secret_is_refused(service: Service) -> None:
    for token in ("", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJwb3J0YWwifQ."):
        answer = service.with_token(token).get("/v1/tokens")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_signed_token_counts_with_its_signature_time_and_audience_only() -> None:
    settings = Settings(database_url="postgresql://nobody@localhost/none", secret=SecretStr(SECRET))
    other = settings.model_copy(update={"secret": SecretStr("another secret of 32 characters.")})
    now = int(time.time())
    good: Mapping[str, str | int] = {
        "aud": AUDIENCE,
        "sub": "portal",
        "scope": "results:read",
        "secret": "s",
        "exp": now + 60,
    }

    def read(claims: Mapping[str, str | int], *, algorithm: str = ALGORITHM, signed_by: Settings = settings) -> object:
        key = OctKey.import_key(key_of(signed_by, "access-token").key)
        return partner_of_token(jwt.encode({"alg": algorithm}, dict(claims), key, algorithms=[algorithm]), settings)

    assert read(good) == Client("portal", frozenset({"results:read"}), "s")
    assert read(good, signed_by=other) is None
    assert read(good, algorithm="HS512") is None
    assert read({**good, "aud": "elsewhere"}) is None
    assert read({**good, "exp": now - 1}) is None
    altered = access_token(Client("portal", frozenset(), "s"), settings).split(".")
    body = "A" + altered[1][1:] if altered[1][0] != "A" else "B" + altered[1][1:]
    assert partner_of_token(".".join([altered[0], body, altered[2]]), settings) is None


def test_the_pages_of_the_api_need_no_script_and_name_every_operation(service: Service) -> None:
    page = service.stranger().get("/docs")
    assert "<script" not in page.text
    assert "http" not in page.text.replace("https://", "")
    for path in service.stranger().get("/v1/openapi.json").json()["paths"]:
        assert path in page.text
    assert 'id="in-the-way"' in service.stranger().get("/docs/problems").text
