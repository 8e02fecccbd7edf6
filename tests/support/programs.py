"""Programs of the operating system that some tests need, and others do without."""

from __future__ import annotations

import shutil

import pytest


def program(name: str, *, package: str) -> str:
    """Return its path; without it the test is skipped.

    Args:
        package: of Debian, that has it.
    """
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found
