"""The keys, and what they do."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

_KEYS = """\
[b]Enter[/b]      all of the job under the cursor: its whole SQL, its error
[b]c[/b]          cancel it: what it has done is rolled back
[b]k[/b]          cancel it, and end its process if it still runs in 5 s
[b]/[/b]          show only jobs with these words in them; Escape shows all again
[b]a[/b]          show jobs that have ended too, or hide them again
[b]< >[/b]        sort by the next column; so does a click on a title
[b]r[/b]          sort the other way round
[b]p[/b] [b]Space[/b]    stand still, or go on
[b]? F1[/b]       this list
[b]q[/b]          quit

Times are those of the server. SQL and errors of other roles' jobs are shown
to members of pg_read_all_stats only. A wider terminal has more columns."""


class Help(ModalScreen[None]):
    """Shows them, until a key is pressed that closes it."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help VerticalScroll {
        width: 100%; max-width: 90; height: auto; max-height: 90%; border: round $primary; padding: 0 1;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark,f1", "app.pop_screen", "Back")
    ]

    def compose(self) -> ComposeResult:
        """See `Screen`."""
        with VerticalScroll():
            yield Static(_KEYS)
