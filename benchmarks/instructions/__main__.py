"""Count the instructions of a call on both sides, against the stored baseline: `make instructions`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from pg_background.server import ServerError

from ..commands import add_server_options, chosen_installation
from . import baseline
from .baseline import Counts, Line
from .counting import Effort, UnsteadyError, count, medians, spread
from .server import counted_server, valgrind_version

_STORE = "make instructions STORE=1"


def main() -> None:
    """Count and compare; exit with 1 if a count is too far above the stored one."""
    parser = argparse.ArgumentParser(
        prog="make instructions", description=(__doc__ or "").split(":")[0], allow_abbrev=False
    )
    add_server_options(parser)
    parser.add_argument("--store", action="store_true", help="make what is counted the baseline")
    parser.add_argument("--calls", type=int, default=Effort.calls, help="calls of each kind [%(default)s]")
    parser.add_argument("--repeats", type=int, default=Effort.repeats, help="of all counts [%(default)s]")
    arguments = parser.parse_args()
    try:
        valgrind = valgrind_version()
        with counted_server(chosen_installation(arguments)) as server:
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                ((version,),) = connection.execute("SELECT pg_catalog.version()").fetchall()
            samples = count(server, Effort(arguments.calls, arguments.repeats))
    except (ServerError, UnsteadyError) as error:
        sys.exit(f"error: {error}")
    print(f"Counts of one name are off their median by {spread(samples):.2%} at most.")
    conclude(baseline.key(version, valgrind), medians(samples), to_store=arguments.store)


def conclude(key: str, counts: Counts, *, to_store: bool, file: Path = baseline.FILE) -> None:
    """Print the counts, and store them or compare them with those that are stored."""
    stored = baseline.load(key, file)
    print(f"{key}\n")
    show(baseline.compare(counts, stored or {}))
    print()
    if to_store:
        baseline.store(key, counts, file)
        print(f"Stored in {file.name}.")
    elif stored is None:
        print(f"There is no baseline for such a machine, so nothing is compared. To store it: {_STORE}")
    else:
        judge(baseline.compare(counts, stored))


def show(lines: Sequence[Line]) -> None:
    """Print the counts beside the stored ones."""
    print(f"{'instructions':<34} {'counted':>9} {'stored':>9}")
    for line in lines:
        stored = "-" if line.stored is None else f"{line.stored:,}"
        change = "" if line.stored is None else f"{line.change:+7.1f} %"
        print(f"{line.name:<34} {line.count:>9,} {stored:>9} {change}")


def judge(lines: Sequence[Line]) -> None:
    """Exit with 1 if a count is too far above the stored one."""
    better = [line.name for line in lines if line.is_better]
    if better:
        print(f"Much less than stored: {'; '.join(better)}. To keep it so: {_STORE}")
    new = [line.name for line in lines if line.stored is None]
    if new:
        print(f"Not stored yet: {'; '.join(new)}. To store them: {_STORE}")
    worse = [line.name for line in lines if line.is_failure]
    if worse:
        sys.exit(
            f"error: more than {baseline.MOST_ABOVE} % above the baseline: {'; '.join(worse)}\n"
            "hint: callgrind_annotate shows where (docs/internals/debugging.md); if it has to be so, "
            f"{_STORE}, and say why in the commit"
        )
    print(f"No count is more than {baseline.MOST_ABOVE} % above the baseline.")


if __name__ == "__main__":
    main()
