"""Several servers as one source: what one of them does not tell is missing, and the others are shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ..client.model import Handle, Inspection, JobInfo
from ..cluster.node_job import NodeJob
from .server_source import ServerSource
from .source import Snapshot, SourceError, SourceLost

#: Seconds after which a poll goes on without a server that has not answered; what it answers later is
#: taken by the next poll.
PATIENCE = 2.0


class ClusterSource:
    """See `Source`. Its jobs are `NodeJob`s."""

    def __init__(self, conninfos: Mapping[str, str], *, patience: float = PATIENCE) -> None:
        """
        Args:
            conninfos: of the servers, by their names.
            patience: in seconds.
        """
        self._sources = {name: ServerSource(conninfo) for name, conninfo in conninfos.items()}
        self._patience = patience
        self._asked: dict[str, asyncio.Task[Snapshot]] = {}
        #: where jobs were seen last
        self._places: dict[Handle, str] = {}

    async def poll(self) -> Snapshot:
        """See `Source`.

        Raises:
            SourceError: no server answers.
        """
        for name, source in self._sources.items():
            # A slow server is asked once at a time.
            if name not in self._asked:
                self._asked[name] = asyncio.create_task(source.poll())
        await asyncio.wait(self._asked.values(), timeout=self._patience)
        seen: dict[str, Snapshot] = {}
        missing: dict[str, SourceError] = {}
        for name in self._sources:
            try:
                seen[name] = self._answer_of(name)
            except SourceError as error:
                missing[name] = error
        if not seen:
            all_lost = all(isinstance(error, SourceLost) for error in missing.values())
            said = "; ".join(f"{name}: {error}" for name, error in missing.items())
            raise (SourceLost if all_lost else SourceError)(said)
        return self._merged(seen, missing)

    def _answer_of(self, name: str) -> Snapshot:
        if not self._asked[name].done():
            raise SourceLost(f"no answer for {self._patience:g} s")
        return self._asked.pop(name).result()

    def _merged(self, seen: Mapping[str, Snapshot], missing: Mapping[str, SourceError]) -> Snapshot:
        jobs: list[JobInfo] = []
        self._places = {}
        for name, snapshot in seen.items():
            jobs += [NodeJob.of(name, job) for job in snapshot.jobs]
            self._places.update({job.handle: name for job in snapshot.jobs if job.handle is not None})
        some = f"{len(seen)} of " if missing else ""
        place = f"{some}{len(self._sources)} nodes: {', '.join(seen)}"
        # The clocks of servers are taken to be the same.
        now = next(iter(seen.values())).now
        return Snapshot(jobs, now, place, tuple(self._sources), missing)

    async def inspect(self, handle: Handle) -> Inspection:
        """See `Source`."""
        return await self._source_of(handle).inspect(handle)

    async def cancel(self, handle: Handle, grace: float) -> None:
        """See `Source`."""
        await self._source_of(handle).cancel(handle, grace)

    async def close(self) -> None:
        """See `Source`."""
        for task in self._asked.values():
            task.cancel()
        # At the same time: of each it may take seconds to learn that it does not answer.
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        for source in self._sources.values():
            await source.close()

    def _source_of(self, handle: Handle) -> ServerSource:
        name = self._places.get(handle)
        if name is None:
            raise SourceError(f"no node that answers has the job with PID {handle.pid}")
        return self._sources[name]
