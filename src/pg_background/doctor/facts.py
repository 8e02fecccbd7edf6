"""What can be known about a server from one session on it; nothing is judged here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]

#: The role that has the extension's functions.
USER_ROLE = "pgbackground_role"

#: Milliseconds that the trial job may take: the start of a process on a busy machine, and much more.
_TRIAL_LIMIT = 20_000

#: In bytes or milliseconds.
_UNITS = {
    "B": 1,
    "kB": 1024,
    "8kB": 8192,
    "MB": 1024**2,
    "ms": 1,
    "s": 1000,
    "min": 60_000,
}


@dataclass(frozen=True)
class Setting:
    """A row of pg_settings."""

    value: str
    unit: str | None = None
    #: as in pg_settings: `default`, `configuration file`, `database`, `user`, …
    source: str = "default"
    #: the configuration says otherwise, and counts from the next restart on
    pending_restart: bool = False

    @property
    def amount(self) -> int:
        """A number's value: in bytes or milliseconds if it has a unit. Negative ones mean no limit."""
        number = int(self.value)
        return number if number < 0 else number * _UNITS.get(self.unit or "", 1)


@dataclass(frozen=True)
class Extension:
    """pg_background in a database."""

    version: str
    schema: str
    #: the version that ALTER EXTENSION UPDATE would lead to; None if its files are gone
    available: str | None
    #: its functions and views that PUBLIC may use
    public: tuple[str, ...] = ()
    #: has the session's role USAGE on its schema?
    may_enter: bool = True
    #: has the session's role EXECUTE on launch?
    may_launch: bool = True


@dataclass(frozen=True)
class Registry:
    """The row of pg_background_registry()."""

    entries: int
    live: int
    unread: int
    idle_workers: int
    busy_workers: int
    area_bytes: int
    spill_bytes: int


@dataclass(frozen=True)
class Trial:
    """How a job went that did nothing."""

    #: empty if it went well
    error: str = ""
    #: the server's own advice
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A server, as the role of one session sees one of its databases."""

    #: `18.6`, `19beta1`
    version: str
    #: 14, 15, …
    major: int
    database: str
    role: str
    #: by name; those that the role may not see are missing
    settings: Mapping[str, Setting] = field(default_factory=dict)
    #: None: it is not installed in this database
    extension: Extension | None = None
    #: the version that CREATE EXTENSION would install; None if its files are not there
    available: str | None = None
    #: does the keeper process live? None: it can't be seen
    keeper: bool | None = None
    #: may the role that has the functions log in? None: there is no such role
    user_role_logs_in: bool | None = None
    #: does that role have EXECUTE on launch?
    user_role_may_launch: bool = True
    #: None: the role may not ask
    registry: Registry | None = None
    #: None: none was run
    trial: Trial | None = None

    @property
    def preloaded(self) -> bool:
        """Was the library loaded when the server started? Only then does the server know this setting."""
        return "pg_background.max_jobs" in self.settings

    def amount(self, name: str) -> int:
        """A setting's number, in bytes or milliseconds if it has a unit."""
        return self.settings[name].amount


def is_ours(version: str) -> bool:
    """Tell whether a version of the extension is one of this project, and not of the older one in C."""
    return int(version.split(".")[0]) >= 3


def collect(connection: Connection) -> Facts:
    """Ask a server, and let it run a job that does nothing, if the role may.

    Args:
        connection: in autocommit mode; its search_path is changed.

    Raises:
        psycopg.Error: the connection broke.
    """
    # So that nobody's objects are taken for the server's, and that names come with their schema.
    connection.execute("SET search_path = pg_catalog")
    settings = _settings(connection)
    extension = _extension(connection)
    preloaded = "pg_background.max_jobs" in settings
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
    ready = extension is not None and preloaded and is_ours(extension.version)
    usable = extension is not None and extension.may_enter and extension.may_launch
    return Facts(
        version=str(version).split()[0],
        major=number // 10_000,
        database=database,
        role=role,
        settings=settings,
        extension=extension,
        available=available,
        keeper=_keeper(connection),
        user_role_logs_in=user_role,
        user_role_may_launch=user_role is not None
        and extension is not None
        and bool(_may_launch(connection, extension.schema, USER_ROLE)),
        registry=_registry(connection, extension) if extension and ready else None,
        trial=_trial(connection, extension) if extension and ready and usable else None,
    )


