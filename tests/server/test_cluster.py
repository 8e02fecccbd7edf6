"""Clusters by their Python interface: what the command line can't show."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from pg_background.server import (
    Build,
    Cluster,
    DataDirectoryError,
    Installation,
    NotRunningError,
    StartError,
    Status,
    prepare,
)
from pg_background.server.data_directory import DataDirectory
from pg_background.server.os_user import OsUser
from pg_background.server.ports import any_free
from pg_background.server.postmaster import Postmaster
from pg_background.server.runtime import bundled_libraries


@pytest.fixture
def cluster(installation: Installation, extension: Build, open_tmp_path: Path, data: Path) -> Cluster:
    """A cluster that is initialised and stopped."""
    return make(installation, extension, open_tmp_path, data)


def make(installation: Installation, extension: Build, open_tmp_path: Path, data: Path) -> Cluster:
    cluster = Cluster(data)
    cluster.provide(prepare(installation, extension, cluster.os_user, store=open_tmp_path / "runtime"))
    assert cluster.init(sync=False)
    return cluster


def test_everything_may_be_done_twice(cluster: Cluster) -> None:
    assert not cluster.init()
    assert cluster.status() is Status.STOPPED
    assert cluster.start(port=any_free())
    assert not cluster.start()
    assert cluster.status() is Status.RUNNING
    cluster.create_extension()
    cluster.create_extension()
    assert cluster.stop()
    assert not cluster.stop()
    cluster.destroy()
    assert cluster.status() is Status.ABSENT


def test_only_the_servers_user_can_enter(cluster: Cluster) -> None:
    assert stat.S_IMODE(cluster.path.stat().st_mode) == 0o700
    assert cluster.path.stat().st_uid == cluster.os_user.uid != 0


def test_tcp_wants_the_password(cluster: Cluster) -> None:
    cluster.start(port=any_free())
    psycopg.connect(cluster.dsn()).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(cluster.dsn(), password="guess")
    psycopg.connect(cluster.socket_dsn()).close()


def test_stopped_servers_have_no_dsn(cluster: Cluster) -> None:
    for ask in (cluster.dsn, cluster.socket_dsn, cluster.reload, cluster.create_extension):
        with pytest.raises(NotRunningError, match="hint: pg-background server start"):
            ask()


def test_restart_keeps_the_port_and_takes_settings(cluster: Cluster) -> None:
    port = any_free()
    cluster.start(port=port)
    cluster.restart(settings={"work_mem": "5MB", "cluster_name": "it's"})
    assert cluster.postmaster().port == port
    with psycopg.connect(cluster.socket_dsn()) as conn:
        assert conn.execute("SHOW work_mem").fetchone() == ("5MB",)
        assert conn.execute("SHOW cluster_name").fetchone() == ("it's",)


def test_stale_pid_file(cluster: Cluster) -> None:
    """After a crash of the machine the file may name a living process that is something else."""
    (cluster.path / "postmaster.pid").write_text(
        f"{os.getpid()}\n{cluster.path}\n1\n5432\n{cluster.path}\nlocalhost\n 1 2\nready\n"
    )
    assert Postmaster.of(cluster.path) is None
    assert cluster.status() is Status.STOPPED
    assert not cluster.stop()


def test_path_too_long_for_a_socket(
    installation: Installation, extension: Build, open_tmp_path: Path, data: Path
) -> None:
    deep = data / ("d" * 60) / ("e" * 60)
    cluster = make(installation, extension, open_tmp_path, deep)
    cluster.start(port=any_free())
    folder = Path(cluster.postmaster().socket_directory)
    try:
        psycopg.connect(cluster.socket_dsn()).close()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        cluster.destroy()
        folder.rmdir()


@pytest.mark.parametrize("name", ["it's a + 100% &?#=", "one, two", '"$HOME" `false` \\ $(false)'])
def test_odd_paths(
    name: str, installation: Installation, extension: Build, open_tmp_path: Path, data: Path
) -> None:
    """As of a home directory with a space in its name."""
    cluster = make(installation, extension, open_tmp_path, data / name)
    cluster.start(port=any_free())
    folder = Path(cluster.postmaster().socket_directory)
    try:
        cluster.create_extension()
        for dsn in (cluster.dsn(), cluster.socket_dsn()):
            psycopg.connect(dsn).close()
    finally:
        cluster.destroy()
        if folder.exists():
            folder.rmdir()


def test_initdb_fails_with_a_hint(
    installation: Installation,
    extension: Build,
    open_tmp_path: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(data)
    cluster.provide(prepare(installation, extension, cluster.os_user, store=open_tmp_path / "runtime"))
    real = type(cluster.os_user).run
    for said, hint in (
        ("could not look up effective user ID 12345: user does not exist", "add one to /etc/passwd"),
        ("could not extend file: No space left on device", "free some space"),
        ("something else", "see what it says above"),
    ):

        def run(user: OsUser, words: list[str | Path], said: str = said) -> subprocess.CompletedProcess[str]:
            if Path(words[0]).name != "initdb":
                return real(user, words)
            return subprocess.CompletedProcess(words, 1, f"initdb: {said}", "")

        monkeypatch.setattr(type(cluster.os_user), "run", run)
        with pytest.raises(StartError, match=f"{said}\nhint: .*{hint}"):
            cluster.init()


def test_configuration_is_never_written_through_a_link(cluster: Cluster, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    configuration = cluster.path / "pg_background.conf"
    configuration.unlink()
    configuration.symlink_to(victim)
    DataDirectory(cluster.path, cluster.os_user).write_settings({"work_mem": "1MB"})
    assert victim.read_text() == "mine"
    assert not configuration.is_symlink()


def test_uninitialised_directory_does_not_start(
    installation: Installation, extension: Build, open_tmp_path: Path, data: Path
) -> None:
    cluster = Cluster(data)
    cluster.provide(prepare(installation, extension, cluster.os_user, store=open_tmp_path / "runtime"))
    with pytest.raises(DataDirectoryError, match="no cluster yet"):
        cluster.start()


def test_a_name_without_an_address(cluster: Cluster) -> None:
    """As localhost has none in a bare root: the port is not to blame."""
    with pytest.raises(StartError, match=r'"nowhere\.invalid" has no address') as caught:
        cluster.start(port=any_free(), settings={"listen_addresses": "nowhere.invalid"})
    assert "/etc/hosts" in caught.value.hint


def test_runtime_leaves_the_installation_alone(
    installation: Installation, extension: Build, open_tmp_path: Path, data: Path
) -> None:
    def state() -> dict[Path, int]:
        folders = installation.bindir, installation.pkglibdir, installation.sharedir / "extension"
        return {path: path.lstat().st_mtime_ns for folder in folders for path in folder.iterdir()}

    before = state()
    cluster = make(installation, extension, open_tmp_path, data)
    assert (
        prepare(installation, extension, cluster.os_user, store=open_tmp_path / "runtime") == cluster.runtime
    )
    assert state() == before


def test_new_build_gets_its_own_files(
    installation: Installation, extension: Build, tmp_path: Path, cluster: Cluster, open_tmp_path: Path
) -> None:
    """A running server keeps the files it was started with."""
    script = tmp_path / extension.scripts[0].name
    script.write_text(extension.scripts[0].read_text() + "-- changed\n")
    changed = Build(extension.library, extension.controls, (script, *extension.scripts[1:]))
    other = prepare(installation, changed, cluster.os_user, store=open_tmp_path / "runtime")
    assert other != cluster.runtime
    cluster.start(port=any_free())
    assert cluster.runs_the_provided()
    cluster.provide(other)
    assert not cluster.runs_the_provided()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_installation_out_of_the_servers_reach(
    installation: Installation, extension: Build, open_tmp_path: Path, tmp_path: Path, cluster: Cluster
) -> None:
    """As with a checkout and its virtual environment under /root."""
    parts = [installation.bindir, installation.sharedir, installation.pkglibdir]
    parts += bundled_libraries(installation)
    base = Path(os.path.commonpath(parts))
    tmp_path.chmod(0o700)
    for part in parts:
        target = tmp_path / part.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-rLT", part, target], check=True)
    found = Installation.from_pg_config(tmp_path / installation.bindir.relative_to(base) / "pg_config")
    assert not cluster.os_user.can_read(found.bindir)
    runtime = prepare(found, extension, cluster.os_user, store=open_tmp_path / "hidden")
    cluster.provide(runtime)
    cluster.start(port=any_free())
    cluster.create_extension()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
