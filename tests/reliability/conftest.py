"""The suite's own fixtures, and its counts at the end of the run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import extent as extents
from .extent import Extent
from .tally import PROPERTY, Tally, total, write


def pytest_report_header(config: pytest.Config) -> str:
    # Here, too, so that processes that run the tests inherit the seed.
    return f"reliability: {extents.chosen()}, RELIABILITY_SEED={extents.seed()}"


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.timeout(extents.limit_seconds()))


@pytest.fixture(scope="session")
def extent() -> Extent:
    """How much to do."""
    return extents.chosen()


@pytest.fixture(autouse=True)
def _print_seed() -> None:
    """A failing test shows it."""
    print(f"RELIABILITY_SEED={extents.seed()}")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """The test's counts, which are added to those of the run."""
    tally = Tally()
    yield tally
    request.node.user_properties.append((PROPERTY, dict(tally.counts)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
    ]
    if counts := total(reports):
        path = write(counts, extents.seed())
        terminalreporter.section(f"reliability, also in {path}")
        for name, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count:>12,}  {name}")
