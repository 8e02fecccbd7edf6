"""Measure how long many rows take on the command line, against psql: `python -m benchmarks.printing`.

Both take turns, and the best one of each counts, which the machine's other work has met least. Compare the
ratios: times are the machine's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pg_background.server import Installation, ServerError, TemporaryServer

from .commands import add_server_options, chosen_installation, take_turns

ROWS = 1_000_000

#: A number, a fraction, a text and a time.
_QUERY = (
    "SELECT n, n * 1.5 AS x, 'row number ' || n AS t, now() AS at"
    " FROM pg_catalog.generate_series(1, {rows}) AS n"
)

#: What is asked for: not more than three times as long as psql takes to print CSV.
MOST = 3.0
_JUDGED = ("--csv", "--jsonl")


def main() -> None:
    """Measure and report; exit with 1 if it takes too long."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0], allow_abbrev=False)
    add_server_options(parser)
    parser.add_argument("--rows", type=int, default=ROWS, help="how many are printed [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each takes [%(default)s]")
    arguments = parser.parse_args()
    try:
        installation = chosen_installation(arguments)
        with TemporaryServer(pg_config=installation.pg_config) as server:
            taken = measure(installation, server.dsn(), arguments.rows, arguments.rounds)
    except ServerError as error:
        sys.exit(f"error: {error}")
    judge(report(taken))


def measure(installation: Installation, dsn: str, rows: int, rounds: int) -> Mapping[str, Sequence[float]]:
    """Return the seconds that each way took in each round."""
    query = _QUERY.format(rows=rows)
    ours: list[str | Path] = [Path(sys.executable).with_name("pg-background"), "run", "-d", dsn]
    ways: dict[str, list[str | Path]] = {
        "psql --csv": [installation.program("psql"), "--no-psqlrc", "--csv", "-d", dsn, "-c", query],
        "--csv": [*ours, "--csv", query],
        "--jsonl": [*ours, "--jsonl", query],
        "--json": [*ours, "--json", query],
        "table": [*ours, query],
    }
    return take_turns(ways, rounds)


def report(taken: Mapping[str, Sequence[float]]) -> Mapping[str, float]:
    """Print a line for each way, and return how many times as long as psql each takes."""
    first, *others = taken
    least = min(taken[first])
    print(f"{first:<12} {least:7.2f} s")
    ratios = {}
    for name in others:
        ratios[name] = min(taken[name]) / least
        print(f"{name:<12} {min(taken[name]):7.2f} s  {ratios[name]:5.2f} times as long")
    return ratios


def judge(ratios: Mapping[str, float]) -> None:
    """Exit with 1 if what is to be processed by others comes too slowly."""
    slow = [name for name in _JUDGED if ratios[name] > MOST]
    if slow:
        sys.exit(f"error: more than {MOST:g} times as long as psql --csv: {', '.join(slow)}")


if __name__ == "__main__":
    main()
