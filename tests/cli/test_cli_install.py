"""`pg-background install`: into a copy of the session's PostgreSQL, as if somebody had installed that."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from pg_background import cli as command_line
from pg_background.server import (
    Build,
    Cluster,
    Installation,
    InstallationError,
    NotWritableError,
    Runtime,
)
from pg_background.server.install import install, plan, require_writable
from pg_background.server.ports import any_free
from pg_background.server.runtime import bundled_libraries, copy_tree

from ..support.fix_cli import Cli
from ..support.fix_server import FreshServer
from ..support.server import Server

SCRIPT = "pg_background--3.0.sql"


@pytest.fixture(scope="module")
def private(installation: Installation, open_tmp_path: Path) -> Installation:
    """A PostgreSQL of the tests' own, which has no pg_background; built for only once."""
    parts = [
        installation.bindir,
        installation.sharedir,
        installation.pkglibdir,
        installation.includedir_server,
        *bundled_libraries(installation),
    ]
    base = Path(os.path.commonpath(parts))
    root = open_tmp_path / "private"
    for part in parts:
        copy_tree(part, root / part.relative_to(base), without=("bitcode", "locale", "pg_background*"))
    return Installation.from_pg_config(root / installation.bindir.relative_to(base) / "pg_config")


@pytest.fixture
def bare(private: Installation) -> Installation:
    """The same with pg_background taken out of it again."""
    for folder in (private.pkglibdir, private.sharedir / "extension"):
        for path in folder.glob("pg_background*"):
            path.unlink()
    return private


def test_uninstalled(cli: Cli, bare: Installation) -> None:
    installed = cli("install", "--pg-config", bare.pg_config).stdout.splitlines()
    (bare.pkglibdir / "bitcode").mkdir(exist_ok=True)
    old = bare.pkglibdir / "bitcode" / "pg_background.index.bc"
    old.touch()
    script = bare.sharedir / "extension" / "pg_background--1.8.sql"
    script.touch()
    halves = [
        bare.pkglibdir / ".pg_background.so.0123abcd",
        bare.sharedir / "extension" / ".pg_background--3.0.sql.0123abcd",
    ]
    for half in halves:
        half.touch()
    files = sorted([*installed, str(old), str(script), *map(str, halves)])
    kept = bare.sharedir / "extension" / "pg_background_other.control"
    kept.touch()
    shown = cli("uninstall", "--pg-config", bare.pg_config, "--dry-run")
    assert (shown.returncode, sorted(shown.stdout.splitlines())) == (0, files)
    assert "nothing was changed" in shown.stderr
    done = cli("uninstall", "--pg-config", bare.pg_config)
    assert (done.returncode, sorted(done.stdout.splitlines())) == (0, files)
    for word in (
        "DROP EXTENSION IF EXISTS pg_background_cluster, pg_background;",
        "shared_preload_libraries",
    ):
        assert word in done.stderr
    assert [file for file in files if Path(file).exists()] == []
    assert kept.exists()
    again = cli("uninstall", "--pg-config", bare.pg_config)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "it is not installed\n")


def test_installed_and_used(cli: Cli, bare: Installation, data: Path) -> None:
    done = cli("install", "--pg-config", bare.pg_config)
    assert done.returncode == 0, done.stderr
    extensions = bare.sharedir / "extension"
    library = bare.pkglibdir / "pg_background.so"
    assert done.stdout.splitlines() == [
        str(library),
        *map(str, sorted(extensions.glob("pg_background--*.sql"))),
        str(extensions / "pg_background_cluster--3.0.sql"),
        str(extensions / "pg_background.control"),
        str(extensions / "pg_background_cluster.control"),
    ]
    assert (extensions / SCRIPT).exists()
    steps = (
        "shared_preload_libraries",
        "restart",
        "CREATE EXTENSION pg_background SCHEMA background",
        "doctor",
    )
    for word in steps:
        assert word in done.stderr
    assert stat.S_IMODE(library.stat().st_mode) == 0o755
    assert stat.S_IMODE((extensions / SCRIPT).stat().st_mode) == 0o644

    again = cli("install", PG_BACKGROUND_PG_CONFIG=str(bare.pg_config))
    assert (again.returncode, again.stdout) == (0, "")
    assert "it is installed already" in again.stderr

    cluster = Cluster(data)
    cluster.provide(Runtime(bare))
    cluster.init(sync=False)
    cluster.start(port=any_free(), settings={"fsync": "off"})
    cluster.create_extension()
    with psycopg.connect(cluster.socket_dsn(), autocommit=True) as conn:
        handle = conn.execute("SELECT * FROM pg_background_launch('SELECT 42')").fetchone()
        assert handle is not None
        answer = conn.execute("SELECT * FROM pg_background_result(%s, %s) AS (n int)", handle).fetchone()
        assert answer == (42,)


