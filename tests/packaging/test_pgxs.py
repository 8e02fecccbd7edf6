"""A source release, built with make and the server's headers alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from pg_background.server import Build, Installation, build, embedded, prepare
from pg_background.server.building import EXTENSIONS
from pg_background.server.os_user import server_user
from tests.support.fix_server import FreshServer
from tests.support.psql import program
from tests.support.server import Server
from tools import pgxs
from tools.release_tree import PGXS

pytestmark = pytest.mark.slow

NOT_NEEDED = re.compile(r"python.*|cython.*|meson|ninja|pip.*|clang.*|llvm.*|perl.*")


@pytest.fixture(scope="module")
def built(installation: Installation) -> Build:
    """The library, built so."""
    return pgxs.build(installation)


def symbols(library: Path) -> set[str]:
    """What it gives to the server and wants from it."""
    listed = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True).stdout
    # Without the addresses.
    return {line[16:].strip() for line in listed.splitlines()}


def test_same_symbols(built: Build, installation: Installation) -> None:
    other = symbols(build(installation).library)
    assert {"T _PG_init", "T Pg_magic_func", "T pgbg_launch", "T pgbg_keeper_main"} <= other
    exported = {name for name in symbols(built.library) if not name.startswith(("U ", "w "))}
    assert exported == {name for name in other if not name.startswith(("U ", "w "))}


def test_needs_of_the_server_what_the_other_build_needs(built: Build, installation: Installation) -> None:
    """The C library's functions depend on the compiler's options, which are the server's here."""
    server = subprocess.run(
        ["nm", "-D", "--defined-only", installation.program("postgres")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    offered = {line.split()[-1] for line in server.splitlines()}
    needed, needed_by_other = (
        {name[2:] for name in symbols(library) if name.startswith("U ")} & offered
        for library in (built.library, build(installation).library)
    )
    assert "palloc" in needed
    assert needed == needed_by_other


def test_no_python_no_warning(tree: Path, tmp_path: Path, installation: Installation) -> None:
    """Cython, Meson, Python and LLVM are not there, and the compiler reads no header of Python."""
    folder = tmp_path / "release"
    shutil.copytree(tree, folder)
    programs = tmp_path / "programs"
    programs.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for path in Path(directory).glob("*"):
            new = programs / path.name
            if not NOT_NEEDED.fullmatch(path.name) and not os.path.lexists(new):
                new.symlink_to(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(programs))
        said = pgxs.make(folder, installation, "COPT=-MD")
    assert "warning: " not in said
    read = (folder / "pg_background.d").read_text()
    assert "postgres.h" in read
    assert "Python.h" not in read


def test_no_pg_config_is_the_first_in_path(tree: Path, installation: Installation, tmp_path: Path) -> None:
    """Also where the environment has the variable, but nothing in it."""
    first = tmp_path / "pg_config"
    first.write_text(f'#!/bin/sh\nexec "{installation.pg_config}" "$@"\n')
    first.chmod(0o755)
    for given in ({}, {"PG_CONFIG": ""}):
        environment = {name: value for name, value in os.environ.items() if name != "PG_CONFIG"} | given
        said = subprocess.run(
            ["make", "-C", tree, "--dry-run", "pg_background.o"],
            env={**environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"-I{installation.includedir_server}" in said


def test_make_install(built: Build, installation: Installation, tmp_path: Path) -> None:
    """Exactly what it takes: no bitcode, no folder of documents."""
    pgxs.make(built.library.parent, installation, "install", f"DESTDIR={tmp_path}")
    shared = installation.sharedir / "extension"
    expected = {tmp_path / str(installation.pkglibdir / built.library.name).lstrip("/")} | {
        tmp_path / str(shared / path.name).lstrip("/") for path in (*built.controls, *built.scripts)
    }
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == expected
    assert {path.stem for path in expected if path.suffix == ".control"} == set(EXTENSIONS)


def runs(path: Path) -> bool:
    """Tell whether a program does: some servers' own do not (tools/servers.py)."""
    return (
        path.exists()
        and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
    )


def pg_regress(installation: Installation) -> Path:
    """Return where the server has the program that compares."""
    found = subprocess.run([installation.pg_config, "--pgxs"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(found.stdout.strip()).parents[1] / "test" / "regress" / "pg_regress"


def programs(installation: Installation) -> list[str]:
    """What make is to be told, so that it finds a psql and a pg_regress that run."""
    own = installation.bindir / "psql"
    psql = own if runs(own) else Path(program(installation))
    found = [f"EXTRA_REGRESS_OPTS=--bindir={psql.parent}"]
    if not runs(pg_regress(installation)):
        other = pg_regress(Installation.from_pg_config(embedded.pg_config()))
        found.append(f"pg_regress_installcheck={other} --bindir={psql.parent}")
    return found


def installcheck(
    server: Server, installation: Installation, built: Build, folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run it against a server, leaving its results in the folder."""
    folder.mkdir()
    source = built.library.parent
    connection = conninfo_to_dict(server.dsn())
    return subprocess.run(
        [
            *("make", "-C", folder, "-f", source / "Makefile", f"VPATH={source}", "installcheck"),
            f"PG_CONFIG={installation.pg_config}",
            *programs(installation),
            *arguments,
        ],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            **{f"PG{name.upper()}": str(connection[name]) for name in ("host", "port", "user")},
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_installcheck(
    fresh_server: FreshServer, installation: Installation, built: Build, tmp_path: Path
) -> None:
    server = fresh_server({"max_worker_processes": 16}, extension=built)
    done = installcheck(server, installation, built, tmp_path / "check")
    differences = tmp_path / "check" / "regression.diffs"
    shown = differences.read_text() if differences.exists() else ""
    assert done.returncode == 0, done.stdout + shown
    ran = {path.stem for path in (tmp_path / "check" / "results").glob("*.out")}
    assert ran == {path.stem for path in (PGXS / "test" / "sql").glob("*.sql")}


def test_installcheck_without_the_library(
    fresh_server: FreshServer, installation: Installation, built: Build, tmp_path: Path
) -> None:
    """It says what is missing."""
    server = fresh_server(extension=built)
    server.restart({"shared_preload_libraries": ""})
    done = installcheck(server, installation, built, tmp_path / "check", "REGRESS=preloaded")
    assert done.returncode != 0
    said = (tmp_path / "check" / "regression.diffs").read_text()
    assert "the library is in shared_preload_libraries" in said
    assert "\n+ f\n" in said


def test_tempcheck(tree: Path, built: Build, installation: Installation, open_tmp_path: Path) -> None:
    """On a server that it makes itself, which runs as the user who runs it: never as root."""
    if not runs(pg_regress(installation)):
        pytest.skip(f"this server's own program does not run: {pg_regress(installation)}")
    user = server_user(open_tmp_path)
    if not user.can_read(installation.pg_config) or not user.can_read(tree):
        pytest.skip(f"{user.name} can't read {installation.pg_config}")
    runtime = prepare(installation, built, user, store=open_tmp_path / "tempcheck-runtime")
    folder = open_tmp_path / "tempcheck"
    folder.mkdir()
    if not user.is_self:
        os.chown(folder, user.uid, user.gid)
    # From 18 on this leads the server to the library.
    configuration = open_tmp_path / "tempcheck.conf"
    configuration.write_text("".join(f"{name} = '{value}'\n" for name, value in runtime.settings.items()))
    configuration.chmod(0o644)
    done = user.run(
        [
            *("make", "-C", folder, "-f", tree / "Makefile", f"VPATH={tree}", "tempcheck"),
            f"PG_CONFIG={installation.pg_config}",
            f"EXTRA_REGRESS_OPTS=--bindir={runtime.installation.bindir} --temp-config={configuration}",
        ]
    )
    assert done.returncode == 0, done.stdout
    assert "preloaded" in done.stdout
