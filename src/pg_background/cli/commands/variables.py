"""`pg-background variables`: the environment variables that stand for options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from ..options.given import command


@command("variables")
def variables() -> None:
    """List the environment variables that stand for options.

    An option that is typed wins over its variable. Flags are set by 1, and several values are separated by
    blanks. What libpq knows, such as PGHOST or PGPASSFILE, is not listed: see psql's manual.
    """
    lines = found()
    width = max(map(len, lines))
    for name in sorted(lines):
        typer.echo(f"{name:<{width}}  {', '.join(lines[name])}")


def found() -> dict[str, list[str]]:
    """Return for each variable what it stands for: options, with the commands that have them."""
    from ..group import COMMANDS, load

    users: dict[str, dict[str, list[str]]] = {}
    for commands in COMMANDS.values():
        for name in commands:
            for path, made in _with_own(name, load(name)):
                for parameter in made.params:
                    if parameter.envvar:
                        option = max(parameter.opts, key=len)
                        users.setdefault(parameter.envvar, {}).setdefault(option, []).append(path)
    return {
        variable: [f"{option} of {_some(paths)}" for option, paths in options.items()]
        for variable, options in users.items()
    }


def _with_own(name: str, made: Any) -> Iterator[tuple[str, Any]]:
    """Yield a command, or those of a group."""
    own = getattr(made, "commands", None)
    if own is None:
        yield name, made
    else:
        for inner, each in own.items():
            yield f"{name} {inner}", each


def _some(paths: list[str]) -> str:
    return ", ".join(paths) if len(paths) <= 4 else f"{len(paths)} commands"
