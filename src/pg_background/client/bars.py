"""Progress bars, on a terminal or in a notebook; elsewhere nothing is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from .model import Progress, in_words

#: True is "rich"; a function is called with the job and what it has reported, whenever that changes.
ProgressDisplay = bool | Literal["rich", "tqdm"] | Callable[[Any, Progress], object] | None

#: Seconds between two polls of how far the jobs are.
BAR_SECONDS = 0.2


class ShownJob(Protocol):
    """What a bar needs of a job."""

    @property
    def name(self) -> str:
        """Its label, or its pid."""
        ...

    @property
    def last_state(self) -> str:
        """Its state as far as it is known."""
        ...


class Display(Protocol):
    """Shows how far jobs are."""

    def show(self, job: ShownJob, progress: Progress, *, over: bool = False) -> None:
        """Show it; `over` when the job has ended."""


@contextmanager
def bars(wanted: ProgressDisplay, jobs: Sequence[ShownJob]) -> Iterator[Display | None]:
    """Show a bar for each job during the block; None where nothing is to be shown.

    Raises:
        ValueError: it is not a display.
        ModuleNotFoundError: tqdm is wanted, and not installed.
    """
    if wanted is None or wanted is False:
        yield None
    elif wanted is True or wanted == "rich":
        with _rich(jobs) as display:
            yield display
    elif wanted == "tqdm":
        with _tqdm(jobs) as display:
            yield display
    elif callable(wanted):
        yield _Called(wanted)
    else:
        raise ValueError(f"progress must be True, 'rich', 'tqdm' or a function, not {wanted!r}")


class _Called:
    """Calls a function."""

    def __init__(self, function: Callable[[Any, Progress], object]) -> None:
        self._function = function
        self._last: dict[int, Progress] = {}

    def show(self, job: ShownJob, progress: Progress, *, over: bool = False) -> None:
        """See `Display`."""
        if self._last.get(id(job), Progress(None, None)) != progress:
            self._last[id(job)] = progress
            self._function(job, progress)


@contextmanager
def _rich(jobs: Sequence[ShownJob]) -> Iterator[Display | None]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield None
        return
    shown = RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[percent]:>4}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}", markup=False),
        console=console,
    )
    tasks: dict[int, TaskID] = {
        # Without a total the bar pulses: the job has not said yet how far it is.
        id(job): shown.add_task(job.name, total=None, percent="", message="")
        for job in jobs
    }

    class Rich:
        def show(self, job: ShownJob, progress: Progress, *, over: bool = False) -> None:
            task = tasks[id(job)]
            if over:
                done = 100 if job.last_state == "stopped" else progress.percent or 0
                shown.update(task, total=100, completed=done, percent="", message=in_words(job.last_state))
                shown.stop_task(task)
            elif progress.percent is not None:
                shown.update(
                    task,
                    total=100,
                    completed=progress.percent,
                    percent=f"{progress.percent} %",
                    message=progress.message or "",
                )

    with shown:
        yield Rich()


@contextmanager
def _tqdm(jobs: Sequence[ShownJob]) -> Iterator[Display | None]:
    try:
        from tqdm.auto import tqdm
    except ModuleNotFoundError as error:
        message = "tqdm is not installed: pip install 'pg_background[tqdm]'"
        raise ModuleNotFoundError(message, name="tqdm") from error
    if not (sys.stderr.isatty() or in_notebook()):
        yield None
        return
    shown = {
        id(job): tqdm(
            total=100,
            desc=job.name,
            position=n,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}",
        )
        for n, job in enumerate(jobs)
    }

    class Tqdm:
        def show(self, job: ShownJob, progress: Progress, *, over: bool = False) -> None:
            bar = shown[id(job)]
            done = 100 if over and job.last_state == "stopped" else progress.percent or 0
            bar.update(done - bar.n)
            bar.set_postfix_str(in_words(job.last_state) if over else progress.message or "")

    try:
        yield Tqdm()
    finally:
        for bar in shown.values():
            bar.close()


def in_notebook() -> bool:
    """Tell whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
