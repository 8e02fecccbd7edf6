"""What a launch is told of times."""

from __future__ import annotations

import pytest
from psycopg.rows import TupleRow

from pg_background import Client, JobTimeout
from pg_background.client.options import milliseconds

from ..support.jobs import FOREVER
from ..support.waiting import DEADLINE


def test_seconds_as_the_server_takes_them() -> None:
    assert [milliseconds(seconds) for seconds in (None, 1.5, 0.0014, 2_147_483)] == [
        0,
        1500,
        1,
        2_147_483_000,
    ]
    for seconds in (-0.001, 2_147_484, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a timeout must be between 0 and 2147483 seconds"):
            milliseconds(seconds)


@pytest.mark.parametrize("seconds", [0, 0.0001])
def test_the_shortest_time_is_a_limit_too(client: Client[TupleRow], seconds: float) -> None:
    """To the server 0 would be none."""
    assert milliseconds(seconds) == 1
    assert isinstance(client.launch(FOREVER, timeout=seconds).exception(DEADLINE), JobTimeout)