def _settings(connection: Connection) -> dict[str, Setting]:
    return {
        name: Setting(*rest)
        for name, *rest in connection.execute(
            "SELECT name, setting, unit, source, pending_restart FROM pg_settings"
        )
    }


def _extension(connection: Connection) -> Extension | None:
    found = connection.execute(
        """
        SELECT e.extversion, n.nspname, a.default_version
        FROM pg_extension e
        JOIN pg_namespace n ON n.oid = e.extnamespace
        LEFT JOIN pg_available_extensions a ON a.name = e.extname
        WHERE e.extname = 'pg_background'
        """
    ).fetchone()
    if found is None:
        return None
    version, schema, available = found
    public = connection.execute(
        """
        SELECT objid::regprocedure::text
        FROM pg_depend JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
        CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS granted
        WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND granted.grantee = 0
          AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_background')
        UNION
        SELECT objid::regclass::text
        FROM pg_depend JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
        CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS granted
        WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND granted.grantee = 0
          AND c.relkind IN ('r', 'v', 'm')
          AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_background')
        ORDER BY 1
        """
    ).fetchall()
    return Extension(
        version=version,
        schema=schema,
        available=available,
        public=tuple(name for (name,) in public),
        may_enter=bool(_first(connection, "SELECT has_schema_privilege(%s, 'USAGE')", schema)),
        may_launch=bool(_may_launch(connection, schema)),
    )


def _may_launch(connection: Connection, schema: str, role: str | None = None) -> Any:
    """Tell whether a role, by default the session's, has EXECUTE on launch; None if it is not there."""
    return _first(
        connection,
        """
        SELECT has_function_privilege(coalesce(%s::name, current_user), p.oid, 'EXECUTE')
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = %s AND p.proname = 'pg_background_launch' AND p.proargtypes = '25 23'
        """,
        role,
        schema,
    )


def _keeper(connection: Connection) -> bool | None:
    # Not every role may see what kind of process another one is, and without a database a process is not
    # listed: only a keeper that is listed tells something.
    lives = _first(
        connection,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_background keeper')",
    )
    return True if lives else None


def _registry(connection: Connection, extension: Extension) -> Registry | None:
    query = sql.SQL(
        "SELECT entries, live, unread, idle_workers, busy_workers, area_bytes, spill_bytes "
        "FROM {}.pg_background_registry()"
    ).format(sql.Identifier(extension.schema))
    try:
        row = connection.execute(query).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    assert row is not None
    return Registry(*row)


def _trial(connection: Connection, extension: Extension) -> Trial:
    """Let a job run that does nothing."""
    schema = sql.Identifier(extension.schema)
    try:
        pid, cookie = _row(
            connection,
            sql.SQL("SELECT * FROM {}.pg_background_launch('SELECT 1', 0, 'pg-background doctor')").format(
                schema
            ),
        )
        finished = _first(
            connection,
            sql.SQL("SELECT {}.pg_background_wait(%s, %s, %s)").format(schema),
            *(pid, cookie, _TRIAL_LIMIT),
        )
        if not finished:
            connection.execute(
                sql.SQL("SELECT {}.pg_background_cancel(%s, %s)").format(schema), [pid, cookie]
            )
            return Trial(f"it did not end within {_TRIAL_LIMIT // 1000} s")
        connection.execute(
            sql.SQL("SELECT * FROM {}.pg_background_result(%s, %s) AS (one int4)").format(schema),
            [pid, cookie],
        )
    except psycopg.Error as error:
        if connection.closed:
            raise
        return Trial(error.diag.message_primary or str(error), error.diag.message_hint or "")
    return Trial()


def _row(connection: Connection, query: Any, *parameters: object) -> tuple[Any, ...]:
    row = connection.execute(query, parameters or None).fetchone()
    assert row is not None
    return row


def _first(connection: Connection, query: Any, *parameters: object) -> Any:
    """Return the first column of the first row, None if there is none."""
    row = connection.execute(query, parameters or None).fetchone()
    return row[0] if row else None
