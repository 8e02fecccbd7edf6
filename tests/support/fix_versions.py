"""A server whose files can be replaced while it runs, by those of the next version and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pg_background.server import Build, Cluster, Installation, prepare
from pg_background.server.install import install, installed

from .fix_crash import watch
from .fix_switch import CATALOGUES
from .next_version import build_next
from .server import TEST_SETTINGS, Server


class Versions:
    """The server, and the files of this version and of the next."""

    def __init__(self, server: Server, folders: Installation, old: Build, new: Build) -> None:
        """
        Args:
            folders: where this server looks for extensions.
        """
        self.server = server
        self._folders = folders
        self._old = old
        self._new = new

    def install_new(self) -> None:
        """Install the next version's files, as `pg-background install` does."""
        install(self._folders, self._new)

    def install_old_library(self) -> None:
        """Put this version's library back, and leave the rest."""
        install(self._folders, replace(self._new, library=self._old.library))

    def database(self, name: str, *statements: str) -> str:
        """Make a database and run statements in it; return its name."""
        self.server.execute(f"CREATE DATABASE {name}")
        with self.server.connect(name) as conn:
            for statement in statements:
                conn.execute(statement.encode())
        return name


@pytest.fixture(scope="session")
def next_extension(installation: Installation, open_tmp_path: Path) -> Build:
    """The next version, built, with the install scripts of the extension in C beside its own."""
    built = build_next(installation, open_tmp_path / "next-sources")
    return replace(built, scripts=(*built.scripts, *sorted(CATALOGUES.glob("*.sql"))))


@pytest.fixture(scope="session")
def versions_server(
    installation: Installation, extension: Build, open_tmp_path: Path
) -> Iterator[tuple[Server, Installation]]:
    """The server, with this version's files, and where it looks for them; they are no other server's."""
    place = open_tmp_path / "versions"
    cluster = Cluster(place / "data")
    runtime = prepare(installation, extension, cluster.os_user, store=place / "runtime")
    cluster.provide(runtime)
    cluster.init(sync=False)
    folders = runtime.installation
    if "dynamic_library_path" in runtime.settings:
        folder = Path(runtime.settings["dynamic_library_path"].partition(":")[0]).parent
        folders = replace(folders, sharedir=folder / "share", pkglibdir=folder / "lib")
    server = Server(cluster, TEST_SETTINGS)
    server.start()
    yield server, folders
    if server.is_running():
        cluster.stop("immediate")


@pytest.fixture
def versions(
    versions_server: tuple[Server, Installation],
    extension: Build,
    next_extension: Build,
    request: pytest.FixtureRequest,
) -> Versions:
    """It runs this version; databases are the test's own."""
    server, folders = versions_server
    if [path for path in installed(folders) if "--3.1" in path.name]:
        for path in installed(folders):
            path.unlink()
        install(folders, extension)
        server.restart()
    watch(request, server, server.log.mark())
    return Versions(server, folders, extension, next_extension)
