"""What people did wrong, or have to do first: such errors are shown without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something can't be done, and the user can do something about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """
        Args:
            message: what is wrong, in one sentence without a full stop.
            hint: what the reader can do about it; may have several lines.
        """
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\nhint: {self.hint}" if self.hint else message

    @property
    def message(self) -> str:
        """What is wrong, without the hint."""
        return super().__str__()
