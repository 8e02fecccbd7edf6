"""A notebook that Jupyter runs as a whole, in a kernel of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ..support.fix_client import Place
from ..support.kernel import jupyter_folders

#: An advisory lock that no other test takes.
_GATE = 20_261


def test_rows_are_kept(place: Place, tmp_path: Path) -> None:
    """The last cell waits for a job whose own cell has ended long before."""
    cells = (
        "%load_ext pg_background\nimport os, psycopg",
        "gate = psycopg.connect(os.environ['PG_BACKGROUND_DSN'])\n"
        f"gate.execute('SELECT pg_advisory_lock({_GATE})')",
        f"%%bg held\nSELECT pg_advisory_xact_lock({_GATE}); SELECT 'of the held one' AS row",
        "assert not held.done()\ngate.close()",
        "%bg_wait",
    )
    notebook = {
        "cells": [
            {"cell_type": "code", "source": cell, "metadata": {}, "outputs": [], "execution_count": None}
            for cell in cells
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    path = tmp_path / "jobs.ipynb"
    path.write_text(json.dumps(notebook))
    command = ("-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", str(path))
    with jupyter_folders(tmp_path, PG_BACKGROUND_DSN=place.dsn()):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, _, held, *_ = json.loads(path.read_text())["cells"]
    (output,) = held["outputs"]
    shown = "".join(output["data"]["text/html"])
    assert "<td>of the held one</td>" in shown
    assert "done" in shown
