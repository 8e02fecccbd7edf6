"""What must be on a machine before the extension can be built.

Also runs by itself, without the package and on any Python 3, before the first `.venv` exists:
`python3 toolchain.py`.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

OLDEST_PYTHON = (3, 11)


class Missing(NamedTuple):
    """A part that is not there."""

    #: a sentence without a full stop
    what: str
    #: how to get it
    hint: str


def c_compiler() -> str | None:
    """Return the C compiler that a build would use, `CC` first, or None."""
    names = (os.environ.get("CC", "").split() or [""])[0], "cc", "gcc", "clang"
    return next((name for name in names if name and shutil.which(name)), None)


def python_header() -> Path:
    """Return where `Python.h` of the running interpreter should be."""
    return Path(sysconfig.get_path("include")) / "Python.h"


def missing_for_building() -> list[Missing]:
    """List what compiling Cython needs and this machine lacks."""
    missing = []
    if c_compiler() is None:
        missing.append(
            Missing(
                "there is no C compiler",
                "on Debian and Ubuntu: apt install gcc libc6-dev; on Fedora: dnf install gcc",
            )
        )
    if not python_header().exists():
        missing.append(
            Missing(
                f'there are no Python headers: "{python_header()}" is missing',
                "on Debian and Ubuntu: apt install python3-dev; on Fedora: dnf install python3-devel",
            )
        )
    return missing


def missing_for_venv() -> list[Missing]:
    """List what a virtual environment needs and this Python lacks."""
    if sys.version_info < OLDEST_PYTHON:
        version = ".".join(map(str, sys.version_info[:3]))
        return [
            Missing(
                f"Python {version} is too old",
                "use Python {}.{} or newer: make PYTHON=/path/to/python3".format(*OLDEST_PYTHON),
            )
        ]
    # Debian ships the venv module in the base package but not what it needs to install pip.
    if find_spec("venv") is None or find_spec("ensurepip") is None:
        return [
            Missing(
                "this Python can't make virtual environments",
                "on Debian and Ubuntu: apt install python3-venv",
            )
        ]
    return []


if __name__ == "__main__":
    problems = missing_for_venv() + missing_for_building()
    for problem in problems:
        sys.stderr.write(f"error: {problem.what}\nhint: {problem.hint}\n")
    sys.exit(1 if problems else 0)
