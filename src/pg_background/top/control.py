"""Ending jobs from the screen, after a question."""

from __future__ import annotations

from textual import work
from textual.app import App

from .. import display
from ..cli.output.terminal import visible
from ..client.model import Handle, JobInfo
from ..watching import Source, SourceError
from .question import Question

#: Seconds that a job has to stop before its process is ended.
GRACE = 5.0


class Control(App[None]):
    """The part of the screen that ends jobs."""

    _source: Source

    @property
    def current(self) -> JobInfo | None:
        """The job that is meant."""
        raise NotImplementedError

    def action_cancel(self) -> None:
        """Cancel the job, if that is meant."""
        self._ask("Cancel job {}? What it has done is rolled back.", 0)

    def action_terminate(self) -> None:
        """End the job's process, if that is meant."""
        self._ask(
            f"Terminate job {{}}? It is canceled, and its process ended if it still runs in {GRACE:g} s.",
            GRACE,
        )

    def _ask(self, question: str, grace: float) -> None:
        job = self.current
        if job is None:
            return
        if not display.is_live(job):
            self.notify(f"Job {_name(job)} has ended: {display.state(job)}.", markup=False)
            return
        handle = job.handle
        if handle is None:
            self.notify(f"This role may not cancel job {_name(job)}.", severity="warning", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._end(handle, grace)

        subject = "\n".join(filter(None, map(visible, [display.label(job), display.sql(job)])))
        self.push_screen(Question(question.format(_name(job)), subject), answered)

    @work
    async def _end(self, handle: Handle, grace: float) -> None:
        try:
            await self._source.cancel(handle, grace)
        except SourceError as error:
            self.notify(str(error), title="Not canceled", severity="error", markup=False)
        else:
            self.notify(f"Job {handle.pid} was told to end.", markup=False)


def _name(job: JobInfo) -> str:
    node = display.node(job)
    return f"{job.pid} on {node}" if node else str(job.pid)
