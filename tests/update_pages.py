"""Bring what README and docs show up to date with what the commands print and the service says now: `scripts/pages`."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import rules_examples
from pages import ROOT, blocks, like_the_checkout, pages_with, run, steps, text


def main() -> None:
    """Rewrite the pages."""
    (ROOT / rules_examples.PAGE).write_text(rules_examples.updated(), encoding="utf-8")
    for page in pages_with("console"):
        (ROOT / page).write_text(with_new_answers(page), encoding="utf-8")


def with_new_answers(page: str) -> str:
    """Return a page with what its commands print now. A line `...` keeps its place."""
    new = text(page)
    with TemporaryDirectory() as folder:
        checkout = like_the_checkout(Path(folder))
        for block in blocks(page, "console"):
            lines = [line for command, shown in steps(block) for line in _answer(command, shown, checkout)]
            new = new.replace(block, "".join(f"{line}\n" for line in lines))
    return new


def _answer(command: str, shown: list[str], checkout: Path) -> Iterator[str]:
    printed = run(command, checkout)
    yield f"$ {command}"
    yield from [*printed[: len(shown) - 1], "..."] if shown and shown[-1] == "..." else printed


if __name__ == "__main__":
    main()
