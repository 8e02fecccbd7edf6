"""`install` and `uninstall` with something in the way: no room, no rights, a signal, another one of them."""

from __future__ import annotations

import errno
import os
import pwd
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from pg_background.cli.errors.failures import told
from pg_background.server import Build, Installation, InstallationError, NotWritableError, prebuilt
from pg_background.server.errors import ServerError
from pg_background.server.install import install, installed, plan, require_writable, uninstall
from pg_background.server.places import cache_directory

from ..support.fix_cli import Cli
from ..support.server import Server
from ..support.wheels import lay_out

Prepared = Callable[[Path], Installation]


@pytest.fixture
def prepared(tmp_path: Path, installation: Installation) -> Prepared:
    """Make a pg_config that tells of folders for extensions below this one, and else of the usual server."""

    def make(root: Path) -> Installation:
        lib, share = root / "lib", root / "share"
        for folder in (lib, share / "extension"):
            folder.mkdir(parents=True)
        (root / "pg_config").write_bytes(
            b"#!/bin/sh\n"
            b'here=$(dirname "$0")\n'
            b'case "$1" in\n'
            b'--pkglibdir) printf "%s\\n" "$here/lib" ;;\n'
            b'--sharedir) printf "%s\\n" "$here/share" ;;\n'
            b'*) exec "' + os.fsencode(installation.pg_config) + b'" "$@" ;;\n'
            b"esac\n"
        )
        (root / "pg_config").chmod(0o755)
        return replace(installation, pg_config=root / "pg_config", pkglibdir=lib, sharedir=share)

    return make


@pytest.fixture
def place(prepared: Prepared, tmp_path: Path) -> Installation:
    return prepared(tmp_path / "server")


