"""A question before something that can't be undone."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Question(ModalScreen[bool]):
    """Asks, and returns whether the answer was yes. Enter alone is a no."""

    DEFAULT_CSS = """
    Question { align: center middle; }
    Question Vertical { width: 70; max-width: 90%; height: auto; border: round $warning; padding: 1 2; }
    Question #subject { color: $text-muted; margin-bottom: 1; max-height: 6; }
    Question Horizontal { height: auto; align-horizontal: center; }
    Question Button { margin: 0 2; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, subject: str) -> None:
        """
        Args:
            subject: what it is about, shown below.
        """
        super().__init__()
        self._question = question
        self._subject = subject

    def compose(self) -> ComposeResult:
        """See `Screen`."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Static(self._subject, id="subject", markup=False)
            with Horizontal():
                yield Button("No (n)", id="no")
                yield Button("Yes (y)", variant="warning", id="yes")

    def on_mount(self) -> None:
        """Let an unthinking Enter do no harm."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the answer."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Take the answer."""
        self.dismiss(answer)
