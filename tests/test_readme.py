"""The README shows what happens: every command in it is run, and prints what stands below it."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lottery.cli.demo import demo

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def steps(block: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with the lines that it prints; a line `...` stands for any that follow."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *printed = step.splitlines()
        yield command, printed


def run(command: str, folder: Path) -> list[str]:
    environment = {**os.environ, "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return [line.rstrip() for line in done.stdout.splitlines()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a folder that looks like the checkout to the commands, so that what they write goes elsewhere."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    return tmp_path


def test_every_command_prints_what_the_readme_shows(checkout: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, with which the README draws a number, is not installed")
    commands = [step for block in blocks("console") for step in steps(block)]

    assert len(commands) > 8
    for command, shown in commands:
        printed = run(command, checkout)
        if shown and shown[-1] == "...":
            assert printed[: len(shown) - 1] == shown[:-1], command
        else:
            assert printed == shown, command
    assert not (checkout / "never.json").exists()


def test_the_market_shown_is_the_file() -> None:
    assert blocks("json") == [(ROOT / "docs" / "example.json").read_text(encoding="utf-8")]


def test_the_python_shown_runs(checkout: Path) -> None:
    (program,) = blocks("python")
    (checkout / "program.py").write_text(program, encoding="utf-8")

    placements, chances = run(f"{sys.executable} program.py", checkout)

    assert placements.startswith("(Placement(applicant='ada', program='oak-kg', group='open', choice=1)")
    assert chances == "[1. 1. 0.]"


def test_every_script_and_page_named_is_there() -> None:
    named = [*re.findall(r"scripts/\w+", README), *re.findall(r"\]\(([^)#]+)[^)]*\)", README)]

    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []


@contextmanager
def tried_out(folder: Path) -> Iterator[str]:
    """Start the service as the README says, at a free port; yield its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    (start,) = [block for block in blocks("sh") if "enrollment try" in block]
    process = subprocess.Popen(
        [
            "bash",
            "-ec",
            start.replace(".venv/bin/enrollment", "exec .venv/bin/enrollment").rstrip() + f" --port {port}",
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        printed = process.stdout.readline()
        assert "is served" in printed, printed + process.stdout.read()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def test_a_round_runs_by_hand_as_the_readme_says(checkout: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl, with which the README runs a round, is not installed")
    (by_hand,) = blocks("bash")
    with tried_out(checkout) as address:
        waiting = f"until curl -sf {address}/readyz >/dev/null; do :; done\n"
        script = waiting + by_hand.replace("http://127.0.0.1:8000", address)
        printed = run(f"set -e\n{script}", checkout)

    assert printed[-1] == "The outcome is right: 2 placed, 1 without a seat."
    (spanish,) = [line for line in printed if '"language":"es"' in line]
    assert "Plaza en adams-kg" in spanish or "Sin plaza en esta ronda" in spanish
    assert not [line for line in printed if '"code":' in line and '"title":' in line]


def test_the_demo_runs_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo(["--children", "600", "--schools", "20", "--folder", str(tmp_path / "city"), "--exit"])

    printed = capsys.readouterr().out
    assert "The outcome is refused" in printed
    assert printed.count("The outcome is right") == 2
    assert "What to try next" in printed
