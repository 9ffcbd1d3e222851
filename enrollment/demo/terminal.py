"""Tell on the terminal what happens: headlines, lines, progress bars, tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

PLAIN_WIDTH = 110

Step = Callable[[], None]


class Teller:
    """Tells what happens; on a terminal with bars that move, elsewhere one line for each."""

    def __init__(self) -> None:
        console = Console(highlight=False)
        self.console = console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)

    def headline(self, text: str) -> None:
        """Tell what comes next."""
        self.console.print(f"\n[bold]{text}[/bold]")

    def line(self, text: str) -> None:
        """Tell one thing."""
        self.console.print(f"  {text}", markup=False, soft_wrap=True)

    def quote(self, lines: Sequence[str]) -> None:
        """Show words of the service as they are."""
        for line in lines:
            self.console.print(f"  | {line}", markup=False, soft_wrap=True)

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show a table; numbers stand to the right."""
        self.line(title)
        table = Table()
        for place, heading in enumerate(headings):
            numeric = all(isinstance(row[place], int) for row in rows)
            table.add_column(heading, justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
        self.console.print(table)

    @contextmanager
    def bar(self, text: str, total: int) -> Iterator[Step]:
        """Show how far something long has come; each call of what is given counts one."""
        if not self.console.is_terminal:
            yield lambda: None
            self.line(f"{text}: {total:,} of {total:,}.")
            return
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(text, total=total)
            yield lambda: progress.advance(task)
