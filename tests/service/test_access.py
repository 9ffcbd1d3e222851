"""Partners and staff come in with what is theirs, and with nothing else."""

from acting import PASSWORD, Service


def test_health_is_public_and_readiness_asks_the_database(service: Service) -> None:
    assert service.stranger().get("/healthz").status_code == 200
    assert service.stranger().get("/readyz").json() == {"status": "ready"}


def test_a_partner_has_two_valid_secrets_at_most_and_each_is_shown_once(service: Service) -> None:
    administrator = service.administrator()
    made = administrator.post("/v1/partners", {"id": "portal", "name": "Portal", "scopes": ["applications:read"]})
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


def test_five_wrong_passwords_lock_an_account_also_for_the_right_one(service: Service) -> None:
    service.administrator("ann")
    stranger = service.stranger()
    for _ in range(5):
        assert stranger.post("/v1/sessions", {"id": "ann", "password": "wrong"}).status_code == 401
    assert stranger.post("/v1/sessions", {"id": "ann", "password": PASSWORD}).json()["code"] == "sign-in-refused"
