"""The clock steps forward and back under load: no job is lost, and none waits for a time that is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pg_background.server import ServerError
from tools import faketime

from ..support.fix_server import FreshServer
from . import extent as extents
from .extent import Extent
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

#: In seconds, each way. PostgreSQL's own timers wait for a time of day, and are late by a step back. A larger
#: one can't be faked: libfaketime shows signal handlers the true time while the process waits.
STEPS = 2.0


@pytest.fixture
def library(open_tmp_path: Path) -> Path:
    """Where the server's user can read it."""
    try:
        return Path(shutil.copy(faketime.find(), open_tmp_path))
    except ServerError as error:
        pytest.skip(f"no libfaketime: {error}")


def test_steps(
    fresh_server: FreshServer,
    extent: Extent,
    tally: Tally,
    library: Path,
    open_tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = open_tmp_path / "clock"

    def step(seconds: float) -> int:
        new = clock.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}")
        new.chmod(0o644)
        new.rename(clock)
        return 1

    server = fresh_server({"log_min_messages": "fatal"})
    step(0)
    with monkeypatch.context() as environment:
        for name, setting in {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": clock,
            "FAKETIME_NO_CACHE": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
            # Files would get their times from it as well.
            "NO_FAKE_STAT": 1,
        }.items():
            environment.setenv(name, str(setting))
        server.restart()
    chance = extents.chance("clock")
    with under_load(server, "clock", tally) as (_, injector):
        steps = injector.inject(extent.faults * 3, lambda: step(chance.uniform(-STEPS, STEPS)), pause=0.1)
        step(0)
    tally.faults("clock stepped", steps)
