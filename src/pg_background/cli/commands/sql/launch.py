"""`pg-background launch`: start a job, and print its handle."""

from __future__ import annotations

from ...options.given import command
from ...options.launching import AllNodesOption, EachStatementOption, LaunchGiven, print_handles
from ...options.params import ParamsGiven
from ...options.servers import NodesGiven
from ...options.sql_given import SqlCommand, SqlGiven


@command(
    'launch --label report "SELECT * FROM report()"',
    kind=SqlCommand,
)
def launch(
    sql: SqlGiven,
    param: ParamsGiven,
    servers: NodesGiven,
    launch: LaunchGiven,
    each_statement: EachStatementOption = False,
    all_nodes: AllNodesOption = False,
) -> None:
    """Start a job and print its handle, which `result` and the other commands take.

    Its rows are kept until `result` reads them, but no longer than pg_background.result_retention after
    this command and the job have ended.
    """
    print_handles(servers, sql, param, launch, all_nodes=all_nodes, each_statement=each_statement)
