"""The servers that tests run on: one for the session, and fresh ones for tests that need their own."""

from __future__ import annotations

import operator
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pg_background.server import Build, Cluster, Installation, ServerError, build, prepare
from tools import servers, ways

from .checkers import Checker
from .fix_crash import watch
from .fix_schema import Place
from .server import TEST_SETTINGS, Server, Settings

_COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}

#: Of 14 the tests have an early release, whose shared memory areas lose memory for good once they were full.
fills_job_memory = pytest.mark.pg(">= 15")

_installation_key = pytest.StashKey[Installation]()


class FreshServer(Protocol):
    """Makes a server of the test's own."""

    def __call__(self, settings: Settings | None = None, *, extension: Build | None = None) -> Server:
        """Return a new running server with these settings beside the usual ones.

        Args:
            extension: another build than the usual one, as of `build(installation, options=…)`.
        """


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pg_background")
    group.addoption(
        "--pg",
        default=os.environ.get("PG", "18"),
        help="version of PostgreSQL to test on, as 18 or 15-assert; fetched if need be [env PG, default 18]",
    )
    group.addoption(
        "--pg-config",
        default=os.environ.get("PG_CONFIG", ""),
        help="pg_config of the PostgreSQL to test on, instead [env PG_CONFIG]",
    )
    group.addoption(
        "--build",
        choices=ways.NAMES,
        default=os.environ.get("BUILD") or "meson",
        help="the way in which servers get the extension: pgxs is that of a source release, the others but"
        " meson are those of packages [env BUILD, default meson]",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "pg(versions): run only on these versions, as in '>= 14, < 18'")
    config.addinivalue_line(
        "markers", "contrib(name): run only on servers that have this module of PostgreSQL's own"
    )
    config.addinivalue_line("markers", "slow: takes more than ten seconds")
    try:
        config.stash[_installation_key] = (
            Installation.from_pg_config(named)
            if (named := config.getoption("--pg-config"))
            else servers.find(config.getoption("--pg"))
        )
    except ServerError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> str:
    installation = config.stash[_installation_key]
    return f"PostgreSQL {installation.version} in {installation.bindir}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    installation = item.config.stash[_installation_key]
    for marker in item.iter_markers("pg"):
        if not satisfies(installation.major, marker.args[0]):
            pytest.skip(f"for PostgreSQL {marker.args[0]}")
    for marker in item.iter_markers("contrib"):
        if not (installation.pkglibdir / f"{marker.args[0]}.so").exists():
            pytest.skip(f"this PostgreSQL has no {marker.args[0]}")


def satisfies(major: int, versions: str) -> bool:
    """Tell whether a major version meets the comparisons of a `pg` marker."""
    for part in versions.split(","):
        found = re.fullmatch(r"\s*(>=|<=|==|!=|>|<)\s*(\d+)\s*", part)
        if found is None:
            raise pytest.UsageError(f"bad pg marker: {versions!r}")
        if not _COMPARISONS[found[1]](major, int(found[2])):
            return False
    return True


@pytest.fixture(scope="session")
def installation(request: pytest.FixtureRequest) -> Installation:
    """The PostgreSQL to test on."""
    return request.config.stash[_installation_key]


@pytest.fixture(scope="session")
def extension(request: pytest.FixtureRequest, installation: Installation, checker: Checker) -> Build:
    """The extension, built for it."""
    way = request.config.getoption("--build")
    if checker.build_options is None:
        return ways.go(way, installation).build
    if way != "meson":
        raise pytest.UsageError(f"what looks at memory needs another build than that of BUILD={way}")
    return build(installation, options=checker.build_options)


@pytest.fixture(scope="session")
def fresh_cluster(
    installation: Installation,
    extension: Build,
    extension_place: Place,
    checker: Checker,
    open_tmp_path: Path,
) -> Iterator[FreshServer]:
    """Makes servers that live until the session ends."""
    made: list[Server] = []
    pristine = open_tmp_path / "data"
    usual = extension

    def make(settings: Settings | None = None, *, extension: Build | None = None) -> Server:
        path = open_tmp_path / f"data-{len(made)}"
        # A copy is made faster than a cluster.
        if pristine.exists():
            subprocess.run(["cp", "-a", pristine, path], check=True)
        cluster = Cluster(path)
        cluster.provide(
            prepare(installation, extension or usual, cluster.os_user, store=open_tmp_path / "runtime")
        )
        checker.wrap(cluster.runtime.installation)
        if cluster.init(sync=False):
            subprocess.run(["cp", "-a", path, pristine], check=True)
        configuration = {
            **TEST_SETTINGS,
            **extension_place.settings,
            **checker.settings,
            **(settings or {}),
        }
        server = Server(cluster, configuration, checker)
        made.append(server)
        server.start()
        cluster.create_extension()
        extension_place.move(server, "postgres")
        return server

    yield make
    for server in made:
        server.cluster.stop("immediate")


@pytest.fixture(scope="session")
def server(fresh_cluster: FreshServer) -> Server:
    """The session's server."""
    return fresh_cluster()


@pytest.fixture
def fresh_server(fresh_cluster: FreshServer, request: pytest.FixtureRequest) -> Iterator[FreshServer]:
    """Makes servers of the test's own; each is stopped at the test's end, and must stop."""
    made: list[Server] = []

    def make(settings: Settings | None = None, *, extension: Build | None = None) -> Server:
        server = fresh_cluster(settings, extension=extension)
        made.append(server)
        watch(request, server, 0)
        return server

    yield make
    for server in made:
        if server.is_running():
            # It may be recovering from a crash that the test was about.
            server.wait_ready()
            server.cluster.stop("fast", timeout=30)
