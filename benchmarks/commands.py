"""What the benchmarks of commands share: which PostgreSQL is measured, and programs that take turns."""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

from pg_background.server import Installation
from tools import servers


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Let the caller choose the PostgreSQL that is measured."""
    parser.add_argument("--pg", type=int, default=18, help="major version of PostgreSQL [%(default)s]")
    parser.add_argument("--pg-config", default="", help="pg_config of the PostgreSQL to use, instead")


def chosen_installation(arguments: argparse.Namespace) -> Installation:
    """Return the one that these options name.

    Raises:
        ServerError: it can't be had.
    """
    if arguments.pg_config:
        return Installation.from_pg_config(arguments.pg_config)
    return servers.find(arguments.pg)


def environment() -> Mapping[str, str]:
    """Return the caller's, without libpq's variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def take_turns(ways: Mapping[str, Sequence[str | Path]], rounds: int) -> Mapping[str, Sequence[float]]:
    """Run each program once per round, and return the seconds that it took in each."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, words in ways.items():
            began = perf_counter()
            subprocess.run(words, stdout=subprocess.DEVNULL, check=True, env=environment())
            taken[name].append(perf_counter() - began)
    return taken
