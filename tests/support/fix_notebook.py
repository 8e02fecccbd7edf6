"""An IPython shell, in which tests run cells."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .fix_client import Place


class Notebook:
    """Runs cells."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def run(self, code: str) -> Any:
        """Return what the cell has as its value."""
        done = self.shell.run_cell(code)
        done.raise_error()
        return done.result

    def fail(self, code: str) -> str:
        """Return what a cell says that fails."""
        from IPython.utils.capture import capture_output

        with capture_output() as captured:
            done = self.shell.run_cell(code)
        assert done.error_in_exec is not None
        return str(captured.stderr + captured.stdout)

    def plain(self, value: object) -> str:
        """Return how a value is printed."""
        return str(self.shell.display_formatter.format(value)[0]["text/plain"])


@pytest.fixture(scope="session")
def ipython_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The process's shell: IPython is made for one."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    hooks = sys.displayhook, sys.excepthook
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        config = Config({"HistoryManager": {"enabled": False}})
        yield InteractiveShell.instance(config=config)
    InteractiveShell.clear_instance()
    sys.displayhook, sys.excepthook = hooks


@pytest.fixture
def notebook(
    ipython_shell: Any, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Notebook]:
    """The shell with the extension loaded, and `dsn` among its variables."""
    monkeypatch.setenv("PG_BACKGROUND_DSN", place.dsn())
    ipython_shell.reset(new_session=False)
    ipython_shell.push({"dsn": place.dsn()})
    made = Notebook(ipython_shell)
    made.run("%load_ext pg_background")
    yield made
    made.run("%unload_ext pg_background")
