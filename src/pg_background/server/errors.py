"""What can go wrong with a server, each with what to do about it."""

from __future__ import annotations


class ServerError(Exception):
    """Something about a PostgreSQL server can't be done."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """
        Args:
            message: what is wrong, in one sentence without a full stop.
            hint: what the reader can do about it; may have several lines.
        """
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\nhint: {self.hint}" if self.hint else message

    @property
    def message(self) -> str:
        """What is wrong, without the hint."""
        return super().__str__()


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
