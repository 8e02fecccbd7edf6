"""A server with one worker, so that what a job leaves in its process meets the next one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import Server
from .workers import only_worker


@pytest.fixture
def one_worker(server: Server) -> Iterator[None]:
    """So that jobs share a process whenever they can."""
    with only_worker(server):
        yield
