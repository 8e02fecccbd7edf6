"""A real notebook: cells that a Jupyter kernel of its own runs, and the page that Jupyter makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .waiting import wait_until


class KernelNotebook:
    """Cells that are run one after the other; as in Jupyter, outputs of earlier ones may change meanwhile."""

    def __init__(self, client: Any, formats: Any, cells: Sequence[str]) -> None:
        self.cells = [formats.new_code_cell(code) for code in cells]
        # Beside the notebook's own, whose outputs can't change any more once they run again.
        self._pass = formats.new_code_cell("pass")
        self._formats = formats
        self._client = client
        client.nb.cells = [*self.cells, self._pass]

    def run(self) -> None:
        """Run all cells; one that fails fails the test."""
        for index, cell in enumerate(self.cells):
            self._client.execute_cell(cell, index)

    def wait_for(self, index: int, text: str) -> None:
        """Wait until the output of a cell has a text; outputs arrive while the kernel does something."""

        def is_shown() -> bool:
            self._client.execute_cell(self._pass, len(self.cells), store_history=False)
            return text in self.shown(index)

        wait_until(is_shown, what=f"cell {index} shows {text!r}")

    def shown(self, index: int) -> str:
        """Return the HTML of a cell's outputs."""
        return "".join(output.get("data", {}).get("text/html", "") for output in self.cells[index].outputs)

    def as_page(self) -> str:
        """Return the notebook as `jupyter nbconvert --to html` makes it."""
        import nbconvert

        untyped: Any = nbconvert
        page, _ = untyped.HTMLExporter().from_notebook_node(self._formats.new_notebook(cells=self.cells))
        return str(page)


@contextmanager
def jupyter_folders(folder: Path, **variables: str) -> Iterator[None]:
    """Have Jupyter and IPython keep what is theirs in this folder, and set environment variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(folder))
        # Without it Jupyter warns that it will look for its folders elsewhere.
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@contextmanager
def kernel_notebook(folder: Path, cells: Sequence[str], **variables: str) -> Iterator[KernelNotebook]:
    """Start a kernel with these environment variables, for the block."""
    with jupyter_folders(folder, **variables):
        import nbclient
        import nbformat

        formats: Any = nbformat.v4
        client = nbclient.NotebookClient(formats.new_notebook(), kernel_name="python3")
        with client.setup_kernel():
            yield KernelNotebook(client, formats, cells)
