"""What the tests of source releases and packages share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import source_release
from tools.release_tree import lay_out


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source release, as tar and as zip."""
    return source_release.make(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def tree(open_tmp_path: Path) -> Path:
    """What is in it, but for the documents; nothing is built there."""
    return lay_out(open_tmp_path / "tree", documents=False)
