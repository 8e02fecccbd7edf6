"""`pg-background run`: a job, from its launch to its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from ...at_once import at_once
from ...errors.codes import Codes
from ...errors.ending import ProgressOption, print_end
from ...nodes import Opened, opened
from ...options.given import command
from ...options.handles import text_of
from ...options.launching import AllNodesOption, EachStatementOption, LaunchGiven, places, started
from ...options.params import ParamsGiven
from ...options.servers import NodesGiven
from ...options.sql_given import SqlCommand, SqlGiven
from ...output.console import note, of_node
from ...output.many_results import JobThere, write_many
from ...output.result_output import OutputGiven, ResultOutput
from ...script import what_is_committed
from ...signals import interruptible

if TYPE_CHECKING:
    from ....client.job import Job
    from ...output.sink import Sink

#: How long to wait for the end of a job that was told to end, in seconds; and for a server to be told.
PATIENCE = 5
PATIENCE_WITH_SERVERS = 10


@command(
    'run "SELECT count(*) FROM orders"',
    'run --csv --output orders.csv "TABLE orders"',
    'run -P 2026 "SELECT region, sum(amount) FROM orders WHERE year = %s GROUP BY 1"',
    'run --each-statement "VACUUM orders; REINDEX TABLE CONCURRENTLY orders"',
    "run --file report.sql --label report --progress",
    'run --cluster --all-nodes "SELECT pg_size_pretty(pg_database_size(current_database()))"',
    kind=SqlCommand,
)
def run(
    sql: SqlGiven,
    param: ParamsGiven,
    servers: NodesGiven,
    output: OutputGiven,
    launch: LaunchGiven,
    each_statement: EachStatementOption = False,
    all_nodes: AllNodesOption = False,
    progress: ProgressOption = False,
) -> None:
    """Run SQL in a background worker, and print the rows of its last statement.

    Several statements are one transaction, unless --each-statement is given. Ctrl-C cancels the job in the
    server. With --cluster or --server the job runs on the least loaded node, or there is one on each node
    that --node or --all-nodes says; rows begin with their node.
    """
    codes = Codes()
    with interruptible(), output.open() as sink:
        nodes = places(servers.nodes(), all_nodes=all_nodes)
        with opened(nodes, codes) as there:
            jobs: list[_JobThere] = []
            try:
                # Without its handle it could not be canceled.
                failed: list[tuple[Opened, Exception]] = []
                for each, job in started(there, sql, param, launch, each_statement=each_statement):
                    if isinstance(job, Exception):
                        failed.append((each, job))
                    else:
                        jobs.append(_JobThere(each, job))
                # Not before: an interruption is no error of a launch.
                for each, error in failed:
                    codes.tell(error, each.node.name)
                jobs.sort(key=lambda one: nodes.index(one.at.node))
                broken = _wait(jobs, progress=progress)
            except KeyboardInterrupt:
                _cancel_all(jobs, each_statement=each_statement)
                raise
            _print(jobs, broken, output, sink, codes, each_statement=each_statement)
    codes.leave()


class _JobThere(NamedTuple):
    at: Opened
    job: Job[Any]

    @property
    def handle(self) -> str:
        return text_of(self.job.handle, self.at.node.name)


def _wait(jobs: Sequence[_JobThere], *, progress: bool) -> dict[Any, Exception]:
    """Wait until all have ended; return those of which that can't be learned, with the reason."""
    from psycopg import Error

    from ....client.many import have_ended
    from ....cluster.outcomes import Progresses

    if len(jobs) == 1:
        try:
            jobs[0].job.wait(progress=progress)
        except Error as error:
            return {jobs[0].job: error}
        return {}
    awaited: list[Any] = [one.job for one in jobs]
    for one in jobs:
        # So that its bar says where it is.
        one.job.label = one.at.node.name
    # A job whose connection broke is over, too: what is asked of it afterwards fails.
    have_ended(Progresses(awaited), awaited, None, progress)
    return {}


def _print(
    jobs: Sequence[_JobThere],
    broken: dict[Any, Exception],
    output: ResultOutput,
    sink: Sink,
    codes: Codes,
    *,
    each_statement: bool,
) -> None:
    """Print the rows of those that have succeeded, and the errors of the others."""
    from ....client.errors import ConnectionLost

    succeeded: list[JobThere] = []
    for one in jobs:
        node, client, session = one.at
        with codes.of(node.name):
            try:
                if one.job in broken:
                    raise broken[one.job]
                if one.job.last_state == "stopped" and len(jobs) > 1:
                    succeeded.append(JobThere(node.name, client, session, one.job.handle))
                else:
                    print_end(one.job, output, sink, client, session, node.name)
            except ConnectionLost:
                note(f"when there is a connection again: pg-background result {one.handle}")
                raise
            except typer.Exit:
                if each_statement:
                    note(of_node(node.name) + what_is_committed(one.job.exception(), one.job.last_state))
                raise
    if succeeded:
        write_many(output, sink, succeeded, codes)


def _cancel_all(jobs: Sequence[_JobThere], *, each_statement: bool) -> None:
    """End all of them, and say what became of each."""
    from psycopg import Error

    def cancel(one: _JobThere) -> None:
        _cancel(one.job, one.at.node.name, each_statement=each_statement)

    for one, failed in at_once(cancel, jobs, patience=PATIENCE_WITH_SERVERS):
        if isinstance(failed, (Error, TimeoutError)):
            note(f"can't cancel job {one.handle}, which may go on: {str(failed).strip()}")
        elif failed is not None:
            raise failed


def _cancel(job: Job[Any], node: str = "", *, each_statement: bool) -> None:
    """End the job of which nobody wants to see the end, and say what became of it."""
    from ....client.model import in_words

    handle = text_of(job.handle, node)
    job.cancel()
    ended = job.wait(PATIENCE)
    if ended and job.last_state == "canceled":
        note(f"canceled job {handle} in the server")
        if each_statement:
            note(what_is_committed(job.exception(), job.last_state))
        else:
            job.detach()
    elif ended:
        note(f"job {handle} had ended before it could be canceled ({in_words(job.last_state)})")
    else:
        note(f"told job {handle} to cancel; it still runs: pg-background wait {handle}")
