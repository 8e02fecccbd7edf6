"""A server for the length of a block."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from pg_background.server import (
    Build,
    Installation,
    PortInUseError,
    ServerError,
    TemporaryServer,
    ports,
    temporary,
)
from pg_background.server.places import CACHE_VARIABLE
from pg_background.server.postmaster import Postmaster


@pytest.fixture(autouse=True)
def folder(open_tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the servers' folders are made."""
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    folder = open_tmp_path / "tmp"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    monkeypatch.setattr(temporary, "TEMPORARY", folder)
    return folder


def test_runs_jobs_and_leaves_nothing(installation: Installation, extension: Build, folder: Path) -> None:
    with TemporaryServer(
        pg_config=installation.pg_config, extension=extension, settings={"pg_background.max_jobs": "77"}
    ) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            handle = conn.execute(
                "SELECT * FROM pg_background_launch('SHOW pg_background.max_jobs')"
            ).fetchone()
            assert handle is not None
            answer = conn.execute("SELECT * FROM pg_background_result(%s, %s) AS (n text)", handle).fetchone()
            assert answer == ("77",)
            assert conn.execute("SHOW fsync").fetchone() == ("off",)
        path = server.cluster.path
        # A session that is still open does not keep the server alive.
        left = psycopg.connect(server.dsn("template1"))
    left.close()
    assert Postmaster.of(path) is None
    assert not list(folder.iterdir())


def test_stops_when_the_block_fails(installation: Installation, extension: Build, folder: Path) -> None:
    server = TemporaryServer(pg_config=installation.pg_config, extension=extension)
    with pytest.raises(KeyboardInterrupt), server:
        raise KeyboardInterrupt
    assert not list(folder.iterdir())


def test_a_server_that_does_not_start_leaves_nothing(
    installation: Installation, extension: Build, folder: Path
) -> None:
    server = TemporaryServer(
        pg_config=installation.pg_config, extension=extension, settings={"max_connections": "many"}
    )
    with pytest.raises(ServerError, match='invalid value for parameter "max_connections"'), server:
        pass
    assert not list(folder.iterdir())


def test_only_inside_its_block(installation: Installation, extension: Build) -> None:
    server = TemporaryServer(pg_config=installation.pg_config, extension=extension)
    with pytest.raises(RuntimeError, match="only inside its with block"):
        server.dsn()
    # And it may be used again.
    for _ in range(2):
        with server:
            psycopg.connect(server.dsn()).close()
    with pytest.raises(RuntimeError, match="only inside its with block"):
        server.dsn()


def test_next_port_if_somebody_was_faster(
    installation: Installation, extension: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def require_free(port: int) -> None:
        asked.append(port)
        if len(asked) < 3:
            raise PortInUseError("taken")

    monkeypatch.setattr(ports, "require_free", require_free)
    with TemporaryServer(pg_config=installation.pg_config, extension=extension) as server:
        assert server.cluster.postmaster().port == asked[-1]
    assert len(asked) == 3


def test_no_such_installation() -> None:
    with pytest.raises(ServerError, match="no program"), TemporaryServer(pg_config="/no/such/pg_config"):
        pass
