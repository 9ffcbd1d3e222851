"""The pages of the documentation: what stands in them, and how their commands are run."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), ROOT / "lottery" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
"""Every page, by its path from the root."""

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a language, in order."""
    return [block for name, block in FENCED.findall(text(page)) if name == language]


def pages_with(language: str) -> list[str]:
    return [page for page in PAGES if blocks(page, language)]


def prose(page: str) -> str:
    """Return a page without its code blocks."""
    return FENCED.sub("", text(page))


def headings(page: str) -> list[str]:
    return HEADING.findall(prose(page))


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    made: Counter[str] = Counter()
    found = set()
    for heading in headings(page):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{anchor}-{made[anchor]}" if made[anchor] else anchor)
        made[anchor] += 1
    return found


def steps(block: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with the lines that it prints; a line `...` stands for any that follow."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *printed = step.splitlines()
        yield command, printed


def run(command: str, folder: Path) -> list[str]:
    """Run a command in a folder and return the lines that it prints."""
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


def like_the_checkout(folder: Path) -> Path:
    """Make a folder look like the checkout to the commands, so that what they write goes elsewhere."""
    (folder / "docs").symlink_to(ROOT / "docs")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    return folder
