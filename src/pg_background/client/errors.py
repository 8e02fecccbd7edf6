"""What can become of a job, or of the connection, as exceptions; `psycopg.Error` catches each.

An error in the job's SQL is raised as the class that psycopg has for its SQLSTATE, with all diagnostics.
"""

from __future__ import annotations

import psycopg


class JobCancelled(psycopg.errors.QueryCanceled):
    """The job was cancelled, by whomever. What it had done is rolled back."""


class JobTimeout(psycopg.errors.QueryCanceled):
    """The job ran into its own time limit, `timeout` at its launch or pg_background.worker_timeout.

    Not a `TimeoutError`: that is raised when a wait has lasted long enough, while the job goes on.
    """


class JobLost(psycopg.OperationalError):
    """There is nothing more to be had of the job.

    Its process died, or the server knows the handle no more: it was detached, its result was read elsewhere
    or is past its retention, or the server was restarted. For a job of a cluster also: its node can't be
    reached, so that it is not known whether it goes on.

    Attributes:
        node: the name of the job's node; None for a job that is no cluster's.
    """

    node: str | None = None


class ConnectionLost(psycopg.OperationalError):
    """The connection to the server broke during a call.

    Attributes:
        job_continues: True if the job goes on, which the end of a session does not change; None if that
            can't be known: the server may have stopped, or the connection broke while it launched the job.
    """

    def __init__(self, message: str, *, job_continues: bool | None = None) -> None:
        super().__init__(message)
        self.job_continues = job_continues
