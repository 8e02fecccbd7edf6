"""The magics: `%%bg`, `%bg`, `%bg_connect` and `%bg_wait`."""

from __future__ import annotations

import os
import re
from collections import ChainMap
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from ...client.client import Client
from ...client.job import Job
from .live import wait_shown
from .placeholders import bound

#: The options at the beginning of `%bg`; what follows is SQL.
_OPTIONS = re.compile(r"""\s*(?:--(?:dsn|label|name|timeout)(?:\s+|=)(?:"[^"]*"|'[^']*'|\S+)(?:\s+|$))*""")

_HOW_TO_CONNECT = "connect with %bg_connect DSN, or set PG_BACKGROUND_DSN"


@magics_class
class BackgroundMagics(Magics):
    """Launch jobs from cells."""

    #: of IPython
    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        #: where `%%bg` goes without `--dsn`
        self._client: Client[Any] | None = None
        #: those that were made here
        self._made: dict[str, Client[Any]] = {}

    @magic_arguments()
    @argument("variable", metavar="name", nargs="?", help="Variable that gets the job; in %%bg it is --name.")
    @argument("--name", help="The same.")
    @argument("--dsn", help="Where to run it: a connection string, or a variable as for %%bg_connect.")
    @argument("--label", help="Label of the job; by default the name of the variable.")
    @argument("--timeout", type=float, help="Time limit of the job, in seconds.")
    @needs_local_scope
    @no_var_expand
    @line_cell_magic
    def bg(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Job[Any]:
        """Run SQL as a job, and return it at once.

        `:name` or `%(name)s` in the SQL is the value of the variable, bound in the server. With values there
        may be one statement only; without any, all of them are one transaction.
        """
        if cell is None:
            options = _OPTIONS.match(line)
            assert options is not None
            line, cell = options[0], line[options.end() :]
        arguments = parse_argstring(self.bg, line)
        if not cell.strip():
            raise UsageError("there is no SQL to run")
        if arguments.variable is not None and arguments.name is not None:
            raise UsageError("the name of the variable is given twice")
        name: str | None = arguments.name or arguments.variable
        if name is not None and not name.isidentifier():
            raise UsageError(f"{name!r} can't be the name of a variable")
        variables = ChainMap(local_ns or {}, self.shell.user_ns)
        try:
            query, values = bound(cell, variables)
        except LookupError as error:
            raise UsageError(error.args[0]) from None
        client = self._connected() if arguments.dsn is None else self._client_of(_unquoted(arguments.dsn))
        label = _unquoted(arguments.label or "") or name
        job = client.launch(query, values, label=label, timeout=arguments.timeout)
        if name is not None:
            self.shell.push({name: job})
        return job

    @no_var_expand
    @line_magic
    def bg_connect(self, line: str) -> None:
        """Say where jobs go from now on.

        %bg_connect DSN, or a variable that has one, a pg_background.Client, or what a client is made from: a
        psycopg connection or pool, or an SQLAlchemy engine. With nothing: what PG_BACKGROUND_DSN, PGHOST and
        the like say.
        """
        self._client = self._client_of(_unquoted(line.strip()))

    @line_magic
    def bg_wait(self, line: str) -> None:
        """Wait until all jobs that are shown have ended, as at the end of a notebook that is run as a whole.

        Interrupted, it leaves them running.
        """
        if line.strip():
            raise UsageError("%bg_wait waits for all jobs, and takes no names: job.wait() waits for one")
        wait_shown()

    def close(self) -> None:
        """Close the connections that were opened here."""
        for client in self._made.values():
            client.close()
        self._made.clear()
        self._client = None

    def _connected(self) -> Client[Any]:
        if self._client is None:
            self._client = self._client_of("")
        return self._client

    def _client_of(self, name: str) -> Client[Any]:
        origin: Any = name or os.environ.get("PG_BACKGROUND_DSN", "")
        if name.isidentifier():
            if name not in self.shell.user_ns:
                raise UsageError(f"there is no variable {name!r}; {_HOW_TO_CONNECT}")
            origin = self.shell.user_ns[name]
        if isinstance(origin, Client):
            return origin
        key = origin if isinstance(origin, str) else f"object {id(origin)}"
        if key not in self._made:
            # It keeps the origin alive, so that no other one gets its id.
            self._made[key] = Client.connect(origin)
        return self._made[key]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
