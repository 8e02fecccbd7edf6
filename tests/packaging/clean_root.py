"""A Debian with nothing on it but what it can't do without, to install packages in."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pg_background.server.lock import hold_lock
from pg_background.server.places import cache_directory
from tests.support.programs import program

#: As the machine's own has them.
_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")


class CleanRoot:
    """A folder that programs take for the root."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *command: str) -> str:
        """Run a program in it, and return what it printed."""
        done = subprocess.run(
            ["chroot", self.path, *command],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND": "noninteractive",
                "LC_ALL": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def files(self) -> set[str]:
        """All that is in it, but what only lists other things."""
        return {
            str(path.relative_to(self.path))
            for top in ("etc", "usr", "var/lib/postgresql", "opt", "lib")
            for path in (self.path / top).rglob("*")
        }


def make(folder: Path) -> CleanRoot:
    """Make one, which takes two minutes the first time: then it is unpacked."""
    bootstrap = program("debootstrap", package="debootstrap")
    if os.geteuid() != 0:
        pytest.skip("only root can enter another root")
    codename = next(
        line.partition("=")[2]
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("VERSION_CODENAME=")
    )
    packed = cache_directory() / f"root-{codename}.tar"
    with hold_lock(packed):
        if not packed.exists():
            new = folder.with_name("new")
            subprocess.run(
                [bootstrap, "--variant=minbase", codename, new], check=True, stdout=subprocess.DEVNULL
            )
            subprocess.run(["tar", "-C", new, "--one-file-system", "-cf", f"{packed}.new", "."], check=True)
            Path(f"{packed}.new").rename(packed)
            shutil.rmtree(new)
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "-xf", packed], check=True)
    shutil.copyfile("/etc/resolv.conf", folder / "etc" / "resolv.conf")
    if _SOURCES.exists():
        (folder / "etc" / "apt" / "sources.list").unlink(missing_ok=True)
        shutil.copyfile(_SOURCES, folder / "etc" / "apt" / "sources.list.d" / _SOURCES.name)
    # A package's scripts start no server of their own.
    policy = folder / "usr" / "sbin" / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    return CleanRoot(folder)
