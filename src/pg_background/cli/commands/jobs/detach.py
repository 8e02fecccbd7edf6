"""`pg-background detach`: forget jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...at_once import at_once
from ...errors.codes import Codes
from ...errors.each import for_each
from ...options.given import command
from ...options.handles import HandleCommand, HandlesGiven
from ...options.servers import NodesGiven

if TYPE_CHECKING:
    from ....client.model import Handle
    from ...nodes import Node


@command("detach 4711:8612345678901234567", kind=HandleCommand)
def detach(handles: HandlesGiven, servers: NodesGiven) -> None:
    """Forget jobs: they go on and commit, but their rows are dropped.

    Exit code 5 if the server does not know one of them; the others are forgotten.
    """
    codes = Codes()
    for (node, _), failed in at_once(lambda each: _detach(*each), servers.nodes().of(handles)):
        if failed is not None:
            codes.tell(failed, node.name)
    codes.leave()


def _detach(node: Node, handles: Sequence[Handle]) -> None:
    with node.session() as (client, session):
        for_each(client, session, handles, lambda job: job.detach(), node.name)