def test_the_steps_can_be_pasted(cli: Cli, bare: Installation, fresh_server: FreshServer) -> None:
    """Into psql, as they are printed."""
    fresh = fresh_server()
    said = cli("install", "--pg-config", bare.pg_config, "--dry-run", PG_BACKGROUND_DSN=fresh.dsn()).stderr
    lines = [line.strip() for line in said.splitlines() if line.startswith("     ") and line.endswith(";")]
    assert [line.split()[0] for line in lines] == ["CREATE", "CREATE", "GRANT"]
    with fresh.connect() as conn:
        conn.execute("DROP EXTENSION IF EXISTS pg_background")
        conn.execute("\n".join(lines).encode())
        found = conn.execute(
            "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace "
            "WHERE extname = 'pg_background'"
        ).fetchone()
        assert found == ("background",)


def test_dry_run_changes_nothing(cli: Cli, bare: Installation) -> None:
    done = cli("install", "--pg-config", bare.pg_config, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert str(bare.pkglibdir / "pg_background.so") in done.stdout.splitlines()
    assert "nothing was changed" in done.stderr
    assert not (bare.pkglibdir / "pg_background.so").exists()


def test_only_what_differs(bare: Installation, extension: Build) -> None:
    assert len(install(bare, extension).copies) == len(extension.files)
    target = bare.sharedir / "extension" / SCRIPT
    target.write_text("-- somebody changed it\n")
    assert [path for _, path in plan(bare, extension).copies] == [target]
    assert [path for _, path in install(bare, extension).copies] == [target]
    assert not plan(bare, extension)


def test_a_file_that_the_server_can_not_read(bare: Installation, extension: Build) -> None:
    install(bare, extension)
    target = bare.sharedir / "extension" / SCRIPT
    target.chmod(0o600)
    assert [path for _, path in install(bare, extension).copies] == [target]
    assert target.stat().st_mode & 0o777 == 0o644


def test_cut_short(bare: Installation, extension: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """No control file leads to scripts, nor a script to a library, that are not there yet."""
    names = {path.name for path in extension.files}
    folder = bare.sharedir / "extension"
    bitcode = bare.pkglibdir / "bitcode" / "pg_background.index.bc"
    bitcode.parent.mkdir(exist_ok=True)
    bitcode.touch()
    copied: list[str] = []
    room = 0

    def copy(source: Path, target: Path) -> None:
        there = {path.name for place in (bare.pkglibdir, folder) for path in place.glob("pg_background*")}
        assert not bitcode.exists()
        assert there == set(copied)
        if copied and copied[-1].endswith(".control"):
            assert {name for name in names if not name.endswith(".control")} <= there
        if copied:
            assert copied[0] == "pg_background.so"
        if len(copied) == room:
            raise InstallationError("no space left")
        copied.append(target.name)
        target.write_bytes(source.read_bytes())

    for fitting in range(len(names)):
        room = fitting
        for place in (bare.pkglibdir, folder):
            for path in place.glob("pg_background*"):
                path.unlink()
        bitcode.touch()
        copied.clear()
        monkeypatch.setattr("pg_background.server.install._copy", copy)
        with pytest.raises(InstallationError, match="no space left"):
            install(bare, extension)
        monkeypatch.undo()
    assert install(bare, extension)
    assert not plan(bare, extension)


def test_a_running_server_keeps_its_library(bare: Installation, extension: Build) -> None:
    """To write into a file that is mapped crashes who runs it: it is replaced, not overwritten."""
    library = bare.pkglibdir / "pg_background.so"
    library.write_bytes(b"old")
    with library.open("rb") as running:
        install(bare, extension)
        assert running.read() == b"old"
    assert library.read_bytes() == extension.library.read_bytes()
    assert not list(bare.pkglibdir.glob(".pg_background*"))


def test_what_the_c_extension_left_for_the_jit_compiler(bare: Installation, extension: Build) -> None:
    bitcode = bare.pkglibdir / "bitcode"
    (bitcode / "pg_background").mkdir(parents=True)
    (bitcode / "pg_background" / "pg_background.bc").touch()
    (bitcode / "pg_background.index.bc").touch()
    (bitcode / "dblink.index.bc").touch()
    install(bare, extension)
    assert [path.name for path in bitcode.iterdir()] == ["dblink.index.bc"]


def test_scripts_of_other_versions_stay(bare: Installation, extension: Build) -> None:
    old = bare.sharedir / "extension" / "pg_background--1.8.sql"
    old.touch()
    install(bare, extension)
    assert old.exists()


def test_the_setting_of_a_server_that_runs(cli: Cli, bare: Installation, server: Server) -> None:
    """Named as for psql; what was changed since it started counts."""
    done = cli("install", "--pg-config", bare.pg_config, "--dry-run", "--dbname", server.dsn())
    assert "shared_preload_libraries" not in done.stderr
    with server.connect() as conn:
        conn.execute(b"ALTER SYSTEM SET shared_preload_libraries = 'Odd one', auto_explain, citus")
        try:
            done = cli("install", "--pg-config", bare.pg_config, "--dry-run", PG_BACKGROUND_DSN=server.dsn())
            assert done.returncode == 0, done.stderr
            statement = (
                "ALTER SYSTEM SET shared_preload_libraries = citus, 'Odd one', auto_explain, pg_background"
            )
            assert f"     {statement};\n" in done.stderr
            assert "shared_preload_libraries = 'citus, Odd one, auto_explain, pg_background'\n" in done.stderr
            # It is taken as it is printed, and then there is nothing left to be set.
            conn.execute(statement.encode())
            done = cli("install", "--pg-config", bare.pg_config, "--dry-run", PG_BACKGROUND_DSN=server.dsn())
            assert "ALTER SYSTEM" not in done.stderr
            assert "restart the server" in done.stderr
        finally:
            conn.execute("ALTER SYSTEM RESET shared_preload_libraries")


def test_the_setting_on_the_command_line(cli: Cli, bare: Installation, fresh_server: FreshServer) -> None:
    """It wins over what ALTER SYSTEM would set. PL/pgSQL is a library that every server has."""
    fresh = fresh_server()
    option = "-c shared_preload_libraries=plpgsql"
    pg_ctl = fresh.cluster.runtime.installation.program("pg_ctl")
    done = fresh.cluster.os_user.run(
        [pg_ctl, "restart", "-D", fresh.cluster.path, "-l", fresh.cluster.log_path, "-w", "-o", option]
    )
    assert done.returncode == 0, done.stdout
    said = cli("install", "--pg-config", bare.pg_config, "--dry-run", PG_BACKGROUND_DSN=fresh.dsn()).stderr
    assert "-c 'shared_preload_libraries=plpgsql, pg_background' on the server's command line" in said
    assert "ALTER SYSTEM" not in said
    fix = cli("doctor", fresh.dsn()).stdout
    assert "-c 'shared_preload_libraries=plpgsql, pg_background' on the server's command line" in fix


def test_the_setting_in_a_data_directory(
    cli: Cli, bare: Installation, server: Server, open_tmp_path: Path
) -> None:
    """Whether its server runs or not; only its configuration has to be there."""
    data = open_tmp_path / "configuration"
    data.mkdir()
    (data / "postgresql.conf").write_text("include 'libraries.conf'\n")
    (data / "libraries.conf").write_text("shared_preload_libraries = 'pg_stat_statements'\n")
    expected = "ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements, pg_background;\n"
    given: list[tuple[list[str], dict[str, str]]] = [(["--data", str(data)], {}), ([], {"PGDATA": str(data)})]
    for words, environment in given:
        done = cli("install", "--pg-config", bare.pg_config, "--dry-run", *words, **environment)
        assert (done.returncode, expected in done.stderr) == (0, True), done.stderr
    done = cli("install", "--pg-config", bare.pg_config, "--dry-run", "--data", server.cluster.path)
    assert "shared_preload_libraries" not in done.stderr


def test_a_server_that_can_not_be_asked(cli: Cli, bare: Installation, open_tmp_path: Path) -> None:
    """The extension is installed all the same."""
    for words, problem in (
        (["--host", str(open_tmp_path)], "can't ask the server what it preloads: can't connect: "),
        (["--data", str(open_tmp_path)], "can't see what the server preloads: "),
    ):
        done = cli("install", "--pg-config", bare.pg_config, *words)
        assert done.returncode == 0, done.stderr
        assert problem in done.stderr
        assert "ALTER SYSTEM SET shared_preload_libraries = …, pg_background;\n" in done.stderr


def test_not_writable(bare: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(
        NotWritableError, match=rf"can't write to \"{bare.pkglibdir}\": Permission denied\nhint: "
    ):
        require_writable(bare)


def test_not_writable_has_a_command_that_is(
    bare: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(
        "sys.argv", ["/opt/tools/pg-background", "install", "--pg-config", str(bare.pg_config)]
    )
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    assert caught.value.code == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.endswith(f"hint: sudo /opt/tools/pg-background install --pg-config {bare.pg_config}\n")


def test_no_such_pg_config(cli: Cli) -> None:
    assert_clear_error(cli("install", "--pg-config", "/no/such/pg_config"), 'no program "/no/such/pg_config"')


def test_no_server_headers(cli: Cli, bare: Installation, tmp_path: Path) -> None:
    wrapper = tmp_path / "pg_config"
    wrapper.write_text(
        "#!/bin/sh\n"
        '[ "$1" != --includedir-server ] || { echo /no/such/folder; exit; }\n'
        f'exec "{bare.pg_config}" "$@"\n'
    )
    wrapper.chmod(0o755)
    done = cli("install", "--pg-config", wrapper)
    assert_clear_error(done, f"apt install postgresql-server-dev-{bare.major}")


def assert_clear_error(done: subprocess.CompletedProcess[str], text: str) -> None:
    """Check that a command failed with one message, not with a traceback, and printed no result."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
