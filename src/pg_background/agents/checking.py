"""The doctor, for an agent."""

from __future__ import annotations

import psycopg

from ..doctor import Grade, collect, examine
from .answers import Finding, Findings


def look(conninfo: str, read_only: bool) -> Findings:
    """Return what the doctor finds, over a connection of its own.

    Args:
        read_only: whether jobs that agents start can only read.
    """
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=20) as connection:
        connection.execute("SET statement_timeout = '20s'")
        found = examine(collect(connection))
        role, database = connection.info.user, connection.info.dbname
    bad = sum(finding.grade is not Grade.OK for finding in found)
    return Findings(
        role=role,
        database=database,
        read_only=read_only,
        findings=[
            Finding(grade=finding.grade.value, check=finding.check, text=finding.text, fix=finding.fix)
            for finding in found
        ],
        next="Tell the user what is to be fixed: an administrator has to do it." if bad else "All is well.",
    )
