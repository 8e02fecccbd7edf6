"""`pg-background result`: the rows of a job, once."""

from __future__ import annotations

from ...errors.codes import Codes
from ...errors.ending import ProgressOption, print_end
from ...options.given import command
from ...options.handles import HandleCommand, HandleGiven, going_on, text_of
from ...options.servers import NodesGiven
from ...output.result_output import OutputGiven
from .wait import TimeoutOption


@command(
    "result 4711:8612345678901234567",
    "result --jsonl --output rows.jsonl 4711:8612345678901234567",
    "result --cluster 3/4711:8612345678901234567",
    kind=HandleCommand,
)
def result(
    handle: HandleGiven,
    servers: NodesGiven,
    output: OutputGiven,
    timeout: TimeoutOption = None,
    progress: ProgressOption = False,
) -> None:
    """Wait until a job has ended, and print its rows or its error.

    The server forgets the rows once they are read. Ctrl-C ends the wait; the job goes on.
    """
    codes = Codes()
    with output.open() as sink:
        ((node, (known,)),) = servers.nodes().of([handle])
        with codes.of(node.name), node.session() as (client, session):
            from ...options.access import refusal

            if error := refusal(session, known):
                raise error
            job = client.attach(known)
            with going_on([handle]):
                ended = job.wait(timeout, progress=progress)
            if not ended:
                said = text_of(known, node.name)
                raise TimeoutError(f"job {said} has not ended in {timeout:g} s, and goes on")
            print_end(job, output, sink, client, session, node.name)
    codes.leave()
