"""Write the scripts that update from the C extension: `python -m tools.update_scripts [--check]`.

PostgreSQL reads one file for an update, so each has all of the install script in it, with what differs:
objects are replaced where they are there, and `extension/updates` comes before and after.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

EXTENSION = Path(__file__).parents[1] / "extension"
UPDATES = EXTENSION / "updates"
TARGET = "3.0"
INSTALL = EXTENSION / "sql" / f"pg_background--{TARGET}.sql"


@dataclass(frozen=True)
class Old:
    """An object of that version."""

    name: str
    #: of a function, in parentheses
    arguments: str = ""
    kind: str = "FUNCTION"


@dataclass(frozen=True)
class Origin:
    """A version to update from."""

    version: str
    #: statements that come first
    first: tuple[str, ...]
    #: what differs in its result or columns or is covered by another's defaults, and what has no successor;
    #: what goes together is together, each before what it depends on
    replaced: tuple[tuple[Old, ...], ...]
    #: types that stay as they are
    types: frozenset[str]
    #: views that are there
    views: frozenset[str]

    @property
    def path(self) -> Path:
        """The script."""
        return EXTENSION / "sql" / f"pg_background--{self.version}--{TARGET}.sql"


ORIGINS = (
    Origin(
        "1.8",
        # the same columns: its users keep them
        ("ALTER TYPE pg_background_progress RENAME TO pg_background_progress_info;",),
        (
            (Old("pg_background_launch", "(text, int4)"),),
            (Old("pg_background_wait_v2", "(int4, int8)"),),
            (Old("pg_background_cancel_v2", "(int4, int8)"),),
            (Old("pg_background_stats_v2", "()"), Old("pg_background_stats", kind="TYPE")),
        ),
        frozenset({"pg_background_handle", "pg_background_progress_info"}),
        frozenset(),
    ),
    Origin(
        "2.0",
        (),
        ((Old("pg_background_record_timeout", "()"),),),
        frozenset(
            {
                "pg_background_handle",
                "pg_background_stats",
                "pg_background_progress_info",
                "pg_background_result_info",
                "pg_background_error",
                "pg_background_outcome",
                "pg_background_run_result",
            }
        ),
        frozenset({"pg_background_list", "pg_background_activity"}),
    ),
)


def script(origin: Origin) -> str:
    """Return the text of an update script."""
    head, body = INSTALL.read_text().split("\n-- ---- types\n", 1)
    _, *preamble = head.split("\n\n")
    return "\n".join(
        (
            "-- complain if the script is sourced in psql rather than by ALTER EXTENSION",
            '\\echo Use "ALTER EXTENSION pg_background UPDATE" to load this file. \\quit',
            "",
            f"-- Made by tools/update_scripts.py of {INSTALL.name} and extension/updates: change those.",
            "",
            *preamble,
            *_before(origin),
            "-- ---- types",
            replacing(body, origin).rstrip(),
            "",
            _part("after"),
        )
    )


def _before(origin: Origin) -> Iterator[str]:
    rows = ",\n      ".join(
        f"(jsonb '{json.dumps([asdict(old) for old in group])}')" for group in origin.replaced
    )
    signatures = (f"'{signature}'" for signature in _signatures(INSTALL.read_text()))
    views = (f"'%s.{view}'" for view in sorted(origin.views))
    texts = {
        "@FUNCTIONS@": ",\n      ".join(signatures),
        "@VIEWS@": ", ".join(views),
        "@REPLACED@": rows,
        "@SUFFIX@": origin.version.replace(".", "_"),
    }
    part = _part("before")
    for mark, text in texts.items():
        part = part.replace(mark, text)
    yield part
    for statement in origin.first:
        yield statement + "\n"


def _signatures(install: str) -> Iterator[str]:
    """Yield each function as to_regprocedure() finds it, for format() with the schema as its one argument."""
    made = re.findall(r"^CREATE (?:FUNCTION|PROCEDURE) (\w+)\(([^()]*)\)", install, flags=re.MULTILINE)
    for name, declared in made:
        parameters = [" ".join(parameter.split()) for parameter in declared.split(",") if parameter.strip()]
        types = (
            re.sub(r" DEFAULT .*", "", parameter).rsplit(" ", 1)[1]
            for parameter in parameters
            if not parameter.startswith("OUT ")
        )
        found = (re.sub(r"^pg_background_", r"%1$s.pg_background_", type_) for type_ in types)
        yield f"%1$s.{name}({', '.join(found)})"


def _part(name: str) -> str:
    """Return a part with the query for the extension's members where it needs that."""
    text = (UPDATES / f"{name}.sql").read_text()
    for indent in re.findall(r"^( *)@MEMBERS@$", text, flags=re.MULTILINE):
        query = textwrap.indent((UPDATES / "members.sql").read_text().rstrip(), indent)
        text = text.replace(f"{indent}@MEMBERS@", query)
    return text


def replacing(install: str, origin: Origin) -> str:
    """Return the statements of the install script, so that they work where that version is."""
    for name in origin.types:
        install = _substituted(rf"^CREATE TYPE {name} AS \([^;]*\);\n\n", "", install)
    for name in origin.views:
        install = _substituted(rf"^CREATE VIEW {name} AS$", f"CREATE OR REPLACE VIEW {name} AS", install)
    return re.sub(r"^CREATE (FUNCTION|PROCEDURE) ", r"CREATE OR REPLACE \1 ", install, flags=re.MULTILINE)


def _substituted(pattern: str, new: str, text: str) -> str:
    text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{INSTALL.name} has {count} matches of {pattern}")
    return text


def main() -> None:
    """Write the scripts, or say which differ."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a script is not up to date"
    )
    check = parser.parse_args().check
    for origin in ORIGINS:
        wanted = script(origin)
        if check and not (origin.path.exists() and origin.path.read_text() == wanted):
            sys.exit(f"{origin.path.name} is not up to date: run python -m tools.update_scripts")
        if not check:
            origin.path.write_text(wanted)


if __name__ == "__main__":
    main()
