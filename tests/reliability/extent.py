"""How much a run does, and the seed of what it does at random."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """The size of everything, so that one variable scales it."""

    #: at once, and jobs of all of them together, in a test of load
    sessions: int
    jobs: int
    #: of each kind that the server survives, and of each that ends all its processes
    faults: int
    crashes: int
    #: of each kind that a standby, or a neighbour on the server, brings with it
    neighbours: int
    #: how often the roles of primary and standby change
    promotions: int
    #: how often each pair of operations meets
    rounds: int
    #: pairs in each window that a debug point opens; 0: all
    window_pairs: int
    #: calls with arguments at random
    calls: int
    #: in one array
    handles: int
    #: values of all types that come out of a job; 0: all
    typed_values: int
    #: how long a soak lasts, unless RELIABILITY_HOURS says it
    soak_seconds: float
    #: after which a test, beside a soak, hangs
    limit_seconds: float

    @property
    def is_full(self) -> bool:
        """Whether all variants of a test run."""
        return self == _EXTENTS["full"]


_EXTENTS = {
    "short": Extent(
        sessions=8,
        jobs=800,
        faults=12,
        crashes=2,
        neighbours=2,
        promotions=1,
        rounds=1,
        window_pairs=12,
        calls=400,
        handles=100_000,
        typed_values=2000,
        soak_seconds=10,
        limit_seconds=600,
    ),
    "full": Extent(
        sessions=64,
        jobs=100_000,
        faults=300,
        crashes=100,
        neighbours=200,
        promotions=50,
        rounds=25,
        window_pairs=0,
        calls=20_000,
        handles=1_000_000,
        typed_values=0,
        soak_seconds=600,
        limit_seconds=6 * 3600,
    ),
}


def chosen() -> Extent:
    """The extent that RELIABILITY names."""
    name = os.environ.get("RELIABILITY", "short")
    if name not in _EXTENTS:
        raise ValueError(f"RELIABILITY is {name}, and may be: {', '.join(_EXTENTS)}")
    return _EXTENTS[name]


def soak_seconds() -> float:
    """How long the soak lasts."""
    hours = os.environ.get("RELIABILITY_HOURS")
    return float(hours) * 3600 if hours else chosen().soak_seconds


def limit_seconds() -> float:
    """How long a test may take, as pytest-timeout is told."""
    return chosen().limit_seconds + soak_seconds()


def seed() -> int:
    """The run's seed; all processes of a run have the same, as the first leaves it to those it starts."""
    return int(os.environ.setdefault("RELIABILITY_SEED", str(random.SystemRandom().randrange(1 << 32))))


def chance(*what: object) -> random.Random:
    """Numbers for one part of the run, the same in each run with this seed."""
    return random.Random(f"{seed()} {what}")
