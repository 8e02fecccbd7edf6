"""What `run` and `result` print: the rows of a job, in the form that was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options.given import Given
from ..page import OUTPUT
from ..tags import shown
from .console import note, of_node
from .formats import CsvOption, Format, JsonLinesOption, JsonOption, chosen, write_objects
from .pager import write_paged
from .sink import Sink, opened
from .tables import Column, table
from .terminal import screen_size

if TYPE_CHECKING:
    import psycopg

    from ...client.client import Client
    from ...client.model import Handle
    from ..reading import Rows

#: From so many bytes on CSV is written, if not at its end.
_PIECE = 1 << 16


@dataclass(frozen=True)
class ResultOutput:
    """Where the rows of a job go, and in which form."""

    format: Format
    expanded: bool
    pages: bool
    file: Path | None

    def open(self) -> AbstractContextManager[Sink]:
        """Open it, before anything is run or read that could not be written."""
        return opened(self.file)

    def write(
        self,
        sink: Sink,
        client: Client[Any],
        connection: psycopg.Connection[Any],
        handle: Handle,
        node: str = "",
    ) -> None:
        """Write the result of a job that has succeeded.

        Args:
            node: the server, if there are several: each row is to say which.
        """
        from ..reading import rows_of

        rows = rows_of(client, connection, handle, node)
        if rows is None:
            self.without_rows(sink, connection, handle, node)
            return
        tags: list[str] = []
        with self._tags_told(connection, tags):
            sink.encoding = rows.encoding
            self._write_rows(sink, rows, tags)

    def without_rows(
        self,
        sink: Sink,
        connection: psycopg.Connection[Any],
        handle: Handle,
        node: str = "",
        *,
        is_all: bool = True,
    ) -> None:
        """Write the result of a job whose last statement has no columns.

        Args:
            node: as for `write`.
            is_all: whether nothing else is written.
        """
        from ..options.database import schema_of_extension
        from ..reading import without_columns

        tags: list[str] = []
        with self._tags_told(connection, tags):
            found = without_columns(connection, schema_of_extension(connection), handle)
        if isinstance(found, list):
            self.write_tags(sink, found, node, is_all=is_all)
        else:
            self._write_empty_rows(sink, found, tags)

    def _tags_told(
        self, connection: psycopg.Connection[Any], tags: list[str]
    ) -> AbstractContextManager[None]:
        # A table comes behind the tags; beside data they are remarks.
        return shown(connection, tags.append if self.format is Format.TABLE else note)

    def write_tags(self, sink: Sink, tags: list[str], node: str = "", *, is_all: bool = True) -> None:
        """Write the command tags of statements without rows; they are no data. See `without_rows`."""
        shown_tags = [f"{of_node(node)}{tag}" for tag in tags]
        if self.format is Format.TABLE:
            sink.lines(shown_tags)
            return
        for tag in shown_tags:
            note(tag)
        if self.format is Format.JSON and is_all:
            sink.write("[]\n")

    def _write_rows(self, sink: Sink, rows: Rows, tags: list[str]) -> None:
        if self.format is Format.CSV:
            write_csv(sink, rows)
        elif self.format is Format.TABLE:
            self.write_table(sink, rows.columns, rows.texts(), tags)
        else:
            from .json_rows import objects

            names = [column.name for column in rows.columns]
            pieces = rows.pieces(words=True)
            write_objects(
                sink,
                self.format,
                lambda between: objects(names, rows.types, pieces, encoding=rows.encoding, between=between),
            )

    def write_table(self, sink: Sink, columns: Any, texts: Any, tags: list[str]) -> None:
        """Write rows of texts, for people."""
        size = screen_size() if sink.is_screen else None
        lines = _behind(tags, table(columns, texts, expanded=self.expanded, room=size and size[0]))
        if size is not None and self.pages:
            write_paged(sink, lines, size[1])
        else:
            sink.lines(lines)

    def _write_empty_rows(self, sink: Sink, count: int, tags: list[str]) -> None:
        """Write rows without columns, of which there is nothing to show but how many they are."""
        columns: list[Column] = []
        if self.format is Format.TABLE:
            # Nothing at all is what an empty string of SQL gives.
            if count or tags:
                self.write_table(sink, columns, [()] * count, tags)
        elif self.format is not Format.CSV:
            write_objects(sink, self.format, lambda between: [between.join(["{}"] * count)] if count else [])


def _behind(tags: list[str], lines: Iterator[str]) -> Iterator[str]:
    """Yield the tags and then the lines; all tags have come when there is a first line."""
    first = list(islice(lines, 1))
    yield from chain(tags, first, lines)


def write_csv(sink: Sink, rows: Rows, *, header: bool = True) -> None:
    """Write rows as CSV."""
    some: list[bytes | memoryview] = []
    size = 0
    for piece in rows.csv(header=header):
        some.append(piece)
        size += len(piece)
        if size >= _PIECE:
            sink.write_bytes(b"".join(some))
            some, size = [], 0
    sink.write_bytes(b"".join(some))


def _output(
    ctx: typer.Context,
    as_json: JsonOption = False,
    as_jsonl: JsonLinesOption = False,
    as_csv: CsvOption = False,
    expanded: Annotated[
        bool,
        typer.Option(
            "--expanded",
            "-x",
            envvar="PG_BACKGROUND_EXPANDED",
            help="Print a line for each column of a row. So are rows that are wider than the terminal.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            envvar="PG_BACKGROUND_OUTPUT",
            help="Write the rows into this file.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    no_pager: Annotated[
        bool,
        typer.Option(
            "--no-pager",
            envvar="PG_BACKGROUND_NO_PAGER",
            help="Never show a long table in a pager. It is $PSQL_PAGER, else $PAGER, else less.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
) -> ResultOutput:
    format = chosen(ctx, as_json=as_json, as_jsonl=as_jsonl, as_csv=as_csv)
    return ResultOutput(format, expanded, not no_pager, output)


OutputGiven = Annotated[ResultOutput, Given(_output)]
