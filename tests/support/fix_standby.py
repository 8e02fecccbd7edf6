"""A primary server with a hot standby, made by pg_basebackup, that follows it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from pg_background.server import Cluster

from .fix_crash import watch
from .fix_server import FreshServer
from .server import Server, Settings
from .waiting import wait_until

#: Whatever a standby's queries hold up, it is replayed at once; the primary may remove what they still need.
#: The last three are what pg_rewind needs.
SETTINGS: Settings = {
    "max_standby_streaming_delay": 0,
    "hot_standby_feedback": "off",
    "autovacuum": "off",
    "wal_log_hints": "on",
    "full_page_writes": "on",
    "wal_keep_size": "256MB",
}

_numbers = count(1)


class Pair(NamedTuple):
    """Two servers, the second of which follows the first."""

    primary: Server
    standby: Server

    def replay(self) -> None:
        """Wait until the standby follows the primary and has all that it has done so far.

        One that has just been started may have all that from its backup, and receive nothing yet.
        """
        receives = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
        wait_until(lambda: self.standby.execute(receives), what="the standby follows")
        done = self.primary.execute("SELECT pg_current_wal_lsn()")
        wait_until(
            lambda: self.standby.execute(f"SELECT pg_last_wal_replay_lsn() >= '{done}'"),
            what=f"the standby at {done}",
        )

    def promote(self) -> None:
        """Make the standby a primary; it accepts writes when this returns."""
        assert self.standby.execute("SELECT pg_promote()")
        wait_until(lambda: not self.standby.execute("SELECT pg_is_in_recovery()"), what="the promotion")


class MakePair(Protocol):
    """Makes servers that live until the session ends."""

    def __call__(self, settings: Settings | None = None) -> Pair:
        """Return a running pair with these settings beside `SETTINGS`."""


def run_program(server: Server, program: str, *words: str | Path) -> None:
    """Run one of PostgreSQL's programs as the server's user."""
    path = server.cluster.runtime.installation.program(program)
    done = server.cluster.os_user.run([path, *words])
    assert done.returncode == 0, done.stdout


def rewind(old: Server, new: Server) -> None:
    """Make a former primary, which is down, one that follows the new one when it is started."""
    # pg_rewind looks for the new timeline in the control file.
    new.execute("CHECKPOINT")
    run_program(
        new,
        "pg_rewind",
        *("--target-pgdata", old.cluster.path, "--source-server", new.dsn()),
        *("--write-recovery-conf", "--no-sync"),
    )


@pytest.fixture(scope="session")
def make_pair(fresh_cluster: FreshServer, open_tmp_path: Path) -> Iterator[MakePair]:
    made: list[Server] = []
    # Not in the data directories, which are copied: pg_rewind can't copy a socket.
    sockets = open_tmp_path / "sockets"
    sockets.mkdir()
    sockets.chmod(0o777)

    def make(settings: Settings | None = None) -> Pair:
        both = {**SETTINGS, "unix_socket_directories": sockets, **(settings or {})}
        primary = fresh_cluster(both)
        path = open_tmp_path / f"standby-{next(_numbers)}"
        cluster = Cluster(path)
        cluster.provide(primary.cluster.runtime)
        subprocess.run(["install", "-d", "-m", "700", "-o", str(cluster.os_user.uid), path], check=True)
        run_program(
            primary,
            "pg_basebackup",
            *("-D", path, "-d", primary.dsn()),
            *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
        )
        cluster.log_path.unlink()
        standby = Server(cluster, primary.settings, primary.checker)
        made.append(standby)
        standby.start()
        pair = Pair(primary, standby)
        pair.replay()
        return pair

    yield make
    for standby in made:
        standby.cluster.stop("immediate")


@pytest.fixture(scope="session")
def shared_pair(make_pair: MakePair) -> Pair:
    return make_pair()


@pytest.fixture
def pair(shared_pair: Pair, request: pytest.FixtureRequest) -> Pair:
    """The session's primary and standby."""
    for server in shared_pair:
        watch(request, server, server.log.mark())
    return shared_pair


@pytest.fixture
def fresh_pair(make_pair: MakePair, request: pytest.FixtureRequest) -> Iterator[MakePair]:
    """Makes pairs of the test's own."""
    made: list[Pair] = []

    def make(settings: Settings | None = None) -> Pair:
        made.append(make_pair(settings))
        for server in made[-1]:
            watch(request, server, 0)
        return made[-1]

    yield make
    for pair in made:
        for server in reversed(pair):
            server.cluster.stop("fast", timeout=30)
