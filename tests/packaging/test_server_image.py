"""The image of a server: what it is made of, and that it starts, keeps its data and runs jobs."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from benchmarks.installing import unpack
from tests.support.programs import program
from tools import clean_root, server_image
from tools.clean_root import CleanRoot

# Debian's own PostgreSQL is in it.
pytestmark = [pytest.mark.slow, pytest.mark.pg("== 15"), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def major() -> int:
    try:
        return server_image.MAJORS[clean_root.codename()]
    except (clean_root.NotHereError, KeyError) as error:
        pytest.skip(f"no such image can be made here: {error}")


@pytest.fixture(scope="module")
def image(major: int, open_tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image, in OCI's layout."""
    for name, package in server_image.PROGRAMS.items():
        program(name, package=package)
    packages = open_tmp_path / "packages"
    packages.mkdir()
    target = tmp_path_factory.mktemp("image") / "image"
    try:
        server_image.make(server_image.package_for(major, packages), major, target)
    except clean_root.NotHereError as error:
        pytest.skip(str(error))
    return target


@pytest.fixture
def root(image: Path, open_tmp_path: Path, request: pytest.FixtureRequest) -> CleanRoot:
    """A container's file system."""
    return CleanRoot(unpack(image, open_tmp_path / request.node.name))


def configured(image: Path) -> dict[str, object]:
    """What the image says of itself."""

    def read(digest: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((image / "blobs" / digest.replace(":", "/")).read_text())
        return found

    index = json.loads((image / "index.json").read_text())
    manifest = json.loads(json.dumps(read(index["manifests"][0]["digest"])))
    found: dict[str, object] = json.loads(json.dumps(read(manifest["config"]["digest"])))["config"]
    return found


def started(root: CleanRoot, major: int, then: str, *, environment: str = "POSTGRES_PASSWORD=secret") -> str:
    """Start it as a container is started, on a port of its own, and run a script as its user."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    script = root.path / "tmp" / "script"
    script.write_text(
        f"export PATH=/usr/lib/postgresql/{major}/bin:$PATH PGDATA=/var/lib/postgresql/{major}/data\n"
        f"export PGPORT={port} PGHOST=127.0.0.1 PGUSER=postgres PGPASSWORD=secret {environment}\n"
        f"PGHOST= start-postgresql -c port={port} -c listen_addresses=127.0.0.1 >/tmp/log 2>&1 &\n"
        "server=$!\n"
        "until pg_isready --quiet; do\n"
        "  kill -0 $server 2>/dev/null || { cat /tmp/log; exit 0; }\n"
        "  sleep 0.1\n"
        "done\n"
        f"{then}\n"
        "kill -INT $server\nwait $server\n"
    )
    return root.script("setpriv --reuid=postgres --regid=postgres --init-groups bash -eu /tmp/script")


def test_configuration(image: Path, major: int) -> None:
    said = configured(image)
    assert said["User"] == "postgres"
    assert said["StopSignal"] == "SIGINT"
    assert said["Volumes"] == {"/var/lib/postgresql": {}}
    assert f"PGDATA=/var/lib/postgresql/{major}/data" in json.dumps(said["Env"])


def test_nothing_of_the_machine_it_was_built_on(root: CleanRoot, image: Path) -> None:
    for name in ("etc/resolv.conf", "etc/hosts", "usr/sbin/policy-rc.d"):
        assert not (root.path / name).exists()
    assert list((root.path / "tmp").iterdir()) == []
    assert list((root.path / "var/lib/postgresql").iterdir()) == []
    assert root.run("stat", "-c", "%U", "/var/lib/postgresql").strip() == "postgres"


def test_a_job_and_its_data_after_a_restart(root: CleanRoot, major: int) -> None:
    """By password from outside, in the database that a client takes when it names none."""
    first = started(
        root,
        major,
        "psql -XAtq -c 'CREATE TABLE kept AS SELECT 7 AS n' -c "
        "\"SELECT * FROM pg_background_run_query('SELECT 6 * n FROM kept') AS (answer int)\"",
    )
    assert first.splitlines()[-1] == "42"
    again = started(root, major, "psql -XAtq -c 'TABLE kept'", environment="")
    assert again.splitlines()[-1] == "7"
    log = (root.path / "tmp" / "log").read_text()
    assert "database system was shut down" in log


def test_a_password_is_asked_for(root: CleanRoot, major: int) -> None:
    """And nothing is left that would pass for data."""
    said = started(root, major, "true", environment="")
    assert "error: set POSTGRES_PASSWORD" in said
    assert not (root.path / f"var/lib/postgresql/{major}/data").exists()