@pytest.fixture
def compiled(
    tmp_path: Path, extension: Build, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package with a library that fits, so that nothing is built."""
    monkeypatch.setattr(prebuilt, "FOLDER", tmp_path / "_server")
    monkeypatch.setattr(Installation, "configure_options", lambda self: "'--with-icu'")
    lay_out(prebuilt.FOLDER, extension, installation)


def names(place: Installation) -> set[str]:
    return {
        path.name for folder in (place.pkglibdir, place.sharedir / "extension") for path in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "make it writable"),
        (errno.EIO, "look at this file"),
    ],
)
def test_a_disk_that_does_not_take_it(
    number: int,
    remedy: str,
    place: Installation,
    compiled: None,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another user would not get further. The message names the target, not what is copied."""

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = cli.inside("install", "--pg-config", place.pg_config)
    assert (done.code, done.output) == (1, "")
    library = place.pkglibdir / "pg_background.so"
    assert done.errors.startswith(f'error: can\'t write "{library}": {os.strerror(number)}\nhint: {remedy}')
    assert "sudo" not in done.errors
    assert names(place) == set()


def test_a_read_only_file_system(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(InstallationError, match="Read-only file system\nhint: make it writable") as caught:
        require_writable(place)
    assert not isinstance(caught.value, NotWritableError)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_leaves_no_half_of_a_file(
    number: signal.Signals,
    code: int,
    place: Installation,
    compiled: None,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(number))
    done = cli.inside("install", "--pg-config", place.pg_config)
    assert (done.code, done.output) == (code, "")
    assert names(place) == set()
    monkeypatch.setattr(os, "fsync", lambda _: None)
    assert cli.inside("install", "--pg-config", place.pg_config).code == 0


def test_what_a_killed_installation_left(place: Installation, compiled: None, cli: Cli) -> None:
    halves = [
        place.pkglibdir / ".pg_background.so.0123abcd",
        place.sharedir / "extension" / ".pg_background_cluster--3.0.sql.0123abcd",
    ]
    for half in halves:
        half.touch()
    done = cli.inside("install", "--pg-config", place.pg_config)
    assert [line for line in done.output.splitlines() if "removed" in line] == [
        f"{half} (removed)" for half in halves
    ]
    assert not [name for name in names(place) if name.startswith(".")]


def test_several_at_once(place: Installation, extension: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """None takes away what another is about to rename or remove."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    bitcode = place.pkglibdir / "bitcode"
    bitcode.mkdir()
    failures: list[BaseException] = []
    for _ in range(30):
        for number in range(20):
            (bitcode / f"pg_background{number}.bc").touch()
        (place.pkglibdir / ".pg_background.so.0123abcd").touch()
        start = threading.Barrier(4)

        def run(what: Callable[[], object], start: threading.Barrier = start) -> None:
            start.wait()
            try:
                what()
            except BaseException as error:
                failures.append(error)

        threads = [
            *(threading.Thread(target=run, args=[lambda: install(place, extension)]) for _ in range(2)),
            *(
                threading.Thread(target=run, args=[lambda: uninstall(place, installed(place))])
                for _ in range(2)
            ),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    install(place, extension)
    assert not plan(place, extension)
    assert names(place) - {"bitcode"} == {path.name for path in extension.files}


def test_a_folder_that_can_not_be_read(
    place: Installation, compiled: None, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not look as if nothing were installed."""
    (place.pkglibdir / "pg_background.so").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def refuse(path: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    for command in (["install", "--dry-run"], ["uninstall", "--dry-run"], ["uninstall"]):
        done = cli.inside(*command, "--pg-config", place.pg_config)
        assert (done.code, done.output) == (1, "")
        assert done.errors.startswith("error: can't read \"")
        assert "\nhint: sudo " in done.errors


def test_a_new_folder_is_for_all(place: Installation, extension: Build) -> None:
    """Root's umask may keep others out, and the server is another user."""
    folder = place.sharedir / "extension"
    folder.rmdir()
    before = os.umask(0o077)
    try:
        install(place, extension)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in folder.iterdir())


def test_the_hint_does_what_was_asked_for(
    place: Installation, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["/opt/tools/pg_background/__main__.py"])
    monkeypatch.setattr("sys.executable", "/opt/tools/python")
    done = cli.inside("install", "--pg-config", place.pg_config, "--build")
    assert done.errors.endswith(
        f"hint: sudo /opt/tools/python -m pg_background install --pg-config {place.pg_config} --build\n"
    )


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number."""

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "PG_BACKGROUND_CACHE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ServerError, match="the user 12345 has no home directory\nhint: set HOME"):
        cache_directory()


def test_a_folder_for_a_pg_config(place: Installation, cli: Cli, tmp_path: Path) -> None:
    for given, hint in (
        (place.pkglibdir.parent, f"name {place.pg_config}"),
        (tmp_path, "give the path"),
    ):
        done = cli.inside("install", "--pg-config", given)
        assert done.errors.startswith(f'error: "{given}" is a folder, not a pg_config\nhint: {hint}')


def test_a_home_that_the_shell_has_not_filled_in(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place.pg_config.parent))
    assert Installation.from_pg_config("~/pg_config").pg_config == place.pg_config


def test_odd_names(prepared: Prepared, compiled: None, cli: Cli, tmp_path: Path) -> None:
    """A path's bytes need not be text."""
    place = prepared(Path(os.fsdecode(os.fsencode(tmp_path) + b"/it's $HOME %s \xe9")))
    done = cli.inside("install", "--pg-config", place.pg_config)
    assert done.code == 0, done.errors
    assert "/lib/pg_background.so\n" in done.output
    assert (place.pkglibdir / "pg_background.so").exists()
    assert cli.inside("uninstall", "--pg-config", place.pg_config).code == 0
    assert names(place) == set()


def test_in_place_builds_nothing(place: Installation, cli: Cli) -> None:
    done = cli.inside("install", "--pg-config", place.pg_config, "--in-place", "--build")
    assert done.code == 2
    assert "--in-place uses the compiled library" in done.errors


def test_the_pg_config_of_another_server(
    place: Installation, compiled: None, cli: Cli, server: Server
) -> None:
    """The setting that is printed would be for the one, and the files go to the other."""
    done = cli.inside("install", "--pg-config", place.pg_config, "--dry-run", "--dbname", server.dsn())
    runs_from = server.cluster.runtime.installation.pkglibdir
    said = (
        "look whether this is the right pg_config: the server that you named is PostgreSQL "
        f'{place.version}, with its libraries in "{runs_from}"; this one is of PostgreSQL {place.version}, '
        f'with "{place.pkglibdir}"\n'
    )
    assert said in done.errors
    # The same folder by another name, as Debian and others have them.
    place.pkglibdir.rmdir()
    place.pkglibdir.symlink_to(runs_from)
    done = cli.inside("install", "--pg-config", place.pg_config, "--dry-run", "--dbname", server.dsn())
    assert done.code == 0
    assert "right pg_config" not in done.errors


def test_a_newer_version_is_there(place: Installation, compiled: None, cli: Cli) -> None:
    """As when an old virtual environment is used again."""
    control = place.sharedir / "extension" / "pg_background.control"
    for version, is_told in (("3.10", True), ("2.0", False), ("1.8", False)):
        control.write_text(f"comment = 'x'\ndefault_version = '{version}'\n")
        for words in (["--dry-run"], []):
            done = cli.inside("install", "--pg-config", place.pg_config, *words)
            assert done.code == 0, done.errors
            assert (f"the files of version {version} were there" in done.errors) == is_told
    assert "were there" not in cli.inside("install", "--pg-config", place.pg_config).errors


def test_a_file_that_is_not_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    """What nothing else explains names its file, and is not taken for a full pipe."""
    for error, text in (
        (PermissionError(errno.EACCES, "Permission denied", "/srv/x"), 'use "/srv/x": Permission denied'),
        (OSError(errno.ENOSPC, "No space left on device"), "write the output: No space left on device"),
    ):
        with pytest.raises(typer.Exit) as caught, told():
            raise error
        assert caught.value.exit_code == 1
        assert capsys.readouterr().err == f"error: can't {text}\n"
