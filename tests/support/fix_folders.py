"""Folders that every operating-system user can enter, with paths short enough for sockets."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

_run_key = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    # Where several processes run the tests, each but the first is told.
    told = getattr(config, "workerinput", None)
    config.stash[_run_key] = Path(told["run_folder"]) if told else _make_folder()
    if not told:
        config.add_cleanup(lambda: shutil.rmtree(config.stash[_run_key]))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run_folder"] = str(node.config.stash[_run_key])


def _make_folder(parent: str = "/tmp") -> Path:
    path = Path(tempfile.mkdtemp(prefix="pgbg-", dir=parent))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def open_tmp_path(request: pytest.FixtureRequest) -> Path:
    """A folder of this test process."""
    return _make_folder(str(request.config.stash[_run_key]))


@pytest.fixture(scope="session")
def cache(request: pytest.FixtureRequest) -> Path:
    """Where programs that are tested keep their builds: one for all test processes, so that few build."""
    return request.config.stash[_run_key] / "cache"
