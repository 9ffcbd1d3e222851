"""The embedded PostgreSQL: any folder, several users, any crash, and no values in its log."""

import os
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from enrollment.embedded import PostgreSQLDidNotStart, embedded_postgresql, log_of
from postgresql_log import PREFIX, LogReader


def answers(address: str) -> bool:
    try:
        with psycopg.connect(address) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_postgresql_runs_until_the_last_user_of_its_folder_ends(tmp_path: Path) -> None:
    folder = tmp_path / "postgresql"
    with embedded_postgresql(folder) as first:
        with embedded_postgresql(folder) as second:
            assert second == first
        assert answers(first)
    assert not answers(first)


def test_postgresql_ends_even_if_its_own_user_can_no_longer_reach_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "city" / "postgresql"
    with embedded_postgresql(folder):
        process = int((folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        folder.parent.chmod(0o700)
    assert not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def test_a_long_path_with_unusual_characters_works(tmp_path: Path) -> None:
    with embedded_postgresql(tmp_path / f"a city, {'x' * 110}" / "postgresql") as address:
        assert answers(address)


def test_postgresql_starts_after_a_power_cut_and_after_an_interrupted_start(tmp_path: Path) -> None:
    folder = tmp_path / "postgresql"
    (tmp_path / "postgresql.unfinished" / "base").mkdir(parents=True)
    with embedded_postgresql(folder):
        process, *rest = (folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    assert process.isdigit()
    # What is left of a server that did not end, and whose number another program has today: this one.
    (folder / "postmaster.pid").write_text("\n".join([str(os.getpid()), *rest]) + "\n", encoding="utf-8")
    with embedded_postgresql(folder) as address:
        assert answers(address)


def test_an_unusable_folder_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "postgresql"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("16\n", encoding="ascii")
    with pytest.raises(PostgreSQLDidNotStart, match=r"holds a database of PostgreSQL 16\. Choose another folder"):
        embedded_postgresql(folder).__enter__()


def test_the_postgresql_log_names_the_database_and_the_error_without_row_values(tmp_path: Path) -> None:
    folder = tmp_path / "postgresql"
    with embedded_postgresql(folder) as address, psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE pupil (name text UNIQUE)")
        for _ in range(2):
            with suppress(psycopg.errors.UniqueViolation):
                connection.execute("INSERT INTO pupil VALUES ('Ada Lovelace')")
        with suppress(psycopg.errors.BadCopyFileFormat), connection.cursor().copy("COPY pupil FROM STDIN") as copy:
            copy.write("Ada Lovelace\tonce more\n")
    log = log_of(folder).read_text(encoding="utf-8")
    assert "] postgres ERROR:  duplicate key value violates unique constraint" in log
    assert "Lovelace" not in log


def test_the_look_at_the_log_finds_new_error_lines_of_this_process_s_databases_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = f"2027-01-01 00:00:00.000 UTC [7] {PREFIX}a ERROR:  from before\n"
    log.write_text(before, encoding="utf-8")
    reader = LogReader(log)
    with log.open("a", encoding="utf-8") as file:
        for line in (
            f"2027-01-01 00:00:01.000 UTC [7] {PREFIX}a ERROR:  deadlock detected",
            f"2027-01-01 00:00:01.000 UTC [7] {PREFIX}a LOG:  could not receive data from client",
            f"2027-01-01 00:00:01.000 UTC [7] {PREFIX}a FATAL:  terminating connection due to administrator command",
            "2027-01-01 00:00:01.000 UTC [8] enrollment_1_b ERROR:  of another process",
            f"2027-01-01 00:00:01.000 UTC [7] {PREFIX}b PANIC:  not written to its end",
        ):
            file.write(line if "PANIC" in line else f"{line}\n")
    assert reader.new_errors() == ["ERROR:  deadlock detected"]
    with log.open("a", encoding="utf-8") as file:
        file.write(" yet\n")
    assert reader.new_errors() == ["PANIC:  not written to its end yet"]
