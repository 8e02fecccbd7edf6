"""`pg-background doctor`: look at a server, or at each of several, and say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import typer

from ....server.errors import DatabaseError
from ...at_once import at_once
from ...nodes import Node, Nodes
from ...options.database import session
from ...options.given import command
from ...options.servers import NodesArgument, Servers
from ...output.terminal import visible

if TYPE_CHECKING:
    from ....doctor import Finding, ServerInfo

#: Exit code when something must be fixed.
EXIT_FAIL = 1

#: Whose name findings have that are about several servers together.
ALL = "all nodes"


@command("doctor postgresql://app@db.example.com/shop", "doctor --cluster postgresql://app@coordinator/shop")
def doctor(servers: NodesArgument) -> None:
    """Check a server and database for pg_background, and say how to fix what is wrong.

    Each check is a line that begins with OK, WARN or FAIL and says what to do; with --cluster or --server the
    node follows, and in the end there is what is to be said of all together. Exit code 1 if something must be
    fixed, also if a server does not answer, else 0. If the role may launch jobs, one is run: `SELECT 1`.
    """
    from ....doctor import Grade, examine_cluster

    nodes = _found(servers)
    seen = dict(at_once(_examined, nodes.chosen))
    known: dict[str, ServerInfo] = {}
    findings: list[tuple[str, Finding]] = []
    for node in nodes:
        examined = seen[node]
        if isinstance(examined, DatabaseError):
            findings.append((node.name, _no_connection(examined)))
        elif isinstance(examined, Exception):
            raise examined
        else:
            known[node.name] = examined.server
            findings += [(node.name, finding) for finding in examined.findings]
    if nodes.are_named:
        findings += [(ALL, finding) for finding in examine_cluster(known)]
    for name, finding in findings:
        typer.echo(visible(finding.line(name)))
    if any(finding.grade is Grade.FAIL for _, finding in findings):
        raise typer.Exit(EXIT_FAIL)


def _found(servers: Servers) -> Nodes:
    """Return the nodes. That they can't be found is a finding, too."""
    try:
        return servers.nodes()
    except DatabaseError as error:
        typer.echo(visible(str(_no_connection(error))))
        raise typer.Exit(EXIT_FAIL) from None


class _Examined(NamedTuple):
    server: ServerInfo
    findings: list[Finding]


def _examined(node: Node) -> _Examined:
    from ....doctor import Finding, Grade, collect, examine

    with session(node.database) as connection:
        info = connection.info
        where = f"{info.dbname} on {info.host}:{info.port} as {info.user}"
        server = collect(connection)
    return _Examined(server, [Finding(Grade.OK, "connection", where), *examine(server)])


def _no_connection(error: DatabaseError) -> Finding:
    from ....doctor import Finding, Grade

    return Finding(Grade.FAIL, "connection", _line(error.message), _line(error.hint) or "try again")


def _line(text: str) -> str:
    return " ".join(text.split())
