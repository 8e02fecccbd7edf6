"""A command's page of help: plain text, options by what they are about, and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

#: Headings of options that several commands share, which come after a command's own.
CONNECTION = "Connection"
OUTPUT = "Output"
JOB = "The job"


class PlainCommand(TyperCommand):
    """A command that shows its options under headings, and examples below, without the variables."""

    #: what stands after `pg-background`
    examples: Sequence[str] = ()

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for parameter in self.params:
            parameter.show_envvar = False  # type: ignore[attr-defined]
        self.examples = getattr(self.callback, "examples", ())

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the command's own options, and those that others have too."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for heading in (JOB, OUTPUT, CONNECTION):
            sections[heading] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument" and parameter.metavar:
                record = parameter.metavar, record[1]
            heading = getattr(parameter, "rich_help_panel", None) or (
                "Arguments" if parameter.param_type_name == "argument" else "Options"
            )
            sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        if self.examples:
            lines = "\n".join(f"  {ctx.find_root().info_name} {example}" for example in self.examples)
            write_epilog(f"Examples:\n{lines}\n", formatter)


def write_epilog(text: str, formatter: Any) -> None:
    """Write lines as they are."""
    formatter.write("\n" + text)
