"""Measure how long the command line takes to start, and what `top` costs: `python -m benchmarks.starting`.

Each command and what it is compared with take turns. Compare the ratios: times are the machine's. The best
turn of each counts, which is the one that the machine's other work has met least.
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter, sleep

import pg_background as bg
from pg_background.server import ServerError, TemporaryServer

from .commands import add_server_options, chosen_installation, environment, take_turns

#: `pg-background run` takes at most so many times as long as Python with psycopg loaded.
MOST_OF_RUN = 3.0

#: `top` takes at most this part of a core, with so many jobs.
MOST_OF_TOP = 0.05
JOBS = 100

#: In which `top` draws its first screen, and then is measured.
_SETTLE_SECONDS = 4
_WATCH_SECONDS = 20

_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and report; exit with 1 if anything takes too long."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0], allow_abbrev=False)
    add_server_options(parser)
    parser.add_argument("--rounds", type=int, default=10, help="turns that each takes [%(default)s]")
    arguments = parser.parse_args()
    try:
        installation = chosen_installation(arguments)
        with TemporaryServer(
            pg_config=installation.pg_config,
            settings={"max_worker_processes": str(JOBS + 10), "pg_background.max_workers": str(JOBS)},
        ) as server:
            ratios = report(starts(server.dsn(), arguments.rounds))
            part = part_of_core(server.dsn())
    except ServerError as error:
        sys.exit(f"error: {error}")
    print(f"{'top, 100 jobs':<28} {100 * part:6.1f} % of a core")
    if ratios["run 'select 1'"] > MOST_OF_RUN or part > MOST_OF_TOP:
        sys.exit(f"error: run takes more than {MOST_OF_RUN:g} times, or top more than {MOST_OF_TOP:.0%}")


def starts(dsn: str, rounds: int) -> Mapping[str, float]:
    """Return the least seconds that each took."""
    ours = Path(sys.executable).with_name("pg-background")
    ways: dict[str, Sequence[str | Path]] = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "--help": [ours, "--help"],
        "--version": [ours, "--version"],
        "python -c 'import psycopg'": [sys.executable, "-c", "import psycopg"],
        "run 'select 1'": [ours, "run", "-d", dsn, "select 1"],
    }
    return {name: min(seconds) for name, seconds in take_turns(ways, rounds).items()}


def report(least: Mapping[str, float]) -> Mapping[str, float]:
    """Print a line for each, and return how many times as long it takes as the Python before it."""
    ratios = {}
    base = ""
    for name, seconds in least.items():
        if name.startswith("python"):
            base = name
        ratios[name] = seconds / least[base]
        print(f"{name:<28} {1000 * seconds:6.0f} ms  {ratios[name]:5.2f} times {base}")
    return ratios


def part_of_core(dsn: str) -> float:
    """Return which part of a core `top` takes while the jobs sleep."""
    with bg.connect(dsn) as client:
        jobs = [client.launch("SELECT pg_sleep(3600)", label=f"job {number}") for number in range(JOBS)]
        leader, follower = pty.openpty()
        words: list[str | Path] = [Path(sys.executable).with_name("pg-background"), "top", dsn]
        screen = {**environment(), "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50"}
        with subprocess.Popen(words, stdin=follower, stdout=follower, stderr=follower, env=screen) as process:
            os.set_blocking(leader, False)
            _read_for(leader, _SETTLE_SECONDS)
            before = _cpu_seconds(process.pid)
            took = _read_for(leader, _WATCH_SECONDS)
            used = _cpu_seconds(process.pid) - before
            process.terminate()
        os.close(leader)
        os.close(follower)
        for job in jobs:
            job.cancel()
    return used / took


def _read_for(terminal: int, seconds: float) -> float:
    """Take what is drawn, and return how long that lasted."""
    began = perf_counter()
    while perf_counter() - began < seconds:
        try:
            os.read(terminal, 1 << 16)
        except BlockingIOError:
            sleep(0.05)
    return perf_counter() - began


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    main()
