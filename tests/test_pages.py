"""The pages show what happens: every command in README and docs is run, and prints what stands below it.

`scripts/pages` brings what they show up to date.
"""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from enrollment.cli import commands
from lottery.cli.demo import demo
from pages import PAGES, blocks, like_the_checkout, pages_with, run, steps, text

TUTORIAL = "docs/tutorial.md"
LONGEST_README = 150


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return like_the_checkout(tmp_path)


@pytest.mark.parametrize("page", pages_with("console"))
def test_every_command_prints_what_the_page_shows(page: str, checkout: Path) -> None:
    shown_steps = [step for block in blocks(page, "console") for step in steps(block)]
    if shutil.which("openssl") is None and any("openssl" in command for command, _ in shown_steps):
        pytest.skip("openssl, with which the page draws a number, is not installed")

    assert shown_steps
    for command, shown in shown_steps:
        printed = run(command, checkout)
        if shown and shown[-1] == "...":
            assert printed[: len(shown) - 1] == shown[:-1], command
        else:
            assert printed == shown, command
    assert not (checkout / "never.json").exists()


def test_the_pages_show_as_many_commands_as_there_are_subjects() -> None:
    run_by_pages = [command for page in PAGES for block in blocks(page, "console") for command, _ in steps(block)]
    assert len(run_by_pages) > 16
    for name in ("match", "verify", "explain", "simulate", "compare", "lint", "generate"):
        assert any(f"lottery {name} " in command for command in run_by_pages), name


def test_the_market_shown_is_the_file() -> None:
    assert blocks("docs/how-to/lottery-on-files.md", "json") == [text("docs/example.json")]


def test_the_python_shown_runs(checkout: Path) -> None:
    (page,) = pages_with("python")
    (program,) = blocks(page, "python")
    (checkout / "program.py").write_text(program, encoding="utf-8")

    placements, chances = run(f"{sys.executable} program.py", checkout)

    assert placements.startswith("(Placement(applicant='ada', program='oak-kg', group='open', choice=1)")
    assert chances == "[1. 1. 0.]"


def test_the_readme_is_short() -> None:
    assert len(text("README.md").splitlines()) <= LONGEST_README


@contextmanager
def tried_out(folder: Path) -> Iterator[str]:
    """Start the service as the tutorial says, at a free port; yield its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    (start,) = [block for block in blocks(TUTORIAL, "sh") if "enrollment try" in block]
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
        assert f":{port}" in printed, printed + process.stdout.read()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def test_the_round_by_hand_runs_and_answers_as_the_tutorial_says(checkout: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl, with which the tutorial runs a round, is not installed")
    by_hand = "\n".join(blocks(TUTORIAL, "bash"))
    with tried_out(checkout) as address:
        waiting = f"until curl -sf {address}/readyz >/dev/null; do :; done\n"
        script = waiting + by_hand.replace("http://127.0.0.1:8000", address)
        printed = run(f"set -e\n{script}", checkout)

    assert not [line for line in printed if '"code":' in line and '"title":' in line]
    assert printed[-1] == "The outcome is right. With a seat: 2 children. Without: 1."
    (spanish,) = [line for line in printed if '"language":"es"' in line]
    assert "adams-kg" in spanish
    answers = "".join(blocks(TUTORIAL, "text")).splitlines()
    assert len(answers) > 5
    for shown in answers:
        parts = [re.escape(part) for part in shown.split("…")]
        assert [line for line in printed if re.fullmatch(".*".join(parts), line)], shown


def test_the_tutorial_is_the_only_page_with_bash_to_paste() -> None:
    assert pages_with("bash") == [TUTORIAL]


@pytest.mark.parametrize("page", pages_with("sh"))
def test_every_command_of_the_service_on_a_page_exists_with_its_options(page: str) -> None:
    group = typer.main.get_command(commands)
    assert isinstance(group, TyperGroup)
    for block in blocks(page, "sh"):
        for name, words in re.findall(r"^(?:\.venv/bin/)?enrollment ([a-z-]+)([^#\n]*)", block, re.MULTILINE):
            known = {option for parameter in group.commands[name].params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", words)) <= known, f"{name}{words}"


def test_the_demo_runs_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo(["--children", "600", "--schools", "20", "--folder", str(tmp_path / "city"), "--exit"])

    printed = capsys.readouterr().out
    assert "The outcome is wrong" in printed
    assert printed.count("The outcome is right") == 2
    assert "Try next:" in printed
