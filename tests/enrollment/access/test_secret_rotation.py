"""Rotating the secret while the service runs, one process restart at a time."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import httpx2
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr, ValidationError
from sqlalchemy import select, text

from enrollment.access.derived_keys import id_of_secret, key_of
from enrollment.access.models import AuthenticatorApp
from enrollment.access.second_factors import unseal
from enrollment.applicants.sis_ids import record_keys
from enrollment.cycles.models import Cycle
from enrollment.database import clock, transaction
from enrollment.settings import Settings
from lottery.market.canonical import Json
from people import APP_SECRET, SECRET, Caller, Service, settings_for
from rounds_by_hand import CHILD, CYCLE, make_city
from rows import add_cycle, add_school
from servers import running

NEW_SECRET = "tests only: " + "y" * 40
NEXT = "/v1/cycles/2028"
MAX_LOOKS = 3_000


def settings_of(database: str, secret: str, second: str | None = None) -> Settings:
    changed = {"secret": SecretStr(secret), "second_secret": SecretStr(second) if second else None}
    return settings_for(database).model_copy(update=changed)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One process for each step, all on one database."""

    before: Service
    ready: Service
    """Knows the new secret too."""
    turned: Service
    """Makes new things under the new secret, and knows the old one."""
    after: Service

    def at(self, service: Service, caller: Caller) -> Caller:
        """Return the same caller, who asks a process of another step."""
        return service.with_token(caller.headers["Authorization"].removeprefix("Bearer "))

    def record_keys(self) -> None:
        """Do what `enrollment migrate` does before the rollout."""
        with transaction(self.before.sessions) as session:
            record_keys(session, self.before.settings)


@pytest.fixture
def rollout(database: str) -> Iterator[Rollout]:
    steps = [(SECRET, None), (SECRET, NEW_SECRET), (NEW_SECRET, SECRET), (NEW_SECRET, None)]
    with ExitStack() as opened:
        started = [opened.enter_context(Service(database, settings_of(database, *step))) for step in steps]
        with transaction(started[0].sessions) as session:
            add_cycle(session)
            add_school(session, "lincoln")
        made = Rollout(*started)
        made.record_keys()
        yield made


def put(caller: Caller, reference: str, sis_id: str | None, cycle: str = CYCLE) -> httpx2.Response:
    body: dict[str, Json] = {"grade": "KG", "child": dict(CHILD)}
    return caller.put(f"{cycle}/applicants/{reference}", body if sis_id is None else {**body, "sis_id": sis_id})


def header_of(caller: Caller) -> Mapping[str, str]:
    part = caller.headers["Authorization"].removeprefix("Bearer ").partition(".")[0]
    header: Mapping[str, str] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return header


def test_a_token_counts_in_every_process_that_knows_its_secret_and_names_it(rollout: Rollout) -> None:
    old, new = rollout.before.partner("old"), rollout.turned.partner("new")
    assert (
        header_of(old)["kid"]
        == header_of(rollout.ready.partner("ready"))["kid"]
        == id_of_secret(rollout.before.settings)
    )
    assert header_of(new)["kid"] == id_of_secret(rollout.after.settings) != header_of(old)["kid"]
    steps = (rollout.before, rollout.ready, rollout.turned, rollout.after)

    def counts(caller: Caller) -> list[int]:
        return [rollout.at(step, caller).get(f"{CYCLE}/applicants").status_code for step in steps]

    assert counts(old) == [200, 200, 200, 401]
    assert counts(new) == [401, 200, 200, 200]


def test_a_token_without_a_key_id_is_valid_and_one_with_a_foreign_id_is_not(rollout: Rollout) -> None:
    partner = rollout.before.partner()
    claims = partner.headers["Authorization"].removeprefix("Bearer ").split(".")[1]
    body = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))

    def signed(secret: str, **header: str) -> str:
        key = key_of(settings_of("postgresql://x", secret), "access-token").key
        return jwt.encode({"alg": "HS256", **header}, body, OctKey.import_key(key))

    def status(token: str) -> int:
        return rollout.ready.with_token(token).get(f"{CYCLE}/applicants").status_code

    assert status(signed(SECRET)) == 200
    assert status(signed(SECRET, kid="0" * 16)) == 401
    assert status(signed("z" * 40, kid=header_of(partner)["kid"])) == 401
    assert status(signed(NEW_SECRET, kid=header_of(partner)["kid"])) == 401


