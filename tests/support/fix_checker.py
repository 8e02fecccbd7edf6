"""`--check`: the same tests, on servers whose use of memory is looked at."""

from __future__ import annotations

import os

import pytest

from .checkers import CHECKERS, Checker


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("pg_background").addoption(
        "--check",
        choices=sorted(CHECKERS),
        default=os.environ.get("CHECK", ""),
        help="run servers under this; a report of it fails the test [env CHECK]",
    )


@pytest.fixture(scope="session")
def checker(request: pytest.FixtureRequest) -> Checker:
    """What looks at the servers' memory, if anything."""
    return CHECKERS[request.config.getoption("--check")]()
