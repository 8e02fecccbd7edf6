"""All servers asked at once, and those that don't answer in time left out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import wait

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from .families import families
from .watched import Answer, Watched


class Gathering:
    """The metrics of several servers."""

    def __init__(
        self,
        servers: Sequence[Watched],
        *,
        by_label: bool = False,
        limit: float = 5,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """
        Args:
            by_label: whether jobs are told apart by their labels.
            limit: seconds that servers have for their answers.
            tell: is told when a server begins or ceases to answer, and why.
        """
        self._servers = servers
        self._by_label = by_label
        self._limit = limit
        self._tell = tell
        self._failures: dict[str, str] = {}
        self._lock = threading.Lock()

    def answers(self, seconds: float | None = None) -> list[Answer]:
        """Ask all servers.

        Args:
            seconds: how long to wait at most, if that is less than the limit.
        """
        asked = [server.ask() for server in self._servers]
        done, _ = wait(asked, self._limit if seconds is None else min(seconds, self._limit))
        found = [
            answer.result() if answer in done else server.give_up()
            for server, answer in zip(self._servers, asked, strict=True)
        ]
        self._note(found)
        return found

    def metrics(self, seconds: float | None = None) -> Iterator[Metric]:
        """Likewise, as metrics."""
        return families(self.answers(seconds), by_label=self._by_label)

    def close(self) -> None:
        """End all sessions."""
        for server in self._servers:
            server.close()

    def _note(self, answers: Sequence[Answer]) -> None:
        """Tell changes only: scrapes come for ever."""
        for answer in answers:
            with self._lock:
                before = self._failures.get(answer.server, "")
                self._failures[answer.server] = answer.failure
            # How long one waited in vain is no news.
            if bool(before) != bool(answer.failure):
                self._tell(f"{answer.server}: {answer.failure or 'it answers again'}")


class Collected(Collector):
    """Metrics that are there, as prometheus-client takes them to write them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._metrics
