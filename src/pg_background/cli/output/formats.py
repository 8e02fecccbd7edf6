"""How rows are printed: a table to be read, or CSV or JSON to be processed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Annotated

import typer

from ...client.names import unique
from ..options.given import Given
from ..page import OUTPUT
from .sink import Sink, opened
from .tables import Column, table


class Format(Enum):
    """What rows are printed as."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSON_LINES = "jsonl"


JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        envvar="PG_BACKGROUND_JSON",
        help="Print a JSON array with an object for each row.",
        rich_help_panel=OUTPUT,
    ),
]
JsonLinesOption = Annotated[
    bool,
    typer.Option(
        "--jsonl",
        envvar="PG_BACKGROUND_JSONL",
        help="Print JSON lines: an object on a line for each row.",
        rich_help_panel=OUTPUT,
    ),
]
CsvOption = Annotated[
    bool,
    typer.Option(
        "--csv",
        envvar="PG_BACKGROUND_CSV",
        help="Print CSV with a header, as COPY does: NULL is empty, and an empty text has quotes.",
        rich_help_panel=OUTPUT,
    ),
]


def _format(
    ctx: typer.Context,
    as_json: JsonOption = False,
    as_jsonl: JsonLinesOption = False,
    as_csv: CsvOption = False,
) -> Format:
    return chosen(ctx, as_json=as_json, as_jsonl=as_jsonl, as_csv=as_csv)


FormatGiven = Annotated[Format, Given(_format)]

_BY_NAME = {"as_json": Format.JSON, "as_jsonl": Format.JSON_LINES, "as_csv": Format.CSV}


def chosen(ctx: typer.Context, **flags: bool) -> Format:
    """Return the format that the flags name; one that is typed wins over what the environment says.

    Raises:
        typer.BadParameter: they name several.
    """
    named = [name for name, is_set in flags.items() if is_set]
    if len(named) > 1:
        named = [name for name in named if is_typed(ctx, name)]
        if len(named) != 1:
            raise typer.BadParameter("--json, --jsonl and --csv exclude each other")
    return _BY_NAME[named[0]] if named else Format.TABLE


def is_typed(ctx: typer.Context, name: str) -> bool:
    """Tell whether a parameter stands on the command line, and not only in the environment."""
    return getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"


def print_rows(format: Format, columns: Sequence[Column], rows: Iterable[Sequence[str | None]]) -> None:
    """Print texts on stdout.

    Args:
        columns: their names must differ where objects are made of them.
        rows: for JSON the texts are JSON already; None is NULL.
    """
    with opened() as sink:
        if format in (Format.JSON, Format.JSON_LINES):
            objects = _objects([column.name for column in columns], rows)
            write_objects(sink, format, lambda between: [between.join(objects)] if objects else [])
        elif format is Format.CSV:
            sink.lines(_csv_line(line) for line in ([column.name for column in columns], *rows))
        else:
            sink.lines(table(columns, rows))


def write_objects(sink: Sink, format: Format, make: Callable[[str], Iterable[str]]) -> None:
    """Write JSON objects.

    Args:
        make: yields objects, many together, with this text between two.
    """
    if format is Format.JSON_LINES:
        for some in make("\n"):
            sink.write(f"{some}\n")
        return
    before = "[\n  "
    for some in make(",\n  "):
        sink.write(before + some)
        before = ",\n  "
    sink.write("[]\n" if before[0] == "[" else "\n]\n")


def _objects(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> list[str]:
    from .json_rows import string

    keys = [string(name) for name in unique(names)]
    return [
        "{" + ", ".join(f"{key}: {value or 'null'}" for key, value in zip(keys, row, strict=True)) + "}"
        for row in rows
    ]


def _csv_line(values: Sequence[str | None]) -> str:
    # A lone empty line would be no row for most readers, and \. the end for COPY.
    return ",".join("" if value is None else _csv_value(value) for value in values)


def _csv_value(value: str) -> str:
    if not value or value == "\\." or any(mark in value for mark in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value
