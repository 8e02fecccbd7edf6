"""A backfill of a distributed table of Citus: each shard is a part, whose jobs run on its node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .backfill_async import AsyncBackfill, BackfillStatement, report_of, run_all, text_of
from .display import BackfillShow
from .errors import BackfillError
from .pace import Rate
from .part import Part
from .plan import BackfillPlan
from .planning_async import explain, first_range, key_names, measure, table_of
from .report import BackfillReport
from .runner_async import AsyncWork
from .state_async import AsyncState
from .template import Template
from .throttle_async import AsyncThrottle

if TYPE_CHECKING:
    from ..client.client_async import AsyncClient
    from ..cluster.cluster_async import AsyncCluster

_DISTRIBUTION_COLUMN = """
SELECT t.distribution_column FROM pg_catalog.citus_tables AS t
WHERE t.table_name::pg_catalog.oid OPERATOR(pg_catalog.=) %s::pg_catalog.oid
"""

_PLACE = """
SELECT pg_catalog.concat(n.nodename, ':', n.nodeport)
FROM pg_catalog.pg_dist_placement AS p
JOIN pg_catalog.pg_dist_node AS n ON n.groupid OPERATOR(pg_catalog.=) p.groupid
WHERE p.shardid OPERATOR(pg_catalog.=) %s::pg_catalog.int8
  AND n.noderole::pg_catalog.text OPERATOR(pg_catalog.=) 'primary'::pg_catalog.text
