"""The screen: polls the server, and shows what that returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.events import Resize
from textual.widgets import Footer, Input, Static

from .. import display
from ..client.model import JobInfo
from ..watching import Snapshot, Source, SourceError, matches
from .columns import STATE, Column, in_order
from .control import Control
from .details import Details
from .help import Help
from .jobs_table import JobsTable, key_of
from .summary import Summary

_OF_LIST = frozenset(("sort", "reverse", "all", "filter", "clear_filter"))
_OF_JOBS = frozenset((*_OF_LIST, "cancel", "terminate", "pause"))


class TopApp(Control):
    """Shows the jobs of a source."""

    TITLE = "pg-background top"
    ENABLE_COMMAND_PALETTE = False

    CSS = """
    #filter { display: none; height: 1; border: none; padding: 0 1; background: $boost; }
    #filter.-open { display: block; }
    #nothing { display: none; height: 1fr; content-align: center middle; color: $text-muted; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel", "Cancel"),
        Binding("k", "terminate", "Terminate"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("escape", "clear_filter", show=False),
        Binding("less_than_sign", "sort(-1)", "Sort", key_display="<>"),
        Binding("greater_than_sign", "sort(1)", show=False),
        Binding("r", "reverse", show=False),
        Binding("a", "all", "All"),
        Binding("p,space", "pause", "Pause", key_display="p"),
        Binding("question_mark,f1", "help", "Keys", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, source: Source, *, interval: float) -> None:
        """
        Args:
            interval: seconds between two polls.
        """
        super().__init__()
        self._source = source
        self._interval = interval
        self._snapshot: Snapshot | None = None
        self._trouble: SourceError | None = None
        self._is_polling = False
        self._is_paused = False
        self._live_only = True
        self._text = ""
        self._sorted_by: Column = STATE
        self._backwards = False

    def compose(self) -> ComposeResult:
        """See `App`."""
        yield Summary()
        yield JobsTable()
        yield Static(id="nothing", markup=False)
        yield Input(
            id="filter", placeholder="words of label, SQL, state, role, database, error; Enter, Escape"
        )
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to poll."""
        self.query_one(JobsTable).focus()
        self.set_interval(self._interval, self._tick)
        self._tick()
        self._show()

    async def on_unmount(self) -> None:
        """Give the connection back."""
        await self._source.close()

    # ---- polling

    def _tick(self) -> None:
        # A slow server is asked once at a time.
        if not self._is_paused and not self._is_polling:
            self._is_polling = True
            self._poll()

    @work
    async def _poll(self) -> None:
        try:
            snapshot = await self._source.poll()
        except SourceError as error:
            self._trouble = error
        else:
            self._trouble = None
            # A poll that was under way when all was to stand still.
            if not self._is_paused or self._snapshot is None:
                self._snapshot = snapshot
        finally:
            self._is_polling = False
        self._show()

    # ---- showing

    def _show(self) -> None:
        # The details are on top of this screen, which goes on.
        main = self.screen_stack[0] if self.screen_stack else None
        if main is None:
            return
        try:
            summary, table = main.query_one(Summary), main.query_one(JobsTable)
            nothing = main.query_one("#nothing", Static)
        except NoMatches:
            # A poll has come back while the screen is being taken down, one widget after the other.
            return
        jobs = self._shown()
        width = self.size.width
        summary.show(self._snapshot, self._trouble, self._remarks(len(jobs)), width)
        table.set_class(self._trouble is not None, "-stale")
        if self._snapshot is not None:
            table.show(
                jobs,
                self._snapshot.now,
                width,
                self._sorted_by,
                backwards=self._backwards,
                nodes=self._snapshot.nodes,
            )
        table.display = bool(jobs)
        nothing.display = not jobs
        nothing.update(self._why_nothing())
        for screen in self.screen_stack[1:]:
            if isinstance(screen, Details) and self._snapshot is not None:
                key = key_of(screen.job)
                screen.show_job(
                    next((job for job in self._snapshot.jobs if key_of(job) == key), None), self._snapshot.now
                )

    def _shown(self) -> list[JobInfo]:
        if self._snapshot is None:
            return []
        jobs = [
            job
            for job in self._snapshot.jobs
            if matches(job, self._text) and (display.is_live(job) or not self._live_only)
        ]
        return in_order(jobs, self._snapshot.now, self._sorted_by, backwards=self._backwards)

    def _remarks(self, shown: int) -> Sequence[str]:
        remarks = []
        if self._is_paused:
            remarks.append("PAUSED")
        if not self._live_only:
            remarks.append("with ended ones")
        if self._text:
            remarks.append(f"filter: {self._text}")
        if self._snapshot is not None and shown != len(self._snapshot.jobs):
            remarks.append(f"{shown} shown")
        return remarks

    def _why_nothing(self) -> str:
        if self._snapshot is None:
            return ""
        if not self._snapshot.jobs:
            return "No jobs. They appear here as soon as one is launched."
        if self._text:
            return "No job is like that. Escape clears the filter" + (
                ", a also shows jobs that have ended." if self._live_only else "."
            )
        return "No job runs or waits. a also shows those that have ended."

    def on_resize(self, _: Resize) -> None:
        """Fit the columns to the terminal."""
        self.call_after_refresh(self._show)

    # ---- choosing what is shown

    def on_jobs_table_selected(self, _: JobsTable.Selected) -> None:
        """Enter on the table, or a click on a line again."""
        self.action_details()

    def on_jobs_table_title_selected(self, event: JobsTable.TitleSelected) -> None:
        """Sort by the column that was clicked; the other way round if it is sorted by it."""
        column = event.column
        self._backwards = not self._backwards if column.title == self._sorted_by.title else False
        self._sorted_by = column
        self._show()

    def action_sort(self, step: int) -> None:
        """Sort by the next column, or the one before."""
        columns = self.query_one(JobsTable).shown_columns
        titles = [column.title for column in columns]
        if columns:
            # A column may have gone with the terminal's width.
            here = titles.index(self._sorted_by.title) if self._sorted_by.title in titles else 0
            self._sorted_by = columns[(here + step) % len(columns)]
            self._show()

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._backwards = not self._backwards
        self._show()

    def action_all(self) -> None:
        """Show jobs that have ended too, or hide them again."""
        self._live_only = not self._live_only
        self._show()

    def action_help(self) -> None:
        """Show the keys."""
        if not isinstance(self.screen, Help):
            self.push_screen(Help())

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self._is_paused = not self._is_paused
        self._tick()
        self._show()

    def action_filter(self) -> None:
        """Ask for words."""
        asked = self.query_one("#filter", Input)
        asked.add_class("-open")
        asked.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._text = event.value
        self._show()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Keep the filter, and go back to the table."""
        self._close_filter()

    def action_clear_filter(self) -> None:
        """Show all again."""
        self.query_one("#filter", Input).value = ""
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter").remove_class("-open")
        self.query_one(JobsTable).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out, beside the details of one job, what is about the list; and beside the keys all else."""
        if isinstance(self.screen, Help):
            return action not in _OF_JOBS
        return action not in _OF_LIST or not isinstance(self.screen, Details)

    # ---- one job

    @property
    def current(self) -> JobInfo | None:
        """The job whose details are open, or the one under the cursor."""
        if isinstance(self.screen, Details):
            return self.screen.job
        return self.query_one(JobsTable).current if self._shown() else None

    def action_details(self) -> None:
        """Show all of the job."""
        job = self.current
        if job is not None and self._snapshot is not None:
            details = Details(job, self._snapshot.now)
            self.push_screen(details)
            self._inspect(details)

    @work
    async def _inspect(self, details: Details) -> None:
        if (handle := details.job.handle) is None:
            return
        try:
            details.show_inspection(await self._source.inspect(handle))
        except SourceError as error:
            self.notify(str(error), title="Can't read it", severity="error", markup=False)
