"""The lines above the table: which server, how many jobs of each state, and what is amiss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static

from .. import display
from ..cli.output.terminal import visible
from ..client.model import JobInfo, in_words
from ..watching import Snapshot, SourceError, SourceLost


class Summary(Static):
    """Shows them."""

    DEFAULT_CSS = """
    Summary { height: 2; background: $panel; padding: 0 0; }
    """

    def show(
        self, snapshot: Snapshot | None, trouble: SourceError | None, remarks: Sequence[str], width: int
    ) -> None:
        """Show what was seen last.

        Args:
            trouble: why there is nothing newer.
            remarks: on what is shown, as a filter.
        """
        lines = Text(no_wrap=True, overflow="ellipsis")
        lines.append_text(_first_line(snapshot, width))
        lines.append("\n")
        lines.append_text(_second_line(snapshot, trouble, remarks, width))
        self.update(lines)


def _first_line(snapshot: Snapshot | None, width: int) -> Text:
    place = Text(" pg-background top", "bold", no_wrap=True)
    if snapshot is None:
        return place
    clock = snapshot.now.strftime("%H:%M:%S ")
    place.append(f"  {snapshot.place}", "not bold")
    place.truncate(width - len(clock) - 1, overflow="ellipsis", pad=True)
    return Text.assemble(place, " ", clock)


def _second_line(
    snapshot: Snapshot | None, trouble: SourceError | None, remarks: Sequence[str], width: int
) -> Text:
    if trouble is not None:
        what = "CONNECTION LOST" if isinstance(trouble, SourceLost) else "NOT ANSWERED"
        line = Text(visible(f" {what}, trying again: {trouble}"), "bold white on red", no_wrap=True)
        line.truncate(width, overflow="ellipsis", pad=True)
        return line
    if snapshot is None:
        return Text(" connecting …")
    line = Text(" ") + counts(snapshot.jobs)
    aside = Text("  ".join(remarks), "bold yellow")
    for node, reason in snapshot.missing.items():
        aside.append("  " if aside else "")
        aside.append(visible(f" {node} does not answer: {reason} "), "bold white on red")
    aside.truncate(max(width // 2, 1), overflow="ellipsis")
    line.truncate(width - aside.cell_len - 2, overflow="ellipsis", pad=True)
    return line + Text(" ") + aside


def counts(jobs: Sequence[JobInfo]) -> Text:
    """Return how many jobs there are in each state."""
    if not jobs:
        return Text("no jobs")
    found = Counter(job.state for job in jobs)
    line = Text(f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}", "bold")
    for state, style in display.STYLES.items():
        if number := found.get(state):
            line.append(f"  {number} {in_words(state)}", f"not bold {style}")
    return line
