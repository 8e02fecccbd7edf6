"""Programs of the operating system that packages are made with."""

from __future__ import annotations

import os
import shutil
import subprocess


def require(programs: dict[str, str]) -> None:
    """Install what is missing, as root, where there is apt.

    Args:
        programs: with the package of Debian's that each is in.

    Raises:
        SystemExit: something is still missing; it says what.
    """
    if _missing(programs) and os.geteuid() == 0 and shutil.which("apt-get"):
        packages = sorted(set(_missing(programs).values()))
        print(f"installing: {' '.join(packages)}", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "-qq", "update"],
            ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *packages],
        ):
            subprocess.run(command, env=environment, check=False)
    if missing := _missing(programs):
        named = ", ".join(f"{program} (Debian: {package})" for program, package in missing.items())
        raise SystemExit(f"error: missing: {named}")


def _missing(programs: dict[str, str]) -> dict[str, str]:
    return {program: package for program, package in programs.items() if shutil.which(program) is None}
