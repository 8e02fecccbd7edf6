"""The list of commands: each is loaded when it is called, so that the list itself is quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from .errors.failures import told
from .page import PlainCommand, write_epilog
from .signals import raised

#: By heading: each command, with the first sentence of its help. Its module has its name.
COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Run SQL": {
        "run": "Run SQL in a background worker, and print the rows of its last statement.",
        "launch": "Start a job and print its handle, which `result` and the other commands take.",
        "submit": "Start a job whose rows are not kept, and print its handle.",
        "backfill": "Run a statement over a big table, in small jobs that commit by themselves.",
    },
    "Jobs": {
        "ps": "List the jobs of the server that have not ended, of all sessions and databases.",
        "top": "Show all jobs of the server on a screen, live; cancel them, and see their SQL and errors.",
        "show": "Show all that is known of a job: its state, what it waits for, its SQL, error and columns.",
        "wait": "Wait until jobs have ended, and print the handle and the state of each that has.",
        "result": "Wait until a job has ended, and print its rows or its error.",
        "cancel": "Cancel jobs: what they have done is rolled back.",
        "detach": "Forget jobs: they go on and commit, but their rows are dropped.",
    },
    "Servers": {
        "web": "Serve a web page of all jobs of one or many servers: what runs, what ran and what it cost.",
        "doctor": "Check a server and database for pg_background, and say how to fix what is wrong.",
        "exporter": "Serve metrics of the jobs of one or many servers, for Prometheus.",
        "mcp": "Let agents start, watch and cancel jobs, by the Model Context Protocol.",
        "drain": "Refuse new jobs, wait for those that run, and cancel the rest: before a restart.",
        "install": "Install the extension into a PostgreSQL.",
        "uninstall": "Remove the extension's files from a PostgreSQL.",
        "server": "A PostgreSQL of your own, with the extension in it.",
    },
    "Help": {
        "variables": "List the environment variables that stand for options.",
    },
}

#: Of `commands`, by heading.
_FOLDER_OF_HEADING = {"Run SQL": ".sql", "Jobs": ".jobs", "Servers": ".servers", "Help": ""}
_FOLDERS = {
    name: f"commands{_FOLDER_OF_HEADING[heading]}"
    for heading, commands in COMMANDS.items()
    for name in commands
}
_SUMMARIES = {name: summary for commands in COMMANDS.values() for name, summary in commands.items()}


def load(name: str) -> Any:
    """Return the command of this name, with its options."""
    module = import_module(f".{_FOLDERS[name]}.{name}", __package__)
    if isinstance(made := getattr(module, "app", None), typer.Typer):
        return typer.main.get_command(made)
    function = getattr(module, name)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=getattr(function, "command_class", PlainCommand))(function)
    return typer.main.get_command(alone)


class LazyGroup(TyperGroup):
    """Knows of each command the name and what it is for; loads the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, summary in _SUMMARIES.items():
            self.commands[name] = TyperCommand(name, short_help=summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is called, or completed."""
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and load(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Call it; what goes wrong in it ends as a message and an exit code."""
        with told(), raised():
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list, under its headings."""
        width = max(map(len, _SUMMARIES))
        for heading, commands in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", text) for name, text in commands.items()])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write it as it is, as it has lines of its own."""
        write_epilog(self.epilog or "", formatter)
