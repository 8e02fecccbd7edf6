"""How rows are printed: a table to be read, or CSV or JSON to be processed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Annotated

import typer

from ..client.names import unique
from .given import Given
from .tables import Column, print_table


class Format(Enum):
    """What rows are printed as."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def _format(
    ctx: typer.Context,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", envvar="PG_BACKGROUND_JSON", help="Print a JSON array with an object for each row."
        ),
    ] = False,
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv", envvar="PG_BACKGROUND_CSV", help="Print CSV with a header, as COPY would; NULL is empty."
        ),
    ] = False,
) -> Format:
    if as_json and as_csv:
        # What is typed wins over what the environment says.
        typed = [
            name
            for name in ("as_json", "as_csv")
            if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"
        ]
        if len(typed) != 1:
            raise typer.BadParameter("--json and --csv exclude each other")
        return Format.JSON if typed == ["as_json"] else Format.CSV
    return Format.JSON if as_json else Format.CSV if as_csv else Format.TABLE


FormatGiven = Annotated[Format, Given(_format)]


def print_rows(format: Format, columns: Sequence[Column], rows: Iterable[Sequence[str | None]]) -> None:
    """Print texts.

    Args:
        columns: their names must differ where objects are made of them.
        rows: for JSON the texts are JSON already; None is NULL.
    """
    if format is Format.JSON:
        _print_json([column.name for column in columns], rows)
    elif format is Format.CSV:
        typer.echo(_csv_line([column.name for column in columns]))
        for row in rows:
            typer.echo(_csv_line(row))
    else:
        print_table(columns, rows)


def _print_json(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    keys = [json.dumps(name, ensure_ascii=False) for name in unique(names)]
    between = ""
    for row in rows:
        pairs = ", ".join(f"{key}: {value or 'null'}" for key, value in zip(keys, row, strict=True))
        typer.echo(f"{between or '['}\n  {{{pairs}}}", nl=False)
        between = ","
    typer.echo("\n]" if between else "[]")


def _csv_line(values: Sequence[str | None]) -> str:
    # A lone empty line would be no row for most readers, and \. the end for COPY.
    return ",".join("" if value is None else _csv_value(value) for value in values)


def _csv_value(value: str) -> str:
    if not value or value == "\\." or any(mark in value for mark in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value
