"""The public log: written with the act, ordered by one sequencer, never changed."""

import hashlib
import json
from datetime import UTC, datetime
from threading import Thread

import psycopg
import pytest
import rfc8785
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from enrollment.audit.log import append, read_entries, sequence_all, sequence_recent, tree_head
from enrollment.database import clock, transaction
from people import Service
from rounds_by_hand import make_city


def tell(session: Session, number: int) -> bytes:
    return append(session, "cycle.put", cycle="2027", actor="staff:administrator", fields={"number": number})


def root_by_the_rfc(leaves: list[bytes]) -> bytes:
    """Compute the tree hash as RFC 6962, section 2.1, defines it: by splitting, not by appending."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = root_by_the_rfc(leaves[:split]), root_by_the_rfc(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


def test_entries_are_canonical_and_the_root_matches_the_rfc_at_every_size(service: Service) -> None:
    for number in range(20):
        with transaction(service.sessions) as session:
            tell(session, number)
        service.sequence()
        told = service.stranger().get("/v1/log/entries").json()
        bodies = [entry["entry"].encode() for entry in told["entries"]]
        assert [json.loads(body)["number"] for body in bodies] == list(range(number + 1))
        assert all(rfc8785.dumps(json.loads(body)) == body for body in bodies)
        leaves = [hashlib.sha256(b"\0" + body).digest() for body in bodies]
        assert [entry["leaf_hash"] for entry in told["entries"]] == [leaf.hex() for leaf in leaves]
        head = service.stranger().get("/v1/log/tree").json()
        assert head == {"size": number + 1, "root": root_by_the_rfc(leaves).hex()}


def test_the_root_of_an_empty_log_is_the_hash_of_no_bytes(service: Service) -> None:
    assert service.stranger().get("/v1/log/tree").json() == {"size": 0, "root": hashlib.sha256().hexdigest()}
    assert service.stranger().get("/v1/log/entries").json() == {"size": 0, "entries": []}


def test_a_batch_gives_the_same_root_as_single_entries(service: Service) -> None:
    with transaction(service.sessions) as session:
        leaves = [tell(session, number) for number in range(1, 38)]
        assert sequence_all(session) == len(leaves)
        assert tree_head(session).root == root_by_the_rfc(leaves)
        leaves += [tell(session, number) for number in range(5)]
        assert sequence_recent(session) == 5
        assert tree_head(session).root == root_by_the_rfc(leaves)


def test_an_entry_is_stored_only_with_its_act(service: Service) -> None:
    session = service.sessions()
    tell(session, 1)
    session.close()
    service.sequence()
    assert service.stranger().get("/v1/log/tree").json()["size"] == 0


def test_a_late_commit_loses_no_entry(service: Service) -> None:
    slow = service.sessions()
    tell(slow, 1)
    with transaction(service.sessions) as session:
        tell(session, 2)
    service.sequence()
    assert service.stranger().get("/v1/log/tree").json()["size"] == 1
    slow.commit()
    slow.close()
    service.sequence()
    entries = service.stranger().get("/v1/log/entries").json()["entries"]
    assert [json.loads(entry["entry"])["number"] for entry in entries] == [2, 1]


def test_many_parallel_sequencers_give_each_entry_one_index(service: Service) -> None:
    with transaction(service.sessions) as session:
        leaves = {tell(session, number) for number in range(300)}

    def sequence() -> None:
        for _ in range(5):
            with transaction(service.sessions) as session:
                sequence_recent(session)

    threads = [Thread(target=sequence) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with transaction(service.sessions) as session:
        placed = read_entries(session, start=0, end=1000)
        assert [entry.index for entry in placed] == list(range(300))
        assert {entry.leaf_hash for entry in placed} == leaves
        assert tree_head(session).root == root_by_the_rfc([entry.leaf_hash for entry in placed])


@pytest.mark.postgresql_errors("the log only grows")
@pytest.mark.parametrize("table", ["log_entry", "log_leaf", "log_node"])
@pytest.mark.parametrize("act", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_database_refuses_to_change_the_log(service: Service, table: str, act: str) -> None:
    with transaction(service.sessions) as session:
        tell(session, 1)
        sequence_all(session)
    column = {"log_entry": "actor", "log_leaf": "index", "log_node": "hash"}[table]
    with psycopg.connect(service.database) as connection:
        connection.execute("SET session_replication_role = replica")  # which switches ordinary triggers off
        with pytest.raises(psycopg.errors.RestrictViolation, match="the log only grows"):
            connection.execute(act.format(table, column, column).encode())


@pytest.mark.postgresql_errors("ck_log_entry")
@pytest.mark.parametrize(("actor", "reason"), [("", "why"), ("  ", "why"), ("staff:administrator", " ")])
def test_the_database_refuses_an_entry_without_an_actor_or_with_an_empty_reason(
    service: Service, actor: str, reason: str
) -> None:
    with pytest.raises(IntegrityError), transaction(service.sessions) as session:
        append(session, "cycle.put", cycle="2027", actor=actor, reason=reason, fields={})


@pytest.mark.postgresql_errors("ck_log_entry")
@pytest.mark.parametrize("type_", ["round.void", "deadline.move", "contact.change", "facts.set"])
def test_the_database_refuses_an_entry_without_its_required_reason(service: Service, type_: str) -> None:
    with pytest.raises(IntegrityError), transaction(service.sessions) as session:
        append(session, type_, cycle="2027", actor="staff:administrator", fields={})


def test_a_range_of_entries_must_be_valid_and_bounded(service: Service) -> None:
    stranger = service.stranger()
    for asked in ("start=2&end=1", "start=0&end=1001"):
        assert stranger.get(f"/v1/log/entries?{asked}").json()["code"] == "range-refused"
    for asked in ("start=-1", "start=x", "end=99999999999999999999"):
        assert stranger.get(f"/v1/log/entries?{asked}").json()["code"] == "bad-request"


@pytest.mark.postgresql_errors('into column "id"')
def test_entries_cannot_be_written_with_an_order_of_their_own(service: Service) -> None:
    with pytest.raises(DBAPIError), transaction(service.sessions) as session:
        session.execute(
            text("INSERT INTO log_entry (id, type, actor, body, leaf_hash) VALUES (1, 'x', 'y', '{}', '\\x00')")
        )


SECONDS = "%Y-%m-%dT%H:%M:%SZ"


def test_every_entry_has_the_time_of_its_act_to_the_second(service: Service) -> None:
    before = _now(service)
    city = make_city(service)
    city.run_main()
    city.answer(next(iter(city.seats())), "decline")
    service.sequence()
    after = _now(service)
    bodies = [json.loads(entry["entry"]) for entry in service.stranger().get("/v1/log/entries").json()["entries"]]
    assert {"ranking.put", "seat.change", "vacancy", "round.freeze"} <= {body["type"] for body in bodies}
    times = [datetime.strptime(body["at"], SECONDS).replace(tzinfo=UTC) for body in bodies]
    assert [body["at"] for body in bodies] == [time.strftime(SECONDS) for time in times]
    assert before.replace(microsecond=0) <= min(times) <= max(times) <= after


def _now(service: Service) -> datetime:
    with transaction(service.sessions) as session:
        return clock(session)
