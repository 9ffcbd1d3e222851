"""Logs of errors have places and never values, which may be a child's."""

import json
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from enrollment.database import transaction
from enrollment.json_log import frames_of
from people import Service
from rounds_by_hand import CYCLE, City, make_city
from servers import MAX_LOOKS, running

NAME = "Lovelace"
BROKEN = "UPDATE cycle SET tie_break = 'Lovelace'"


@pytest.fixture
def city(service: Service) -> City:
    city = make_city(service, children=4)
    city.run_main()
    return city


def test_errors_in_the_web_process_and_the_worker_are_logged_without_values(city: City, tmp_path: Path) -> None:
    with transaction(city.service.sessions) as session:
        # A word that no code expects: whatever reads it raises an exception that quotes it.
        session.execute(text("ALTER TABLE cycle DROP CONSTRAINT ck_cycle_tie_break"))
        session.execute(text(BROKEN))
    log = tmp_path / "log"
    with running(city.service.database, log=log) as up, httpx.Client(base_url=up.address, timeout=60) as http:
        http.headers.update(city.ann.headers)
        answer = http.get(CYCLE)
        assert (answer.status_code, answer.json()["code"]) == (500, "broken")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert NAME not in answer.text
        made = http.post(f"{CYCLE}/rounds", json={"kind": "backfill"}, headers={"Idempotency-Key": uuid.uuid4().hex})
        path = f"/v1/rounds/{made.json()['id']}/rehearse"
        assert http.post(path, headers={"Idempotency-Key": uuid.uuid4().hex}).status_code == 202
        until_logged(log, "ValueError", '"work": "rehearse"')
        until_logged(log, "ValueError", '"work": "waitlists"')
    told = log.read_text(encoding="utf-8")
    assert NAME not in told
    lines = [json.loads(line) for line in told.splitlines()]
    (broken,) = [line for line in lines if line["level"] == "error"]
    assert (broken["event"], broken["exception"][0]) == ("broken", "ValidationError")


def until_logged(log: Path, *words: str) -> None:
    """Return once a line of the log has all these words."""
    for _ in range(MAX_LOOKS * 100):
        if any(all(word in line for word in words) for line in log.read_text(encoding="utf-8").splitlines()):
            return
    pytest.fail(f"no line of the log has {words}")


TASK = """
import asyncio, gc
async def fail(): int('Lovelace')
async def go():
    asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    gc.collect()
asyncio.run(go())
"""


@pytest.mark.parametrize(
    "program",
    [
        "raise ValueError('Lovelace')",
        "import threading; t = threading.Thread(target=lambda: int('Lovelace')); t.start(); t.join()",
        TASK,
        "class C:\n  def __del__(self): raise ValueError('Lovelace')\nC()",
        "import logging; logging.getLogger('any').error('%s', 'Lovelace')",
        "import logging; logging.getLogger('any').error('about Lovelace')",
        "import logging; logging.getLogger('uvicorn.error').error('on %s', 'Lovelace')",
        "import warnings; warnings.warn('Lovelace')",
        "try:\n  int('Lovelace')\nexcept ValueError as error:\n  raise RuntimeError('Lovelace') from error",
    ],
)
def test_no_way_of_logging_an_error_writes_a_value(program: str) -> None:
    begun = f"from enrollment.json_log import take_over_errors; take_over_errors()\n{program}"
    ended = subprocess.run([sys.executable, "-c", begun], capture_output=True, text=True, check=False)
    assert NAME not in ended.stdout + ended.stderr
    assert [json.loads(line)["level"] for line in ended.stderr.splitlines()] != []


def test_the_places_of_an_error_and_its_cause_are_logged() -> None:
    def fail() -> None:
        try:
            int(NAME)
        except ValueError as error:
            raise RuntimeError(NAME) from error

    with pytest.raises(RuntimeError) as caught:
        fail()
    told = frames_of(caught.value)
    assert (told[0], "ValueError" in told) == ("RuntimeError", True)
    assert any(frame.endswith(" fail") for frame in told)
    assert NAME not in str(told)
