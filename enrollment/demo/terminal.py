"""Show the demo's progress on the terminal: headlines, lines, progress bars, tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

PLAIN_WIDTH = 110

Step = Callable[[], None]


class Terminal:
    """Shows text and tables. Progress bars move on a terminal; elsewhere each bar becomes one line."""

    def __init__(self) -> None:
        console = Console(highlight=False)
        self.console = console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)

    def headline(self, text: str) -> None:
        """Show the headline of the next part."""
        self.console.print(f"\n[bold]{text}[/bold]")

    def line(self, text: str) -> None:
        """Show one line."""
        self.console.print(f"  {text}", markup=False, soft_wrap=True)

    def quote(self, lines: Sequence[str]) -> None:
        """Show lines exactly as the service or a command gave them."""
        for line in lines:
            self.console.print(f"  | {line}", markup=False, soft_wrap=True)

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show a table, with columns of numbers aligned to the right."""
        self.line(title)
        table = Table()
        for column, heading in enumerate(headings):
            numeric = all(isinstance(row[column], int) for row in rows)
            table.add_column(heading, justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
        self.console.print(table)

    @contextmanager
    def bar(self, text: str, total: int) -> Iterator[Step]:
        """Show the progress of a long act. Each call of the yielded function counts one step."""
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
