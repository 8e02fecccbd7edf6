"""After each test its servers must have survived; when it fails, what they logged is shown."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from .checkers import defects
from .server import Server

#: The test's servers, each with the end of its log when the test began.
_servers_key = pytest.StashKey[list[tuple[Server, int]]]()

#: What they had logged by its end.
_logs_key = pytest.StashKey[list[tuple[str, str]]]()

_SHOWN_LINES = 200


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "crashes: makes a server process die on purpose")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        logs = item.stash.get(_logs_key, None)
        report.sections.extend(_logs(item) if logs is None else logs)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    # Those that several tests share, which no fixture of one test has added.
    if isinstance(item, pytest.Function):
        for value in item.funcargs.values():
            if isinstance(value, Server) and value not in servers_of(item):
                item.stash[_servers_key].append((value, value.log.mark()))


def servers_of(item: pytest.Item) -> list[Server]:
    """Return the servers of a test."""
    return [server for server, _ in item.stash.get(_servers_key, [])]


def _logs(item: pytest.Item) -> list[tuple[str, str]]:
    """Return what each server of the test logged, under a title."""
    logs = []
    for server, mark in item.stash.get(_servers_key, []):
        lines = server.log.since(mark).splitlines()
        omitted = [f"({len(lines) - _SHOWN_LINES} lines before)"] if len(lines) > _SHOWN_LINES else []
        logs.append((f"log of {server.cluster.path.name}", "\n".join(omitted + lines[-_SHOWN_LINES:])))
    return logs


def watch(request: pytest.FixtureRequest, server: Server, mark: int) -> None:
    """Add a server to those that the running test must not crash."""
    request.node.stash[_servers_key].append((server, mark))


@pytest.fixture(autouse=True)
def _server_survives(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that crashed a server, however well it ended for the client.

    Set up before, and so checked after, all other fixtures of the test.
    """
    request.node.stash[_servers_key] = []
    shared: Server | None = None
    if "server" in request.fixturenames:
        shared = request.getfixturevalue("server")
        watch(request, shared, shared.log.mark())
    yield
    watched = request.node.stash[_servers_key]
    crashes = [line for server, mark in watched for line in server.log.crashes(mark)]
    found = [defect for server, mark in watched for defect in defects(server.log.since(mark))]
    # Now: after the last test the files are gone before its report is made.
    request.node.stash[_logs_key] = _logs(request.node)
    if shared is not None:
        assert shared.is_running(), "the server is gone"
        shared.wait_ready()
    assert not found, "what checks the server's memory reports:\n" + "\n".join(found)
    if request.node.get_closest_marker("crashes") is None:
        assert not crashes, "the server crashed:\n" + "\n".join(crashes)
