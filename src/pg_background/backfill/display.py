"""How far a backfill is, as a bar of Rich on a terminal; elsewhere nothing is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class BackfillProgress:
    """How far it is."""

    name: str
    #: rows of the table that were gone over, and how many there are, about; None if that is not known
    rows_seen: int
    estimated_rows: int | None
    #: rows that the statement has changed, in this process
    rows_changed: int = 0
    ranges_done: int = 0
    ranges_failed: int = 0
    retries: int = 0


#: True is a bar; a function is called with the progress whenever that changes.
BackfillShow = bool | Callable[[BackfillProgress], object] | None


class BackfillDisplay:
    """Keeps the progress, and tells it."""

    def __init__(self, progress: BackfillProgress, show: Callable[[BackfillProgress], object]) -> None:
        self.progress = progress
        self._show = show

    def done(self, size: int, rows: int) -> None:
        """Count a range that is done."""
        self.progress.rows_seen += size
        self.progress.rows_changed += rows
        self.progress.ranges_done += 1
        self._show(self.progress)

    def failed(self, size: int) -> None:
        """Count a range that was given up."""
        self.progress.rows_seen += size
        self.progress.ranges_failed += 1
        self._show(self.progress)

    def again(self) -> None:
        """Count a range that is tried again."""
        self.progress.retries += 1
        self._show(self.progress)


@contextmanager
def shown(wanted: BackfillShow, progress: BackfillProgress) -> Iterator[BackfillDisplay]:
    """Show how far it is during the block."""
    if callable(wanted):
        yield BackfillDisplay(progress, wanted)
    elif wanted:
        with _bar(progress) as update:
            yield BackfillDisplay(progress, update)
    else:
        yield BackfillDisplay(progress, lambda _: None)


@contextmanager
def _bar(progress: BackfillProgress) -> Iterator[Callable[[BackfillProgress], object]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield lambda _: None
        return
    bar = RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    # Without a total the bar pulses: the table was never analyzed.
    task = bar.add_task(progress.name, total=progress.estimated_rows, told=_told(progress))

    def update(now: BackfillProgress) -> Any:
        # The number of rows is an estimate: the bar must not be full before the end.
        total = now.estimated_rows and max(now.estimated_rows, now.rows_seen + 1)
        bar.update(task, total=total, completed=now.rows_seen, told=_told(now))

    with bar:
        update(progress)
        yield update


def _told(progress: BackfillProgress) -> str:
    failed = f", {progress.ranges_failed} ranges failed" if progress.ranges_failed else ""
    return f"{progress.rows_changed} rows changed{failed}"
