"""Migrations: one head, up and down, the same tables as the code, and no long wait for a lock."""

import os
import subprocess
import sys

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, select, text
from sqlalchemy.exc import OperationalError

import enrollment.tables as _  # noqa: F401 - knows every table
from enrollment.applicants.models import Child
from enrollment.cycles.inputs import CycleChangeIn
from enrollment.database import Table, transaction
from enrollment.migrate import MIGRATIONS, downgrade, upgrade
from enrollment.seats.models import Offer
from people import SECRET, Service
from rounds_by_hand import make_city
from rows import add_cycle


@pytest.fixture
def empty(database: str) -> str:
    """Return the address of a database that was emptied by going back to the beginning."""
    downgrade(database, "base")
    return database


def left_in(address: str) -> list[str]:
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'v') "
            "UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
            "UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'"
        )
        return sorted(name for (name,) in found.fetchall())


def test_there_is_one_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


def test_downgrading_leaves_nothing_and_upgrading_again_gives_the_same(empty: str) -> None:
    assert left_in(empty) == ["alembic_version"]
    upgrade(empty)
    again = left_in(empty)
    assert "ranking_version" in again
    downgrade(empty, "base")
    upgrade(empty)
    assert left_in(empty) == again


def test_the_migrations_make_the_tables_that_the_code_has(database: str) -> None:
    engine = create_engine(make_url(database).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_server_default": True,
                "include_name": lambda name, kind, _: kind != "table" or name in Table.metadata.tables,
            },
        )
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()


def test_a_fresh_alembic_process_knows_every_table() -> None:
    script = "import enrollment.tables; from enrollment.database import Table; print(*sorted(Table.metadata.tables))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == sorted(Table.metadata.tables)
    assert "ranking_version" in found.stdout.split()


@pytest.mark.postgresql_errors("lock timeout")
def test_a_migration_gives_up_rather_than_wait_long_for_a_lock(database: str) -> None:
    engine = create_engine(make_url(database).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE log_node"))
        with pytest.raises(OperationalError, match="lock timeout"):
            downgrade(database, "0001")
    engine.dispose()


def test_seats_from_before_offers_existed_are_kept(service: Service) -> None:
    city = make_city(service)
    city.run_main()
    before = city.seats()
    downgrade(service.database, "0004")
    upgrade(service.database)
    assert city.seats() == before
    with transaction(service.sessions) as session:
        held = session.execute(select(Offer.status, Child.seat_grade).join(Child, Child.id == Offer.child_id)).all()
    assert set(held) == {("accepted", "KG")}


def test_a_cycle_from_before_time_zones_has_utc_and_the_command_says_how_to_change_it(service: Service) -> None:
    with transaction(service.sessions) as session:
        add_cycle(session, "2027")
        add_cycle(session, "2028")
    downgrade(service.database, "0010")
    upgrade(service.database)
    ann = service.administrator("ann")
    shown = ann.get("/v1/cycles/2027").json()
    assert shown["time_zone"] == "Etc/UTC"
    told = migrated(service.database)
    assert "Set the schools' time zone with PUT /v1/cycles/2027." in told
    kept = {name: shown[name] for name in CycleChangeIn.model_fields if name in shown}
    body = {**kept, "time_zone": "America/New_York", "reason": "The schools are there"}
    assert ann.change("/v1/cycles/2027", body).status_code == 200
    assert [line for line in migrated(service.database).splitlines() if "2027" in line] == []


def migrated(database: str) -> str:
    """Run the command, and return what it says."""
    environment = {**os.environ, "DATABASE_URL": database, "ENROLLMENT_SECRET": SECRET}
    command = [sys.executable, "-m", "enrollment", "migrate"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_accounts_from_before_invitations_keep_their_passwords_and_administrators_set_up_a_second_factor(
    service: Service,
) -> None:
    service.administrator("ann")
    otto = service.auditor("otto")
    downgrade(service.database, "0007")
    upgrade(service.database)
    assert otto.get("/v1/tokens").status_code == 200
    assert service.stranger().sign_in("otto").json()["needs"] is None
    assert service.stranger().sign_in("ann").json()["needs"] == "second-factor-setup"