def test_the_same_child_is_found_across_the_rotation_in_both_directions(rollout: Rollout) -> None:
    first, second = rollout.before.partner("first"), rollout.turned.partner("second")
    ticket = put(first, "a1", "s-1").json()["ticket"]
    assert put(second, "b2", "s-2").status_code == 201
    for step in (rollout.ready, rollout.turned):
        assert put(rollout.at(step, second), "b1", "s-1").json()["code"] == "same-child-twice"
        assert put(rollout.at(step, first), "a2", "s-2").json()["code"] == "same-child-twice"
    assert put(first, "a2", "s-2").json()["code"] == "same-child-twice"
    rollout.at(rollout.ready, first).delete(f"{CYCLE}/applicants/a1", "*")
    assert put(second, "b1", "s-1").json()["ticket"] == ticket


def test_the_same_child_in_parallel_in_three_rotation_steps_applies_once(rollout: Rollout) -> None:
    steps = (rollout.before, rollout.ready, rollout.turned)
    callers = [step.partner(f"partner-{place}") for place, step in enumerate(steps)]
    for child in range(6):
        together, codes = Barrier(len(callers)), list[int]()

        def bring(caller: Caller, name: str = f"s-{child}", barrier: Barrier = together, to: list[int] = codes) -> None:
            barrier.wait()
            to.append(put(caller, name, name).status_code)

        threads = [Thread(target=bring, args=[caller]) for caller in callers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == [201, 409, 409]
    with transaction(rollout.before.sessions) as session:
        assert session.execute(text("SELECT count(*) FROM child")).scalar_one() == 6


def test_a_roster_finds_children_from_before_and_after_the_rotation(rollout: Rollout) -> None:
    put(rollout.before.partner("first"), "a1", "s-1")
    put(rollout.turned.partner("second"), "b2", "s-2")
    otto = rollout.turned.auditor()
    with transaction(rollout.before.sessions) as session:
        session.execute(
            text(
                "INSERT INTO participation (cycle_id, school_id, grade, status, agreement_version, actor)"
                " VALUES ('2027', 'lincoln', 'KG', 'in', '1', 'staff:school')"
            )
        )
    sent = {**otto.headers, "Idempotency-Key": "r", "Content-Type": "text/csv"}
    roster = b"sis_id,school,grade\ns-1,lincoln,KG\ns-2,lincoln,KG\ns-3,lincoln,KG\n"
    for place, step in enumerate((rollout.ready, rollout.turned)):
        named = {**sent, "Idempotency-Key": f"r-{place}"}
        told = step.send("POST", f"{CYCLE}/rosters:reconcile", named, roster)
        assert told.status_code == 200, told.text
        found = [row["ticket"] is not None for row in told.json()["without_offer"]["data"]]
        assert found == [True, True, False]
    lacking = rollout.after.send("POST", f"{CYCLE}/rosters:reconcile", {**sent, "Idempotency-Key": "x"}, roster)
    assert (lacking.status_code, lacking.json()["code"]) == (503, "sis-secret-missing")


def test_a_cycle_made_after_the_rotation_needs_only_the_new_secret(rollout: Rollout) -> None:
    with transaction(rollout.before.sessions) as session:
        now = clock(session)
    body: dict[str, Json] = {
        "id": "2028", "name": "Next", "grades": ["KG"], "agreement_version": "1", "agreement": "As it is.",
        "time_zone": "America/New_York",
        "opens_at": (now + timedelta(hours=1)).isoformat(), "deadline": (now + timedelta(days=1)).isoformat(),
    }  # fmt: skip
    made = rollout.turned.administrator().post("/v1/cycles", body)
    assert made.status_code == 201, made.text
    with transaction(rollout.before.sessions) as session:
        session.execute(text("UPDATE cycle SET opens_at = now() - interval '1 hour' WHERE id = '2028'"))
    partner = rollout.after.partner()
    assert put(partner, "a1", "s-1", NEXT).status_code == 201
    assert put(rollout.ready.partner("other"), "b1", "s-1", NEXT).json()["code"] == "same-child-twice"


def test_without_the_secret_of_a_cycle_a_sis_id_is_refused_clearly_and_nothing_is_stored(rollout: Rollout) -> None:
    put(rollout.before.partner("first"), "a1", "s-1")
    partner = rollout.after.partner()
    refused = put(partner, "b1", "s-1")
    assert (refused.status_code, refused.json()["code"]) == (503, "sis-secret-missing")
    assert "ENROLLMENT_SECOND_SECRET" in refused.json()["detail"]
    assert put(partner, "b2", None).status_code == 201
    rows: list[Json] = [
        {"cycle": "2027", "reference": "b3", "applicant": {"grade": "KG", "child": dict(CHILD)}},
        {"cycle": "2027", "reference": "b4", "applicant": {"grade": "KG", "child": dict(CHILD), "sis_id": "s-4"}},
    ]
    batch = partner.post("/v1/applicants:batch", {"rows": rows})
    assert (batch.status_code, batch.json()["code"]) == (503, "sis-secret-missing")
    assert [one["reference"] for one in partner.get(f"{CYCLE}/applicants").json()["data"]] == ["b2"]


def test_an_app_secret_is_resealed_when_its_code_is_used(rollout: Rollout) -> None:
    rollout.before.administrator("ann")
    assert rollout.after.stranger().sign_in("ann", code=rollout.before.code()).json()["code"] == "second-factor-refused"
    assert rollout.turned.stranger().sign_in("ann", code=rollout.before.code()).json()["needs"] is None
    assert sealed_for(rollout.after) == {"ann": True}
    assert sealed_for(rollout.before) == {"ann": False}
    assert rollout.after.stranger().sign_in("ann", code=rollout.before.code(later=1)).json()["needs"] is None


def sealed_for(service: Service) -> dict[str, bool]:
    """Return whose app a process can read."""
    with transaction(service.sessions) as session:
        apps = session.scalars(select(AuthenticatorApp)).all()
        read = {app.staff_id: unseal(app.sealed, staff_id=app.staff_id, settings=service.settings) for app in apps}
    return {name: secret == APP_SECRET for name, secret in read.items()}


def command(word: str, database: str, secret: str, second: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "DATABASE_URL": database, "ENROLLMENT_SECRET": secret}
    if second:
        environment["ENROLLMENT_SECOND_SECRET"] = second
    words = [sys.executable, "-m", "enrollment", word]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_the_command_reseals_apps_and_lists_data_that_needs_an_older_secret(rollout: Rollout) -> None:
    database, old, new = (
        rollout.before.database,
        *(id_of_secret(one.settings) for one in (rollout.before, rollout.after)),
    )
    rollout.before.administrator("ann")
    put(rollout.before.partner("first"), "a1", "s-1")
    with transaction(rollout.before.sessions) as session:
        add_cycle(session, "2028", sis_key=old)
    lacking = command("rotate-secret", database, NEW_SECRET)
    assert lacking.returncode == 1
    assert "The authenticator app of ann needs a secret that is not set." in lacking.stdout
    assert f"The cycle 2027 needs the secret {old}, which is not set." in lacking.stdout
    done = command("rotate-secret", database, NEW_SECRET, SECRET)
    assert done.stdout.splitlines() == [
        f"New tokens and codes use the secret {new}.",
        "Authenticator apps: 1 sealed now, 0 sealed before.",
        f"The cycle 2028 has no SIS ids yet. It will keep them under the secret {new}.",
        f"The cycle 2027 needs the secret {old}. Keep it in ENROLLMENT_SECOND_SECRET until the cycle ends.",
        f"The cycle 2028 uses the secret {new}.",
    ]
    assert (done.returncode, done.stderr) == (0, "")
    assert sealed_for(rollout.after) == {"ann": True}
    with transaction(rollout.before.sessions) as session:
        assert dict(session.execute(select(Cycle.id, Cycle.sis_key)).all()) == {"2027": old, "2028": new}
    again = command("rotate-secret", database, NEW_SECRET, SECRET)
    assert "0 sealed now, 1 sealed before" in again.stdout
    assert SECRET not in done.stdout + lacking.stdout


def test_migrate_records_the_secret_of_older_cycles_and_not_while_two_are_set(database: str) -> None:
    with Service(database) as service:
        make_city(service, children=0)
        put(service.partner("first"), "a1", "s-1")
        told = command("rotate-secret", database, SECRET)
        assert (told.returncode, "not recorded" in told.stdout) == (1, True)
        command("migrate", database, NEW_SECRET, SECRET)
        command("migrate", database, SECRET)
        command("migrate", database, NEW_SECRET)
        with transaction(service.sessions) as session:
            assert session.scalars(select(Cycle.sis_key)).all() == [id_of_secret(service.settings)]


def test_a_process_without_a_needed_secret_logs_it_at_the_start(rollout: Rollout, tmp_path: Path) -> None:
    rollout.before.administrator("ann")
    put(rollout.before.partner("first"), "a1", "s-1")
    lacking, knowing = tmp_path / "lacking", tmp_path / "knowing"
    with running(rollout.before.database, settings={"ENROLLMENT_SECRET": NEW_SECRET}, log=lacking):
        (line,) = next(found for _ in range(MAX_LOOKS) if (found := warnings_in(lacking, rollout)))
    assert (line["cycles"], line["authenticator_apps"], line["level"]) == (["2027"], 1, "warning")
    both = {"ENROLLMENT_SECRET": NEW_SECRET, "ENROLLMENT_SECOND_SECRET": SECRET}
    with running(rollout.before.database, settings=both, log=knowing):
        assert warnings_in(knowing, rollout) == []


def test_health_lists_missing_secrets_and_the_remedy(rollout: Rollout) -> None:
    ann = rollout.before.administrator("ann")
    put(rollout.before.partner("first"), "a1", "s-1")
    fine = ann.get("/v1/health").json()["secrets"]
    assert fine == {"works": True, "cycles": [], "authenticator_apps": 0, "remedy": None}
    alone = Settings(database_url=rollout.before.database, secret=SecretStr(NEW_SECRET), hosts=("testserver",))
    rollout.after.app.state.settings = alone
    ann = rollout.after.with_token(ann.headers["Authorization"].removeprefix("Bearer "))
    told = ann.get("/v1/health").json()
    assert told["works"] is False
    secret = id_of_secret(rollout.before.settings)
    assert told["secrets"]["cycles"] == [{"cycle": "2027", "secret": secret}]
    assert told["secrets"]["authenticator_apps"] == 1
    assert "ENROLLMENT_SECOND_SECRET" in told["secrets"]["remedy"]


def warnings_in(log: Path, rollout: Rollout) -> list[dict[str, object]]:
    """Return the warnings of secrets in a log so far; asking a process takes a few milliseconds between two looks."""
    assert rollout.after.stranger().get("/healthz").status_code == 200
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in lines if line.get("event") == "a secret is not set"]


def test_a_process_that_ends_while_it_looks_for_a_missing_secret_leaves_no_connection_behind(database: str) -> None:
    service = Service(database)
    with psycopg.connect(database) as holding, psycopg.connect(database, autocommit=True) as looking:
        holding.execute("LOCK TABLE cycle IN ACCESS EXCLUSIVE MODE")
        service.__enter__()
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'cycle'::regclass"
        assert any(looking.execute(waiting).fetchone() is not None for _ in range(MAX_LOOKS))
        ending = Thread(target=service.__exit__, args=[None, None, None])
        ending.start()
        open_ = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        assert any(looking.execute(open_).rowcount and service.app.state.pool.closed for _ in range(MAX_LOOKS))
        holding.rollback()
        ending.join()
        assert any(looking.execute(open_).fetchone() == (2,) for _ in range(MAX_LOOKS))


@pytest.mark.parametrize("value", ["", "short"])
def test_a_short_second_secret_is_refused_with_the_setting_name(value: str) -> None:
    with pytest.raises(ValidationError, match="second_secret"):
        Settings(database_url="postgresql://x", secret=SecretStr(SECRET), second_secret=SecretStr(value))
