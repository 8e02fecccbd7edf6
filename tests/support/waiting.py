"""Wait for a fact, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

#: Seconds after which something that should happen at once is taken not to happen. Generous: a busy
#: machine must not fail a test, and only a failing test waits so long.
DEADLINE = 60.0
INTERVAL = 0.01


def wait_until(condition: Callable[[], T], *, deadline: float = DEADLINE, what: str = "the condition") -> T:
    """Call `condition` until its result is true, and return that.

    Raises:
        AssertionError: it is still false after `deadline` seconds; the message has its last result.
    """
    end = time.monotonic() + deadline
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} is not true after {deadline:g} s: {result!r}")
        time.sleep(INTERVAL)
    return result


def assert_takes(call: Callable[[], object], milliseconds: float) -> None:
    """Fail unless a call takes as long as it should: never less, and once less than three times that.

    A busy machine makes calls late, but not each of them.

    Raises:
        AssertionError: a call took less, or none was in time for `DEADLINE` seconds.
    """

    def taken() -> float:
        began = time.monotonic()
        call()
        found = (time.monotonic() - began) * 1000
        # PostgreSQL's clock counts the milliseconds, which is another one.
        assert found > milliseconds - 2, f"it takes {found:g} ms, not {milliseconds:g}"
        return found

    wait_until(lambda: taken() < 3 * milliseconds, what=f"{milliseconds:g} ms taken")


def wait_until_sql(
    conn: psycopg.Connection[Any],
    query: str,
    parameters: Sequence[Any] | None = None,
    *,
    expected: Any = True,
    deadline: float = DEADLINE,
) -> None:
    """Run a query until the first column of its first row equals `expected`.

    Each run is a transaction of its own if the connection is in autocommit mode, as it should be.

    Raises:
        AssertionError: it does not after `deadline` seconds; the message has the last value.
    """
    end = time.monotonic() + deadline
    while True:
        row = conn.execute(query, parameters).fetchone()
        value = row[0] if row else None
        if value == expected:
            return
        if time.monotonic() > end:
            raise AssertionError(f"{query} gives {value!r}, not {expected!r}, after {deadline:g} s")
        time.sleep(INTERVAL)


def wait_until_equal(read: Callable[[], T], expected: T) -> None:
    """Wait until `read` returns what is expected.

    Raises:
        AssertionError: it does not; the message has both.
    """
    last: list[T | None] = [None]

    def equal() -> bool:
        last[0] = read()
        return bool(last[0] == expected)

    try:
        wait_until(equal)
    except AssertionError:
        raise AssertionError(f"there is {last[0]}, expected {expected}") from None
