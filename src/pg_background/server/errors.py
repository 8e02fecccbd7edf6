"""What can go wrong with a server, each with what to do about it."""

from __future__ import annotations

from ..errors import UserError


class ServerError(UserError):
    """Something about a PostgreSQL server can't be done."""


class InstallationError(ServerError):
    """The PostgreSQL installation is missing, or lacks a part."""


class NotWritableError(InstallationError):
    """The installation belongs to another user."""


class DatabaseError(ServerError):
    """The server refused a statement."""


class DsnError(DatabaseError):
    """A connection string is none."""


class UnreachableError(DatabaseError):
    """There is no connection to the server, or it broke."""


class BuildError(ServerError):
    """The extension can't be built: a tool or a header is missing, or the compiler refused it."""


class DataDirectoryError(ServerError):
    """The data directory can't be written, or holds something that is not ours."""


class PortInUseError(ServerError):
    """Another program listens on the port."""


class NotRunningError(ServerError):
    """The server has to run for this, and does not."""


class StartError(ServerError):
    """The server did not start, or did not stop, in time; its log says why."""
