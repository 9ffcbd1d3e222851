"""The wheel: what it installs, and that its commands work in a folder that is no checkout."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from people import SECRET
from processes import free_port, run, started

ROOT = Path(__file__).parents[1]
MODULE = "enrollment"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it, without what it depends on, into a folder of its own."""
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    install = ["-m", "pip", "install", "--no-deps", "--no-index", "--no-compile", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    return site


def test_it_installs_two_packages_and_the_migrations_inside_one_of_them(site: Path) -> None:
    packages = sorted(path.name for path in site.iterdir() if path.is_dir() and not path.name.endswith(".dist-info"))
    assert packages == ["bin", "enrollment", "lottery"]
    inside = {path.name for path in (site / "enrollment" / "migrations" / "versions").glob("*.py")}
    assert inside == {path.name for path in (ROOT / "migrations" / "versions").glob("*.py")}


def test_its_packages_are_found_before_the_checkout(site: Path, tmp_path: Path) -> None:
    ask = [sys.executable, "-c", "import enrollment, lottery; print(enrollment.__file__, lottery.__file__)"]
    told = subprocess.run(
        ask, cwd=tmp_path, env={"PYTHONPATH": str(site)}, check=True, capture_output=True, text=True
    ).stdout
    assert told.split() == [str(site / name / "__init__.py") for name in ("enrollment", "lottery")]


def test_migrate_brings_an_empty_database_up_to_date(
    site: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    monkeypatch.chdir(tmp_path)
    code, told = run(tmp_path, MODULE, "migrate", PYTHONPATH=str(site), DATABASE_URL=database, ENROLLMENT_SECRET=SECRET)
    assert (code, told) == (0, "")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM ranking_version").fetchone() == (0,)


def test_try_serves_from_an_empty_folder(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "password").write_text("an invented password")
    words = ("--administrator", "ann", "--administrator", "bea", "--password-file", "password", "--port", free_port())
    with started(tmp_path, MODULE, "try", *words, PYTHONPATH=str(site)) as service:
        service.until_it_says("http://127.0.0.1:")
        service.process.terminate()
        service.ended()
