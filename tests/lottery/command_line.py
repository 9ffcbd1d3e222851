"""Commands as tests run them in their own process, and what they print."""

import pytest

from lottery.cli.main import main

Captured = pytest.CaptureFixture[str]


def exit_code(arguments: list[str]) -> int:
    """Run a command of which argparse refuses the words, or the command itself the values."""
    try:
        return main(arguments)
    except SystemExit as leaving:
        return int(leaving.code or 0)


def the_one_line(capsys: Captured) -> str:
    """Return what a refused command says: one line, and nothing on standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line
