"""Asking a server for what can be known about it from one session."""

from __future__ import annotations

from typing import Any

import psycopg

from ..client.functions import call, in_schema
from ..client.statements import identifier
from .extension import extension_of
from .libraries import INSTALL
from .preloading import configured
from .server_info import (
    CITUS_EXECUTORS,
    USER_ROLE,
    Extension,
    Registry,
    ServerInfo,
    Setting,
    Sharing,
    Trial,
    is_ours,
)

Connection = psycopg.Connection[tuple[Any, ...]]

#: The role may not ask, or the library is older than the extension or gone, as another check says.
_NO_ANSWER = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.UndefinedFile,
    psycopg.errors.UndefinedFunction,
)

_CLUSTER_EXTENSIONS = """
SELECT extname, extversion FROM pg_extension WHERE extname IN ('citus', 'pg_background_cluster')
"""

#: Settings of Citus that every role may read.
_CITUS_SETTINGS = (
    CITUS_EXECUTORS,
    "citus.max_background_task_executors_per_node",
    "citus.max_adaptive_executor_pool_size",
)

#: Milliseconds that the trial job may take: the start of a process on a busy machine, and much more.
_TRIAL_LIMIT = 20_000


def collect(connection: Connection, *, trial: bool = True) -> ServerInfo:
    """Ask a server, and let it run a job that does nothing, if the role may.

    Args:
        connection: in autocommit mode, and in no transaction.
        trial: False runs no job.

    Raises:
        psycopg.Error: the connection broke.
    """
    path = _first(connection, "SELECT pg_catalog.current_schemas(true)")
    with connection.transaction():
        # So that nobody's objects are taken for the server's, and that names come with their schema.
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        settings = _settings(connection)
        extension = extension_of(connection, path)
        version, number, database, role = _row(
            connection,
            """
            SELECT current_setting('server_version'), current_setting('server_version_num')::int4,
                   current_database(), current_user
            """,
        )
        available = _first(
            connection, "SELECT default_version FROM pg_available_extensions WHERE name = 'pg_background'"
        )
        user_role = _first(connection, "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", USER_ROLE)
        keeper = _keeper(connection)
        databases, used_slots, used_senders = _row(
            connection,
            """
            SELECT (SELECT count(*) FROM pg_database WHERE datallowconn),
                   (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_stat_replication)
            """,
        )
        cluster_extensions: dict[str, str] = dict(connection.execute(_CLUSTER_EXTENSIONS).fetchall())
        preload = configured(connection)
    ready = extension is not None and "pg_background.max_jobs" in settings and is_ours(extension.version)
    usable = extension is not None and extension.may_enter and extension.may_launch
    return ServerInfo(
        version=str(version).split()[0],
        major=number // 10_000,
        database=database,
        role=role,
        settings=settings,
        preload=preload,
        extension=extension,
        available=available,
        keeper=keeper,
        user_role_logs_in=user_role,
        cluster_extensions=cluster_extensions,
        databases=databases,
        used_slots=used_slots,
        used_senders=used_senders,
        registry=_registry(connection, extension) if extension and ready else None,
        sharing=_sharing(connection, extension, settings) if extension and ready else None,
        trial=_trial(connection, extension) if trial and extension and ready and usable else None,
    )


def _settings(connection: Connection) -> dict[str, Setting]:
    found = {
        name: Setting(*rest)
        for name, *rest in connection.execute(
            "SELECT name, setting, unit, source, pending_restart FROM pg_settings"
        )
    }
    # The view leaves out what a configuration sets for a library that does not define it, and the server
    # itself goes by that.
    for name in _CITUS_SETTINGS:
        value = None if name in found else _first(connection, "SELECT current_setting(%s, true)", name)
        if value:
            found[name] = Setting(value)
    return found


def _keeper(connection: Connection) -> bool | None:
    # Not every role may see what kind of process another one is, and without a database a process is not
    # listed: only a keeper that is listed tells something.
    lives = _first(
        connection,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_background keeper')",
    )
    return True if lives else None


def _registry(connection: Connection, extension: Extension) -> Registry | None:
    query = (
        "SELECT entries, live, unread, idle_workers, busy_workers, area_bytes, spill_bytes "
        f"FROM {call('pg_background_registry')}"
    )
    try:
        row = connection.execute(in_schema(query, extension.schema)).fetchone()
    except _NO_ANSWER:
        return None
    assert row is not None
    return Registry(*row)


def _sharing(connection: Connection, extension: Extension, settings: dict[str, Setting]) -> Sharing | None:
    """Ask for all roles: one that sees its own jobs only can't tell."""
    query = """
        SELECT pg_has_role('pg_read_all_stats', 'USAGE'),
               (SELECT count(DISTINCT r.oid) FROM {schema}.pg_background_totals AS t
                JOIN pg_roles AS r ON r.rolname = t.role AND NOT r.rolsuper),
               EXISTS (SELECT FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c(setting)
                       WHERE c.setting ~ '^pg_background[.]max_(role|database)_')
    """
    try:
        with connection.transaction():
            connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            sees_all, roles, limited = _row(connection, in_schema(query, extension.schema))
    except _NO_ANSWER:
        return None
    limited = limited or any(
        setting.amount > 0
        for name, setting in settings.items()
        if name.startswith(("pg_background.max_role_", "pg_background.max_database_"))
    )
    return Sharing(roles, limited) if sees_all else None


def _trial(connection: Connection, extension: Extension) -> Trial:
    """Let a job run that does nothing."""
    schema = identifier(extension.schema)
    launch = in_schema(f"SELECT * FROM {call('pg_background_launch')}", schema)
    wait = in_schema(f"SELECT {call('pg_background_wait')}", schema)
    result = in_schema(
        f"SELECT * FROM {call('pg_background_result')} AS (one pg_catalog.int4)",
        schema,
    )
    try:
        handle = _row(connection, launch, "SELECT 1", 0, "pg-background doctor")
        if not _first(connection, wait, *handle, _TRIAL_LIMIT):
            connection.execute(in_schema(f"SELECT {call('pg_background_cancel')}", schema), [*handle, 0])
            return Trial(f"it did not end within {_TRIAL_LIMIT // 1000} s")
        connection.execute(result, handle)
    except psycopg.Error as error:
        if connection.closed:
            raise
        hint = INSTALL if isinstance(error, psycopg.errors.UndefinedFile) else error.diag.message_hint
        return Trial(error.diag.message_primary or str(error), hint or "")
    return Trial()


def _row(connection: Connection, query: Any, *parameters: object) -> tuple[Any, ...]:
    row = connection.execute(query, parameters or None).fetchone()
    assert row is not None
    return row


def _first(connection: Connection, query: Any, *parameters: object) -> Any:
    """Return the first column of the first row, None if there is none."""
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else None
