"""`pg-background drain`: let the jobs of a server end before it is restarted."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ....server.errors import DatabaseError
from ...at_once import at_once
from ...errors.codes import Codes
from ...errors.exits import Exit
from ...nodes import Node
from ...options.database import schema_of_extension, session
from ...options.given import command
from ...options.numbers import seconds
from ...options.servers import NodesArgument
from ...output.console import note, of_node, step

if TYPE_CHECKING:
    from ...options.database import Connection

_REFUSED = "jobs are refused until the server is restarted, or pg-background drain --resume"


@command("drain --timeout 300", "drain --resume", "drain --cluster --node 3")
def drain(
    servers: NodesArgument,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            parser=seconds,
            envvar="PG_BACKGROUND_DRAIN_TIMEOUT",
            help="How long running jobs may take before they are canceled.",
        ),
    ] = 60,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            envvar="PG_BACKGROUND_DRAIN_RESUME",
            help="Only allow launches again.",
        ),
    ] = False,
) -> None:
    """Refuse new jobs, wait for those that run, and cancel the rest: before a restart.

    Prints how many ended in which way; with --cluster or --server for each node, all being drained at the
    same time. Exit code 0 when nothing runs any more, 1 when jobs still run, 3 when a node does not answer.
    New jobs are refused until the server is restarted or `--resume` is given. For superusers and members of
    pg_signal_backend, on any database that has the extension.
    """
    codes = Codes()
    nodes = servers.nodes().chosen
    if resume:
        for node, failed in at_once(_resume, nodes):
            if failed is None:
                note(f"{of_node(node.name)}jobs can be launched again")
            else:
                codes.tell(failed, node.name)
    else:
        _drain(nodes, round(timeout * 1000), codes)
    codes.leave()


def _resume(node: Node) -> None:
    from ....client.functions import call, in_schema

    with session(node.database) as connection:
        schema = schema_of_extension(connection)
        connection.execute(in_schema(f"SELECT {call('pg_background_resume_server')}", schema))


class _Ended(NamedTuple):
    finished: int
    canceled: int
    running: int


def _drain(nodes: Sequence[Node], patience: int, codes: Codes) -> None:
    """Drain servers, and print what has become of their jobs."""
    drains = _Drains(patience)
    try:
        with step("Waiting for running jobs …"):
            ended = dict(at_once(drains.drain, nodes))
    except KeyboardInterrupt:
        drains.interrupt()
        note(_REFUSED)
        raise
    if drains.have_begun:
        note(_REFUSED)
    for node in nodes:
        answer = ended[node]
        before = f"{node.name}: " if node.name else ""
        if isinstance(answer, Exception):
            if before:
                typer.echo(f"{before}not drained")
            codes.tell(answer, node.name)
            continue
        finished, canceled, running = answer
        typer.echo(f"{before}finished: {finished}, canceled: {canceled}, running: {running}")
        if running:
            codes.add(Exit.FAILED)


class _Drains:
    """Those that are under way."""

    def __init__(self, patience: int) -> None:
        """
        Args:
            patience: milliseconds that jobs may take.
        """
        self.have_begun = False
        self._patience = patience
        self._open: list[Connection] = []
        self._is_interrupted = Event()

    def drain(self, node: Node) -> _Ended:
        """Drain a server, and return how many of its jobs have ended in which way."""
        from psycopg.errors import QueryCanceled

        from ....client.functions import call, in_schema
        from ....client.statements import identifier

        with session(node.database) as connection:
            # It may be set for the role, and would end the wait.
            connection.execute("SET statement_timeout = 0")
            schema = schema_of_extension(connection)
            text = f"SELECT finished, canceled, running FROM {call('pg_background_drain_server')}"
            self._open.append(connection)
            if self._is_interrupted.is_set():
                raise DatabaseError("interrupted")
            try:
                row = connection.execute(in_schema(text, identifier(schema)), [self._patience]).fetchone()
            except QueryCanceled:
                # By somebody else, or by a time limit.
                self.have_begun = True
                raise
            self.have_begun = True
        assert row is not None
        return _Ended(*row)

    def interrupt(self) -> None:
        """End the waits in the servers, which would cancel jobs when these have had their time."""
        self._is_interrupted.set()
        for _ in at_once(lambda connection: connection.cancel_safe(timeout=5), self._open):
            pass
