"""Compiled libraries of a wheel: which servers they are for, and what is said of the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pg_background.server import (
    Build,
    BuildError,
    Installation,
    InstallationError,
    building,
    obtain,
    prebuilt,
)
from pg_background.server.abi import Abi
from pg_background.server.elf import Elf, NotReadableError

from ..support.fix_cli import Cli
from ..support.wheels import lay_out

Patched = Callable[[bytes, bytes], Installation]

MACHINE_X86_64, MACHINE_AARCH64 = b"\x3e\x00", b"\xb7\x00"


@pytest.fixture
def library(
    tmp_path: Path, extension: Build, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The library of a package that has one."""
    monkeypatch.setattr(prebuilt, "FOLDER", tmp_path / "_server")
    return lay_out(prebuilt.FOLDER, extension, installation)


@pytest.fixture
def usual(library: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The PostgreSQL to test on, as if it had been built as usual."""
    monkeypatch.setattr(Installation, "configure_options", lambda self: "'--with-icu'")
    return installation


@pytest.fixture
def patched(usual: Installation, tmp_path: Path) -> Patched:
    """The server with other bytes in its program, or another program altogether."""

    def make(old: bytes, new: bytes) -> Installation:
        folder = tmp_path / "bin"
        folder.mkdir()
        data = usual.program("postgres").read_bytes()
        assert old in data
        (folder / "postgres").write_bytes(data.replace(old, new))
        return replace(usual, bindir=folder)

    return make


def abi_block(installation: Installation, name_length: int = 64, name: bytes = b"PostgreSQL") -> bytes:
    """Return the values as a server has them."""
    numbers = (installation.major * 100, 100, 32, name_length, 1)
    block = b"".join(number.to_bytes(4, "little") for number in numbers)
    return block + (name.ljust(32, b"\0") if installation.major > 14 else b"")


def test_fits(usual: Installation, library: Path, extension: Build) -> None:
    assert prebuilt.misfit(usual) is None
    found = obtain(usual)
    assert found.library == library
    assert found.digest() == extension.digest()


def test_needs_no_tools(usual: Installation, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/such/folder")
    assert obtain(usual).library == library


def test_built_if_asked_for(usual: Installation, library: Path) -> None:
    assert obtain(usual, anew=True).library.parent == building.default_folder(usual)


def test_without_libraries_it_is_built(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prebuilt, "FOLDER", Path("/no/such/folder"))
    assert prebuilt.misfit(installation) == "this package has no compiled libraries"
    assert obtain(installation).library.parent == building.default_folder(installation)


def test_other_major_version(usual: Installation, library: Path) -> None:
    library.parent.rename(library.parents[1] / "13")
    assert prebuilt.misfit(usual) == f"this package has none for PostgreSQL {usual.major}"


def test_other_machine(patched: Patched, usual: Installation) -> None:
    head = usual.program("postgres").read_bytes()[:18]
    assert Elf.read(usual.program("postgres")).machine == "x86_64"
    other = patched(head + MACHINE_X86_64, head + MACHINE_AARCH64)
    assert prebuilt.misfit(other) == "the server is for aarch64, the library for x86_64"


def test_other_c_library(patched: Patched, usual: Installation) -> None:
    loader = (Elf.read(usual.program("postgres")).interpreter or "").encode()
    other = patched(loader, b"/lib/ld-musl-x86_64.so.1".ljust(len(loader), b"\0"))
    assert prebuilt.misfit(other) == (
        'the server uses another C library than glibc: it is loaded by "ld-musl-x86_64.so.1"'
    )


def test_older_glibc(usual: Installation, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.9")
    needed = ".".join(map(str, Elf.read(library).glibc))
    assert prebuilt.misfit(usual) == f"glibc is 2.9, the library needs {needed}"


def test_server_that_lacks_a_function(usual: Installation, library: Path) -> None:
    name = b"AbortCurrentTransaction\0"
    data = library.read_bytes()
    assert name in data
    library.write_bytes(data.replace(name, b"AbortCurrentTransactiox\0"))
    assert prebuilt.misfit(usual) == (
        "the server has no AbortCurrentTransactiox(): it may be too old a release"
    )


@pytest.mark.pg(">= 15")
def test_abi_of_another_product(patched: Patched, usual: Installation) -> None:
    other = patched(abi_block(usual), abi_block(usual, name=b"EDB Advanced Server"))
    assert prebuilt.misfit(other) == (
        'it is another product: its ABI is "EDB Advanced Server", not "PostgreSQL"'
    )


def test_another_product(patched: Patched) -> None:
    """As on 14, where the ABI has no name."""
    other = patched(b"postgres (PostgreSQL) ", b"postgres (Enterprise) ")
    assert prebuilt.misfit(other) == "the server is another product, Enterprise"


def test_longer_names(patched: Patched, usual: Installation) -> None:
    other = patched(abi_block(usual), abi_block(usual, name_length=128))
    assert prebuilt.misfit(other) == "its names have room for 128 bytes, not 64"


@pytest.mark.parametrize("option", ["--enable-cassert", "--with-blocksize=16", "-Dcassert=true"])
def test_built_otherwise(
    option: str, usual: Installation, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Installation, "configure_options", lambda self: f"'--with-icu' '{option}'")
    assert (prebuilt.misfit(usual) or "").startswith("the server was built with -")


def test_not_a_program(usual: Installation, tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("#!/bin/sh\n")
    found = prebuilt.misfit(replace(usual, bindir=tmp_path))
    assert found
    assert "it can't be seen whether it does" in found


def test_damaged(usual: Installation, library: Path) -> None:
    library.write_bytes(library.read_bytes()[:100])
    assert "is damaged" in (prebuilt.misfit(usual) or "")
    with pytest.raises(NotReadableError):
        Elf.read(library)


def test_says_both_why_none_fits_and_why_none_is_built(
    patched: Patched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = patched(b"postgres (PostgreSQL) ", b"postgres (Enterprise) ")
    monkeypatch.setenv("PATH", "/no/such/folder")
    monkeypatch.setenv("PG_BACKGROUND_CACHE", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BuildError, match=r"another product, Enterprise; and none .*no C compiler\nhint: "):
        obtain(other)


def test_values_that_only_look_like_an_abi(usual: Installation, tmp_path: Path) -> None:
    version = (usual.major * 100).to_bytes(4, "little")
    path = tmp_path / "bytes"
    path.write_bytes(version * 40 + b"\xff" * 60 + version)
    assert Abi.found_in(path, usual.major) == frozenset()


@pytest.mark.pg(">= 18")
def test_in_place(cli: Cli, usual: Installation, library: Path) -> None:
    # pytest keeps its folders to itself
    for path in (prebuilt.FOLDER, *prebuilt.FOLDER.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    shown = cli.inside("install", "--pg-config", usual.pg_config, "--in-place")
    assert shown.output.splitlines() == [
        f"extension_control_path = '{prebuilt.FOLDER}/share:$system'",
        f"dynamic_library_path = '{library.parent}:$libdir'",
    ]
    prebuilt.FOLDER.chmod(0o700)
    with pytest.raises(InstallationError, match="other users, as the server's, can't enter"):
        prebuilt.require_in_place(usual)


@pytest.mark.pg("< 18")
def test_not_in_place(usual: Installation) -> None:
    with pytest.raises(InstallationError, match="finds extensions in its own folders only"):
        prebuilt.require_in_place(usual)


def test_unusual_servers_are_told_from_what_they_say(installation: Installation, library: Path) -> None:
    """The servers that tests run on: one that checks its assertions is not for libraries of others."""
    found = prebuilt.misfit(installation)
    if "--enable-cassert" in installation.configure_options():
        assert found == "the server was built with --enable-cassert"
    else:
        assert found is None
