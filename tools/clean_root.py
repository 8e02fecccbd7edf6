"""A Debian with nothing on it but what it can't do without, to install things in."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from pg_background.server.lock import hold_lock
from pg_background.server.places import cache_directory

#: As the machine's own has them.
_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
#: What the machine trusts, under a name that no package writes to.
_TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
_TRUSTED_INSIDE = "/etc/trusted-as-outside.crt"

PROGRAMS = {"debootstrap": "debootstrap", "unshare": "util-linux", "chroot": "coreutils"}

# Mounts and processes of its own: both are gone with the program, however it ends.
_ENTER = [
    *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
    *("sh", "-c"),
    'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec "$@"',
]


class NotHereError(Exception):
    """No such root can be made on this machine."""


class CleanRoot:
    """A folder that programs take for the root."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a program in it, and return what it printed; what it has started ends with it.

        Raises:
            AssertionError: it failed.
        """
        return self.beside("chroot", str(self.path), *command, environment=environment)

    def beside(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a program that enters it by itself, as `run` does one in it.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(
            [*_ENTER, self.path, *command],
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/root",
                "DEBIAN_FRONTEND": "noninteractive",
                "LC_ALL": "C.UTF-8",
                **({"PIP_CERT": _TRUSTED_INSIDE} if _TRUSTED.exists() else {}),
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def script(self, lines: str) -> str:
        """Run a script of the shell that stops at what fails, and return what it printed.

        Raises:
            AssertionError: it failed.
        """
        return self.run("bash", "-euo", "pipefail", "-c", lines)

    def update(self) -> None:
        """Let apt know what Debian's archive has.

        Raises:
            AssertionError: that can't be reached.
        """
        self.run("apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update")

    def files(self) -> set[str]:
        """All that is in it, but what only lists other things."""
        return {
            str(path.relative_to(self.path))
            for top in ("etc", "usr", "var/lib/postgresql", "opt", "lib")
            for path in (self.path / top).rglob("*")
        }


def codename() -> str:
    """Return the name of the machine's own release, which a root has too.

    Raises:
        NotHereError: it is not Debian.
    """
    said = dict(
        line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    if said.get("ID") != "debian":
        raise NotHereError("this is not Debian")
    return said["VERSION_CODENAME"]


def make(folder: Path) -> CleanRoot:
    """Make one, which takes two minutes the first time: then it is unpacked.

    Raises:
        NotHereError: this machine lacks a program, or the right.
    """
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise NotHereError(f"{program} is not installed: apt-get install {package}")
    if os.geteuid() != 0:
        raise NotHereError("only root can enter another root")
    with tarfile.open(_packed(folder.with_name(f"{folder.name}.new"))) as archive:
        archive.extractall(folder, filter="fully_trusted", numeric_owner=True)
    # As every container has them: the network's names, and where packages come from.
    for name in ("resolv.conf", "hosts"):
        shutil.copyfile(f"/etc/{name}", folder / "etc" / name)
    if _SOURCES.exists():
        (folder / "etc" / "apt" / "sources.list").unlink(missing_ok=True)
        shutil.copyfile(_SOURCES, folder / "etc" / "apt" / "sources.list.d" / _SOURCES.name)
    if _TRUSTED.exists():
        shutil.copyfile(_TRUSTED, folder / _TRUSTED_INSIDE.lstrip("/"))
    # A package's scripts start no server of their own.
    policy = folder / "usr" / "sbin" / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    return CleanRoot(folder)


def forget_machine(root: CleanRoot) -> None:
    """Take out what `make` took from the machine, for a root that leaves it."""
    for name in ("etc/resolv.conf", "etc/hosts", "usr/sbin/policy-rc.d", _TRUSTED_INSIDE.lstrip("/")):
        (root.path / name).unlink(missing_ok=True)


def _packed(new: Path) -> Path:
    """Return the archive of one, making it if need be in a folder that is not there yet."""
    release = codename()
    packed = cache_directory() / f"root-{release}.tar"
    with hold_lock(packed):
        if not packed.exists():
            subprocess.run(
                ["debootstrap", "--variant=minbase", release, new], check=True, stdout=subprocess.DEVNULL
            )
            subprocess.run(["tar", "-C", new, "--one-file-system", "-cf", f"{packed}.new", "."], check=True)
            Path(f"{packed}.new").rename(packed)
            shutil.rmtree(new)
    return packed
