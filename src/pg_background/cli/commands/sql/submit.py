"""`pg-background submit`: start a job whose rows nobody wants."""

from __future__ import annotations

from ...options.given import command
from ...options.launching import AllNodesOption, EachStatementOption, LaunchGiven, print_handles
from ...options.params import ParamsGiven
from ...options.servers import NodesGiven
from ...options.sql_given import SqlCommand, SqlGiven


@command('submit "REFRESH MATERIALIZED VIEW sales"', kind=SqlCommand)
def submit(
    sql: SqlGiven,
    param: ParamsGiven,
    servers: NodesGiven,
    launch: LaunchGiven,
    each_statement: EachStatementOption = False,
    all_nodes: AllNodesOption = False,
) -> None:
    """Start a job whose rows are not kept, and print its handle."""
    print_handles(
        servers, sql, param, launch, all_nodes=all_nodes, each_statement=each_statement, discard_result=True
    )
