"""Values for the placeholders of SQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from .given import Given

if TYPE_CHECKING:
    from ...client.query import Params

_NAMED = re.compile(r"%\((\w+)\)[sbt]")


def params_of(sql: str, values: Sequence[str]) -> Params | None:
    """Return the parameters of a query: by name if it has placeholders with names, else in order.

    Raises:
        typer.BadParameter: the query has names and a value has none, or one that the query has not.
    """
    if not values:
        return None
    names = set(_NAMED.findall(sql))
    if not names:
        return list(values)
    found: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or name not in names:
            known = ", ".join(sorted(names))
            raise typer.BadParameter(f"--param {value}: write NAME=VALUE, where NAME is one of {known}")
        found[name] = text
    return found


def _values(
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            "-P",
            metavar="VALUE",
            envvar="PG_BACKGROUND_PARAM",
            help="Value for the next %s in the SQL, or NAME=VALUE for %(NAME)s. The server binds it; it is "
            "never pasted into the SQL. Where there are values, a percent sign is written %%.",
            show_default=False,
        ),
    ] = None,
) -> list[str]:
    return param or []


ParamsGiven = Annotated[list[str], Given(_values)]
