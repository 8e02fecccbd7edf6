"""Measure everything against what it is to be compared with, and write a report: `make bench`.

What is compared takes turns in rounds, so that whatever else the machine does meets all of it. Compare what
stands in one line: absolute figures are the machine's.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pg_background.server import Installation, ServerError

from .commands import add_server_options, chosen_installation
from .context import Bench
from .hosts import Hosts, hosts
from .page import Part, write
from .sections import SECTIONS

_ROOT = Path(__file__).parents[1]

FOLDER = _ROOT / "build" / "bench"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=(__doc__ or "").split(":")[0], allow_abbrev=False
    )
    add_server_options(parser)
    parser.add_argument(
        "--scale",
        type=float,
        default=1,
        help="how much is measured; less than 1 only to try it [%(default)s]",
    )
    parser.add_argument("--only", default="", help=f"some of: {' '.join(SECTIONS)} [all]")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the report [%(default)s]")
    parser.add_argument(
        "--c-dsn", default=os.environ.get("C_DSN", ""), help="database with the C extension [env C_DSN]"
    )
    arguments = parser.parse_args()
    names = arguments.only.split() or [*SECTIONS]
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"--only: {' '.join(sorted(unknown))}: choose from {' '.join(SECTIONS)}")
    began = os.getloadavg()[0]
    console = Console(stderr=True)
    try:
        installation = chosen_installation(arguments)
        with hosts(installation, arguments.c_dsn) as servers, console.status("") as status:
            parts = []
            bench = Bench(installation, servers, arguments.scale, say=status.update)
            for name in names:
                section = SECTIONS[name]
                console.print(f"{section.TITLE} …")
                parts.append(Part(name, section.TITLE, section.NOTE, section.for_bench(bench)))
    except ServerError as error:
        sys.exit(f"error: {error}")
    facts = facts_of(installation, servers, arguments.scale, began)
    print(write(arguments.folder, facts, bench.notes, parts))


def facts_of(installation: Installation, servers: Hosts, scale: float, load: float) -> Mapping[str, object]:
    """Return what has to stand beside figures.

    Args:
        load: of the machine before anything was measured.
    """
    facts: dict[str, object] = {
        "PostgreSQL": installation.version,
        "pg_background": _revision(),
        "C extension": servers.c.version if servers.c else "none was given (C_DSN)",
        "machine": f"{os.cpu_count()} cores, {_processor()}",
        "load before": f"{load:.1f}",
        "Python": platform.python_version(),
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    if scale < 1:
        facts["scale"] = f"{scale:g}: too little to be quoted"
    if load > 0.5:
        facts["busy"] = "the machine had other work: absolute figures are worth nothing, and ratios little"
    return facts


def _revision() -> str:
    done = subprocess.run(
        ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "of unknown revision"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


if __name__ == "__main__":
    main()
