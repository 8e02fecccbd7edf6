"""The web page of the demo's server, which stays when the demo has ended, and goes with the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pg_background.server import Cluster, ServerError, Status

#: Where it listens, if that is free: an address that stays the same.
PORT = 8432

#: Seconds that the page may take to be there.
PATIENCE = 30

#: Seconds between two looks whether the server still runs.
PAUSE = 1


def start(data: Path, dsn: str) -> str | None:
    """Serve the page, in place of the one of the last demo on these data.

    Returns:
        The address that lets in whoever has it, as the DSN's own role; None without what the page needs.

    Raises:
        ServerError: it did not start.
    """
    try:
        import pg_background.web.serve  # noqa: F401
    except ModuleNotFoundError:
        return None
    home = _home(data)
    home.mkdir(mode=0o700, exist_ok=True)
    stop(data)
    log = home / "page.log"
    with log.open("w") as file:
        keeper = subprocess.Popen(
            [sys.executable, "-m", __name__, str(data.absolute())],
            env={**os.environ, "PG_BACKGROUND_SERVER": f"shop={dsn}"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            # It outlives the demo, and Ctrl-C in its terminal.
            start_new_session=True,
        )
    (home / "page.pid").write_text(str(keeper.pid))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and keeper.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("Enter as ") and " by http" in line:
                return line.split(" by ")[1]
        time.sleep(0.1)
    raise ServerError("the web page did not start", hint=f"what it says is in {log}")


def stop(data: Path) -> None:
    """End the page of an earlier demo; nothing where there is none."""
    recorded = _home(data) / "page.pid"
    try:
        pid = int(recorded.read_text())
        # The number may have become another process's.
        if __name__.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pass
    recorded.unlink(missing_ok=True)


def keep(data: Path) -> None:
    """Serve it until the server stops: what `start` runs as a process of its own."""
    # As Ctrl-C, so that the page is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for port in (PORT, 0):
        page = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("pg-background")),
                *("web", "--allow-actions", "--listen", f"127.0.0.1:{port}"),
            ]
        )
        try:
            while page.poll() is None and Cluster(data).status() is Status.RUNNING:
                time.sleep(PAUSE)
        except KeyboardInterrupt:
            return
        finally:
            ended = page.poll() is not None
            if not ended:
                page.terminate()
                page.wait()
        if not ended:
            return


def _home(data: Path) -> Path:
    return data.with_name(f"{data.name}-page")


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
