"""A server for the length of a `with` block: for tests and experiments."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from . import embedded, ports
from .building import Build
from .cluster import TEMPORARY, Cluster
from .errors import PortInUseError
from .installation import Installation
from .obtaining import obtain
from .runtime import prepare

#: Nothing of it has to survive the machine.
FAST_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}

_ATTEMPTS = 5


class TemporaryServer:
    """A PostgreSQL with pg_background in its database `postgres`; it is gone after the block.

    ```python
    with TemporaryServer(settings={"pg_background.max_jobs": "100"}) as server:
        with pg_background.connect(server.dsn()) as client:
            client.run("VACUUM")
    ```

    It starts in about two seconds; where no compiled library fits, the first one builds the extension before.
    As root the server runs as another user, see `pg-background server start --help`.
    """

    def __init__(
        self,
        *,
        pg_config: str | Path | None = None,
        settings: Mapping[str, str] | None = None,
        extension: Build | None = None,
    ) -> None:
        """
        Args:
            pg_config: of the PostgreSQL to run; by default the embedded one.
            settings: configuration beside, or instead of, `FAST_SETTINGS`, as it would be in postgresql.conf.
            extension: a build for that PostgreSQL; by default `obtain(installation)`.
        """
        self._pg_config = pg_config
        self._settings = {**FAST_SETTINGS, **(settings or {})}
        self._extension = extension
        self._cluster: Cluster | None = None
        self._undo = ExitStack()

    def __enter__(self) -> TemporaryServer:
        """Get what is missing and start the server.

        Raises:
            ServerError: it could not be built or started.
        """
        installation = Installation.from_pg_config(self._pg_config or embedded.pg_config())
        extension = self._extension or obtain(installation)
        with ExitStack() as undo:
            folder = Path(tempfile.mkdtemp(prefix="pg_background-", dir=TEMPORARY))
            undo.callback(shutil.rmtree, folder)
            # The server's user has to pass; the data directory itself lets nobody else in.
            folder.chmod(0o755)
            cluster = Cluster(folder / "data")
            undo.callback(cluster.stop, "immediate")
            cluster.provide(prepare(installation, extension, cluster.os_user))
            cluster.init(sync=False)
            self._start(cluster)
            cluster.create_extension()
            self._undo = undo.pop_all()
        self._cluster = cluster
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server at once, whoever is connected, and delete its data."""
        self._cluster = None
        self._undo.close()

    @property
    def cluster(self) -> Cluster:
        """The server, to restart it or to read its log.

        Raises:
            RuntimeError: outside of the block.
        """
        if self._cluster is None:
            raise RuntimeError("the server runs only inside its with block")
        return self._cluster

    def dsn(self, database: str = "postgres") -> str:
        """Return the URI of a connection as superuser.

        Raises:
            RuntimeError: outside of the block.
            NotRunningError: the server was stopped inside of it.
        """
        return self.cluster.dsn(database)

    def _start(self, cluster: Cluster) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                cluster.start(port=ports.any_free(), settings=self._settings)
                return
            except PortInUseError:
                # Somebody was faster, as when several of these start at once.
                if attempt == _ATTEMPTS - 1:
                    raise
