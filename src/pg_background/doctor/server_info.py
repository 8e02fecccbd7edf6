"""What can be known about a server, as plain values; nothing is asked and nothing is judged here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .preloading import Configured

#: The role that has the extension's functions.
USER_ROLE = "pgbackground_role"

#: How many background tasks, as shard moves, Citus runs at once.
CITUS_EXECUTORS = "citus.max_background_task_executors"

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
    #: has the role that has the functions USAGE on its schema?
    user_role_may_enter: bool = True
    #: does that role have EXECUTE on launch?
    user_role_may_launch: bool = True
    #: who owns its schema, unless that is a superuser
    schema_owner: str | None = None
    #: who else beside superusers may create there: roles, and PUBLIC; as SQL writes them
    creators: tuple[str, ...] = ()
    #: functions and types, views' too, that are called as members are and are none: in its schema, and in
    #: those of the session's search_path
    lookalikes: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class Sharing:
    """Who has launched jobs since the server's start."""

    #: roles that are no superusers
    roles: int
    #: does ALTER ROLE, ALTER DATABASE or the configuration limit any role?
    limited: bool


@dataclass(frozen=True, kw_only=True)
class ServerInfo:
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
    #: None: the role may not ask
    preload: Configured | None = None
    #: Citus, and what pg_background has for it: their versions, as far as they are in this database
    cluster_extensions: Mapping[str, str] = field(default_factory=dict)
    #: those that sessions can be in
    databases: int = 1
    #: of max_replication_slots and max_wal_senders, how many are in use
    used_slots: int = 0
    used_senders: int = 0
    #: None: the role may not ask
    registry: Registry | None = None
    #: None: the role may not ask
    sharing: Sharing | None = None
    #: None: none was run
    trial: Trial | None = None

    @property
    def preloaded(self) -> bool:
        """Was the library loaded when the server started? Only then does the server know this setting."""
        return "pg_background.max_jobs" in self.settings

    @property
    def has_citus(self) -> bool:
        """Is Citus loaded? Only then does the server know this setting."""
        return CITUS_EXECUTORS in self.settings

    @property
    def library_version(self) -> str | None:
        """The newest version of the extension that the library knows; None: it is not loaded."""
        setting = self.settings.get("pg_background.library_version")
        return None if setting is None else setting.value

    def amount(self, name: str) -> int:
        """A setting's number, in bytes or milliseconds if it has a unit."""
        return self.settings[name].amount


def is_ours(version: str) -> bool:
    """Tell whether a version of the extension is one of this project, and not of the older one in C."""
    return int(version.split(".")[0]) >= 3
