"""Count the instructions of a call on both sides, against the stored baseline: `make instructions`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from pg_background.server import ServerError

from ..commands import add_server_options, chosen_installation
from . import baseline
from .baseline import Line
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
    key = baseline.key(version, valgrind)
    counts = medians(samples)
    stored = baseline.load(key)
    print(f"{key}\n")
    show(baseline.compare(counts, stored or {}))
    print(f"\nEach is the median of {arguments.repeats}, which are off it by {spread(samples):.2%} at most.")
    if arguments.store:
        baseline.store(key, counts)
        print(f"Stored in {baseline.FILE.name}.")
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
