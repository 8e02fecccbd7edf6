"""Progress bars: in a terminal, and nowhere else."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import TupleRow

from pg_background import Client, Job, Progress

from ..support.fix_client import Place

AnyClient = Client[TupleRow]

STEPS = "SELECT pg_background_progress(30, 'a third'), pg_sleep(0.5)"

SCRIPT = f"""
import sys
import pg_background as bg
with bg.connect(sys.argv[1]) as client:
    jobs = [client.launch({STEPS!r}, label=label) for label in ("first [one]", "second")]
    client.wait_all(jobs, progress=sys.argv[2])
    client.run({STEPS!r}, label="third", progress=sys.argv[2])
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "bars.py"
    path.write_text(SCRIPT)
    return path


def on_terminal(command: list[str]) -> str:
    """Run a program with a terminal, and return what it showed."""
    ours, theirs = pty.openpty()
    rows_and_columns = struct.pack("HHHH", 40, 120, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, rows_and_columns)
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = b""
    # Linux gives an error, not an end, when the other side has closed.
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass
    os.close(ours)
    assert process.wait() == 0, shown.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


@pytest.mark.parametrize("style", ["rich", "tqdm"])
def test_on_a_terminal(place: Place, script: Path, style: str) -> None:
    shown = on_terminal([sys.executable, str(script), place.dsn(), style])
    for text in ("first [one]", "second", "third", "30", "a third", "done"):
        assert text in shown
    assert "stopped" not in shown


@pytest.mark.parametrize("style", ["rich", "tqdm"])
def test_nothing_elsewhere(place: Place, script: Path, style: str) -> None:
    done = subprocess.run(
        [sys.executable, script, place.dsn(), style], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_function(client: AnyClient) -> None:
    told: list[tuple[Job[Any], Progress]] = []
    job = client.launch(STEPS)
    job.result(progress=lambda *what: told.append(what))
    assert told == [(job, Progress(30, "a third"))]


def test_what_is_no_display(client: AnyClient) -> None:
    job = client.launch("SELECT 1")
    with pytest.raises(ValueError, match="not 'spinner'"):
        job.wait(progress="spinner")  # type: ignore[arg-type]


def test_a_time_limit_holds_with_bars(client: AnyClient) -> None:
    job = client.launch("SELECT pg_sleep(3600)")
    assert not job.wait(0.3, progress=print)
    job.discard()
