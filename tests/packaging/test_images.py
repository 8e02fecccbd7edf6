"""The image of the extension: its layout, and a server that is led into it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pg_background.server import Build, Installation
from pg_background.server.building import EXTENSIONS
from tests.support.fix_server import FreshServer
from tests.support.pages import DOCS, blocks
from tests.support.programs import program
from tools import images, pgxs

pytestmark = [pytest.mark.slow, pytest.mark.pg(">= 18")]


@pytest.fixture(scope="module")
def image(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image, in OCI's layout."""
    for name, package in images.PROGRAMS.items():
        program(name, package=package)
    target = tmp_path_factory.mktemp("image") / "image"
    images.make(pgxs.build(installation), installation.major, target)
    return target


def inspect(image: Path, *options: str) -> dict[str, Any]:
    """What skopeo reads of it."""
    done = subprocess.run(["skopeo", "inspect", *options, f"oci:{image}"], stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_layout(image: Path, tmp_path: Path) -> None:
    """As CloudNativePG wants it: the volume's root has `lib` and `share/extension`, and no system."""
    images.unpack(image, tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"lib/pg_background.so", "licenses/LICENSE"} <= files
    assert {f"share/extension/{name}.control" for name in EXTENSIONS} <= files
    assert {f"share/extension/{name}--3.0.sql" for name in EXTENSIONS} <= files
    assert {path.partition("/")[0] for path in files} == {"lib", "share", "licenses"}
    # The server there runs as another user.
    assert all(path.stat().st_mode & 0o004 for path in tmp_path.rglob("*") if path.is_file())


def test_labels(image: Path) -> None:
    manifest = inspect(image, "--raw")
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    said = inspect(image)
    assert said["Os"] == "linux"
    assert said["Labels"]["org.opencontainers.image.licenses"] == "PostgreSQL"


def test_a_job(image: Path, fresh_server: FreshServer, open_tmp_path: Path) -> None:
    folder = open_tmp_path / "volume"
    folder.mkdir()
    images.unpack(image, folder)
    shared = folder / "share" / "extension"
    build = Build(
        library=folder / "lib" / "pg_background.so",
        controls=tuple(sorted(shared.glob("*.control"))),
        scripts=tuple(sorted(shared.glob("*.sql"))),
    )
    with fresh_server(extension=build).connect() as session:
        got = session.execute("SELECT * FROM pg_background_run_query('SELECT 42') AS (answer int)").fetchall()
    assert got == [(42,)]


@pytest.mark.in_public
def test_what_cloudnativepg_makes_of_the_page(
    image: Path, fresh_server: FreshServer, open_tmp_path: Path
) -> None:
    """What the operator would lead PostgreSQL to, in such places as it has, with the settings of the page."""
    page = (DOCS / "kubernetes.md").read_text()
    resources = yaml.safe_load_all("".join(blocks(page, "yaml")))
    cluster, database = (resource["spec"] for resource in resources)
    (mounted,) = cluster["postgresql"]["extensions"]
    assert mounted["image"]["reference"].split(":")[1] in page.split("skopeo copy")[1].split("\n")[0]
    volume = open_tmp_path / "extensions" / mounted["name"]
    volume.mkdir(parents=True)
    images.unpack(image, volume)
    settings = {
        "extension_control_path": f"$system:{volume}/share",
        "dynamic_library_path": f"$libdir:{volume}/lib",
        "shared_preload_libraries": ",".join(cluster["postgresql"]["shared_preload_libraries"]),
        **cluster["postgresql"]["parameters"],
    }
    server = fresh_server(settings)
    for name, value in settings.items():
        assert server.execute(f"SHOW {name}") == value
    (schema,), (extension,) = database["schemas"], database["extensions"]
    server.psql(
        f"CREATE ROLE app LOGIN; CREATE DATABASE {database['name']} OWNER {database['owner']};\n"
        f"\\connect {database['name']}\n"
        f"CREATE SCHEMA {schema['name']} AUTHORIZATION CURRENT_USER;"
        f"CREATE EXTENSION {extension['name']} SCHEMA {extension['schema']};"
    )
    server.psql("".join(blocks(page, "sql")), database["name"])
    (job,) = re.findall(r'-- app -c "(SELECT state .*)"$', page, re.MULTILINE)
    assert server.psql(f"SET ROLE app; {job}", database["name"]) == "stopped\n"
    (drain,) = re.findall(r'-- app -c "(SELECT \* .*)"$', page, re.MULTILINE)
    assert server.psql(drain, database["name"]) == "0|0|0\n"
