"""Progress bars on a terminal."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lottery.progress import Step, Track, untracked


@contextmanager
def progress_bars() -> Iterator[Track]:
    """Show a bar for each long step on a terminal, if `rich` is installed."""
    if not sys.stderr.isatty():
        yield untracked
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield untracked
        return
    left = TimeRemainingColumn(elapsed_when_finished=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), left)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def track(steps: Iterable[Step], work: str, total: int | None) -> Iterable[Step]:
            return progress.track(steps, total=total, description=work)

        yield track