"""


class AsyncShardBackfill(AsyncBackfill):
    """A backfill over the shards of a distributed table. Made by `AsyncCluster.backfill`.

    Its state is kept on each node, about the shards that are there.
    """

    def __init__(
        self,
        cluster: AsyncCluster,
        statement: BackfillStatement | None = None,
        table: str | None = None,
        *,
        schema: str | None = None,
        **given: Any,
    ) -> None:
        """
        Args:
            cluster: whose nodes do it.
            statement: and the others, see `AsyncClient.backfill`.
        """
        super().__init__(cluster.nodes[0].client, statement, table, schema=schema, **given)
        self._cluster = cluster
        self._states = {node.name: AsyncState(node.client, schema) for node in cluster.nodes}

    async def plan(self) -> BackfillPlan:
        """See `AsyncBackfill.plan`."""
        parts, schema, warnings, name = await self._planned_shards()
        rows = [part.estimated_rows for part in parts]
        example = Part.statement_of(replace(parts[0], source=name), first_range(parts[0]))
        return BackfillPlan(
            name=self.name,
            table=name,
            key=key_names(parts[0].key),
            estimated_rows=None if None in rows else sum(row or 0 for row in rows),
            example=example,
            explain=await explain(self._client, example),
            schema=schema,
            options=self._options,
            shards=[f"{part.part} on {part.place}" for part in parts],
            warnings=warnings,
        )

    async def run(self, *, progress: BackfillShow = None) -> BackfillReport:
        """See `AsyncBackfill.run`."""
        parts, schema, _, _ = await self._planned_shards()
        await explain(self._client, parts[0].statement_of(first_range(parts[0])))
        for part in parts:
            # Nothing begins before all shards are noted: who goes on would leave the others out.
            await self._states[part.place].provide(schema)
            await self._states[part.place].add(replace(part, state="planned"))
        for part in parts:
            await self._states[part.place].go_on(part)
        return await self._work(parts, progress)

    async def resume(self, *, progress: BackfillShow = None) -> BackfillReport:
        """See `AsyncBackfill.resume`."""
        parts = await self._parts()
        if any(part.state == "planned" for part in parts):
            raise BackfillError(
                f"the backfill {self.name} was not begun on all nodes, and has done nothing",
                hint="forget it, and run it again",
            )
        for part in parts:
            part.options = part.options.changed(self._given)
            if "batch_size" in self._given:
                part.batch_size = part.options.batch_size
            await self._states[part.place].go_on(part)
            part.open = await self._states[part.place].left(part)
        self._options = parts[0].options
        return await self._work(parts, progress)

    async def stop(self) -> bool:
        """See `AsyncBackfill.stop`."""
        await self._parts()
        told = [await state.ask_to_stop(self.name) for state in await self._found()]
        return any(told)

    async def report(self) -> BackfillReport:
        """See `AsyncBackfill.report`."""
        parts = await self._parts()
        return await report_of(parts[0], await self._found())

    async def forget(self) -> bool:
        """See `AsyncBackfill.forget`."""
        forgotten = [await state.forget(self.name) for state in await self._found()]
        return any(forgotten)

    # ---- inside

    async def _planned_shards(self) -> tuple[list[Part], str, list[str], str]:
        """Return a part for each shard, the schema for the state, warnings, and the table's name."""
        if self._statement is None or self._table is None:
            raise BackfillError(f"for {self.name} no statement was given", hint="resume goes on with it")
        template = Template(await text_of(self._client, self._statement))
        table = await table_of(self._client, self._table)
        key, warnings, can_be_null = table.key(self._key or await self._distribution_column(table.oid))
        if len(key.columns) > 1 or key.is_ctid:
            raise BackfillError(
                "over shards a key is one column", hint="that which the table is distributed by"
            )
        parts = []
        run = str(uuid4())
        for shard in await self._cluster.shards(self._table):
            node = self._cluster.node(shard.node)
            part = Part(
                run=run,
                name=self.name,
                part=str(shard.number),
                place=node.name,
                statement=template.statement,
                source=shard.name,
                key=key,
                estimated_rows=(await table_of(node.client, shard.name)).rows,
                options=self._options,
                batch_size=self._options.batch_size,
            )
            await measure(node.client, part, can_be_null)
            # Without a key a row is in no list of keys.
            part.has_nulls, part.is_cut = False, part.upper is None
            parts.append(part)
        if not parts:
            raise BackfillError(f"{table.quoted} is not a distributed table")
        if can_be_null:
            warnings = [*warnings[:-1], f"rows whose {key} is NULL are left out"]
        return parts, self._state.schema or table.schema, warnings, table.quoted

    async def _distribution_column(self, oid: int) -> list[str] | None:
        async with self._client.session.connection() as connection:
            cursor = self._client.session.cursor(connection)
            await cursor.execute(_DISTRIBUTION_COLUMN, (oid,))
            row = await cursor.fetchone()
        if row is None or row[0] in (None, "<none>"):
            raise BackfillError(f"{self._table} is not distributed by a column")
        return [row[0]]

    async def _found(self) -> list[AsyncState]:
        return [state for state in self._states.values() if await state.find()]

    async def _parts(self) -> list[Part]:
        parts: list[Part] = []
        for state in await self._found():
            parts += [part for part in await state.parts(self.name) if part.state != "moved"]
        if not parts:
            raise BackfillError(f"this role has no backfill of the name {self.name} here")
        if len({part.run for part in parts}) > 1:
            raise BackfillError(
                f"the nodes keep different backfills of the name {self.name}",
                hint="forget them, and begin again",
            )
        return parts

    async def _work(self, parts: Sequence[Part], progress: BackfillShow) -> BackfillReport:
        rate = Rate(self._options.max_rows_per_second)
        throttles = {
            node.name: AsyncThrottle(node.client, self._options, rate) for node in self._cluster.nodes
        }

        def work_of(part: Part) -> AsyncWork:
            work = AsyncWork(part, self._states[part.place], throttles[part.place], part.place)
            work.ready.extend(part.open)
            return work

        async def move(work: AsyncWork) -> AsyncWork | None:
            place = await self._place_of(self._client, work.part.part)
            if place is None or place == work.place:
                return None
            state = self._states[place]
            await state.provide(work.state.schema or "public")
            return work_of(await work.state.move_to(work.part, state, place))

        await run_all([work_of(part) for part in parts], self._options, rate, progress, move)
        return await report_of(parts[0], await self._found())

    async def _place_of(self, client: AsyncClient[Any], shard: str) -> str | None:
        """Return the name of the node that has a shard now."""
        async with client.session.connection() as connection:
            cursor = client.session.cursor(connection)
            await cursor.execute(_PLACE, (int(shard),))
            row = await cursor.fetchone()
        return None if row is None else str(row[0])
