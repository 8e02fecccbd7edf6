"""The exit code of a command that goes on after an error: with the next job, with the next server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ...errors import UserError
from ..output.console import report
from .exits import Exit
from .failures import code_of_call, code_of_user_error, is_sql_error, report_sql


class Codes(set[int]):
    """The exit codes of what has gone wrong."""

    @contextmanager
    def of(self, node: str = "") -> Iterator[None]:
        """Tell what goes wrong in the block, as `told` does for a whole command, and go on behind it.

        Args:
            node: which of several servers it is about.
        """
        try:
            yield
        except Exception as error:
            self.tell(error, node)

    def tell(self, error: Exception, node: str = "") -> None:
        """Tell what has gone wrong; raise what is nothing of a server or of the user's."""
        if isinstance(error, typer.Exit):
            # It is told already.
            self.add(error.exit_code)
        elif isinstance(error, UserError):
            report(error, node)
            self.add(code_of_user_error(error))
        elif is_sql_error(error):
            report_sql(error, node)
            self.add(code_of_call(error))
        else:
            raise error

    def leave(self) -> None:
        """End the command by the worst of them, if there is any: no answer is the worst."""
        worst = Exit.CONNECTION if Exit.CONNECTION in self else max(self, default=0)
        if worst:
            raise typer.Exit(worst)
