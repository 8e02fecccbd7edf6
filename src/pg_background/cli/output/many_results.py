"""The results of jobs on several servers as one: each row says of which server it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import UserError
from ..errors.codes import Codes
from ..tags import shown
from .console import note, of_node
from .formats import Format, write_objects
from .result_output import ResultOutput, write_csv
from .sink import Sink

if TYPE_CHECKING:
    import psycopg

    from ...client.client import Client
    from ...client.model import Handle
    from ..reading import Rows


class JobThere(NamedTuple):
    """A job that has succeeded on a server."""

    node: str
    client: Client[Any]
    connection: psycopg.Connection[Any]
    handle: Handle


class _Read(NamedTuple):
    job: JobThere
    rows: Rows

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.rows.columns]


def write_many(output: ResultOutput, sink: Sink, jobs: Sequence[JobThere], codes: Codes) -> None:
    """Write them one after the other. What can't be read of one is told, and the others are written."""
    with_rows: list[_Read] = []
    for job in jobs:
        with codes.of(job.node):
            rows = _rows_or_tags(output, sink, job)
            if rows is not None:
                with_rows.append(_Read(job, rows))
    if with_rows:
        sink.encoding = with_rows[0].rows.encoding
    if output.format is Format.CSV:
        _write_csv(sink, with_rows, codes)
    elif output.format is Format.TABLE:
        for _, alike in groupby(with_rows, lambda read: read.names):
            some = list(alike)
            output.write_table(sink, some[0].rows.columns, _texts(some, codes), [])
    else:
        write_objects(sink, output.format, lambda between: _objects(with_rows, codes, between))


def _rows_or_tags(output: ResultOutput, sink: Sink, job: JobThere) -> Rows | None:
    """Return its rows; if there are none, write what it has instead."""
    from ..reading import rows_of

    rows = rows_of(job.client, job.connection, job.handle, job.node)
    if rows is None:
        output.without_rows(sink, job.connection, job.handle, job.node, is_all=False)
    return rows


def _texts(some: Sequence[_Read], codes: Codes) -> Iterator[list[str | None]]:
    for job, rows in some:
        with codes.of(job.node), _tags_told(job):
            yield from rows.texts()


def _objects(some: Sequence[_Read], codes: Codes, between: str) -> Iterator[str]:
    from .json_rows import objects

    for read in some:
        job, rows = read
        with codes.of(job.node), _tags_told(job):
            pieces = rows.pieces(words=True)
            yield from objects(read.names, rows.types, pieces, encoding=rows.encoding, between=between)


def _write_csv(sink: Sink, some: Sequence[_Read], codes: Codes) -> None:
    for read in some:
        first = some[0]
        with codes.of(read.job.node), _tags_told(read.job):
            if read.names != first.names:
                raise UserError(
                    f"its columns are not those of node {first.job.node}, so that they are no CSV together",
                    hint=f"pg-background result --node {read.job.node} "
                    f"{read.job.handle.pid}:{read.job.handle.cookie}",
                )
            write_csv(sink, read.rows, header=read is first)


def _tags_told(job: JobThere) -> Any:
    """Tell the tags of statements before the one that has the rows."""
    return shown(job.connection, lambda tag: note(f"{of_node(job.node)}{tag}"))
