"""Measure launch, result and wait against what they are to be compared with: `make bench-quick`.

All ways take turns in rounds, so that whatever else the machine does meets all of them. Compare the ratios:
absolute times are the machine's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from pg_background.server import ServerError

from . import figures, latency, report, rows, throughput
from .commands import add_server_options, chosen_installation
from .figures import MS, PER_SECOND, Figure
from .hosts import Hosts, hosts
from .ways import DBLINK_CALL, WAYS, opened

#: A warm job's part of a cold one's time: about a tenth is expected.
MOST_OF_COLD = 0.2


def main() -> None:
    """Measure and report; exit with 1 if warm workers are not what they should be."""
    parser = argparse.ArgumentParser(
        prog="make bench-quick", description=(__doc__ or "").split(":")[0], allow_abbrev=False
    )
    add_server_options(parser)
    parser.add_argument("--rounds", type=int, default=4, help="turns that each way takes [%(default)s]")
    parser.add_argument("--seconds", type=int, default=1, help="of each run of pgbench [%(default)s]")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    try:
        installation = chosen_installation(arguments)
        with hosts(installation) as both:
            measured = measure(both, arguments.rounds, arguments.seconds)
    except ServerError as error:
        sys.exit(f"error: {error}")
    report.show(measured, installation.version, Console(highlight=False))
    if arguments.json:
        report.write_json(measured, installation.version, arguments.json)
    judge(measured)


def measure(both: Hosts, rounds: int, seconds: int) -> list[Figure]:
    """Let all ways take turns."""
    samples = []
    speeds: dict[tuple[int, str], list[float]] = defaultdict(list)
    counts: dict[str, list[float]] = defaultdict(list)
    progress = Console(stderr=True)
    with ExitStack() as stack:
        status = stack.enter_context(progress.status(""))
        ways = {way: stack.enter_context(opened(both, way)) for way in WAYS}
        for number in range(rounds):
            status.update(f"Round {number + 1} of {rounds} …")
            samples.append(latency.measure_round([*ways.values()]))
            for sessions in throughput.SESSIONS:
                for way in WAYS:
                    speeds[sessions, way].append(
                        throughput.run_pgbench(both, way, sessions, seconds).per_second
                    )
            for way, taken in rows.measure_round(ways[DBLINK_CALL].clock).items():
                counts[way].append(taken)
    return [
        *figures.of_latencies(samples),
        *(
            Figure(
                f"jobs, {sessions} session{'s' * (sessions > 1)}",
                PER_SECOND,
                {way: statistics.median(speeds[sessions, way]) for way in WAYS},
            )
            for sessions in throughput.SESSIONS
        ),
        Figure(
            f"{rows.ROWS // 1_000_000}M integers",
            MS,
            {way: statistics.median(taken) * 1000 for way, taken in counts.items()},
        ),
    ]


def judge(measured: list[Figure]) -> None:
    """Exit with 1 if a warm job takes too much of a cold one's time."""
    part = figures.warm_to_cold(measured)
    said = f"launch + result takes {part:.2f} of the time that it takes with a fresh process for each job"
    if part >= MOST_OF_COLD:
        sys.exit(
            f"error: {said}; about 0.1 is expected, and less than {MOST_OF_COLD} required\n"
            "hint: are warm workers used at all? Look at idle_workers of pg_background_registry() between "
            "two jobs, and for how busy the machine was: the floor should be well below a millisecond"
        )
    print(f"{said}, which is as it should be: less than {MOST_OF_COLD}.")


if __name__ == "__main__":
    main()
