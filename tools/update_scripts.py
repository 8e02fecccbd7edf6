"""Write the scripts that update from older versions: `python -m tools.update_scripts [--check]`.

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
from dataclasses import asdict, dataclass, field
from pathlib import Path

EXTENSION = Path(__file__).parents[1] / "extension"

#: Statements of an install script that make what can't be made again; each ends with a blank line.
_STATEMENTS = {
    "TYPE": r"^CREATE TYPE (\w+) AS \([^;]*\);\n\n",
    "TABLE": r"^CREATE TABLE (\w+) \([^;]*\);\n\n",
    "INDEX": r"^CREATE INDEX (\w+) [^;]*;\n\n",
    "CAST": r"^CREATE CAST (\(.*?\)) [^;]*;\n\n",
    "VIEW": r"^CREATE VIEW (\w+)\b[^;]*;\n\n",
}


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
    first: tuple[str, ...] = ()
    #: what differs in its result or columns or is covered by another's defaults, and what has no successor;
    #: what goes together is together, each before what it depends on
    replaced: tuple[tuple[Old, ...], ...] = ()
    #: what is there and stays, by kind: types and views of versions in C; of ours the install script says it
    there: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Release:
    """What an extension is updated to, and from where."""

    extension: str
    target: str
    origins: tuple[Origin, ...]
    #: `extension/`, with the scripts in `sql`
    folder: Path = EXTENSION

    @property
    def install(self) -> Path:
        """The install script."""
        return self.installing(self.target)

    def installing(self, version: str) -> Path:
        """Return the path of a version's install script."""
        return self.folder / "sql" / f"{self.extension}--{version}.sql"

    def updating(self, origin: Origin) -> Path:
        """Return the path of an update script."""
        return self.folder / "sql" / f"{self.extension}--{origin.version}--{self.target}.sql"

    def there(self, origin: Origin) -> dict[str, frozenset[str]]:
        """Return what of an origin stays as it is, by kind.

        Raises:
            SystemExit: the origin is one of ours, and something of it is gone or changed without a word.
        """
        path = self.installing(origin.version)
        if not path.exists():
            return origin.there
        replaced = {old.name for group in origin.replaced for old in group}
        before, after = path.read_text(), self.install.read_text()
        there = {}
        for kind in _STATEMENTS:
            old, new = made(before, kind), made(after, kind)
            there[kind] = frozenset(old.keys() - replaced)
            for name in sorted(there[kind]):
                changed = kind != "VIEW" and old[name] != new.get(name)
                if name not in new or (changed and not any(name in text for text in origin.first)):
                    sys.exit(_unsaid(path, self.install, f"{kind.lower()} {name}"))
        for signature in sorted(set(signatures(before)) - set(signatures(after))):
            function = signature.replace("%1$s.", "")
            if function.partition("(")[0] not in replaced:
                sys.exit(_unsaid(path, self.install, f"function {function}"))
        return there


RELEASES = (
    Release(
        "pg_background",
        "3.0",
        (
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
                {"TYPE": frozenset({"pg_background_handle", "pg_background_progress_info"})},
            ),
            Origin(
                "2.0",
                (),
                ((Old("pg_background_record_timeout", "()"),),),
                {
                    "TYPE": frozenset(
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
                    "VIEW": frozenset({"pg_background_list", "pg_background_activity"}),
                },
            ),
        ),
    ),
    Release("pg_background_cluster", "3.0", ()),
)


def _unsaid(before: Path, after: Path, what: str) -> str:
    return (
        f"{after.name} has no {what} as {before.name} has: say in tools/update_scripts.py what becomes of it"
    )


def made(install: str, kind: str) -> dict[str, str]:
    """Return the statements that make objects of a kind, by name."""
    return {found[1]: found[0] for found in re.finditer(_STATEMENTS[kind], install, flags=re.MULTILINE)}


def script(release: Release, origin: Origin) -> str:
    """Return the text of an update script."""
    head, body = release.install.read_text().split("\n-- ---- types\n", 1)
    _, *preamble = head.split("\n\n")
    there = release.there(origin)
    return "\n".join(
        (
            "-- complain if the script is sourced in psql rather than by ALTER EXTENSION",
            f'\\echo Use "ALTER EXTENSION {release.extension} UPDATE" to load this file. \\quit',
            "",
            "-- Made by tools/update_scripts.py of "
            f"{release.install.name} and extension/updates: change those.",
            "",
            "\n\n".join(preamble).rstrip() + "\n",
            *_before(release, origin, there),
            "-- ---- types",
            replacing(body, there, release.install.name).rstrip(),
            "",
            _part(release, "after"),
        )
    )


def _before(release: Release, origin: Origin, there: dict[str, frozenset[str]]) -> Iterator[str]:
    install = release.install.read_text()
    groups = [[asdict(old) for old in group] for group in origin.replaced] or [[]]
    texts = {
        "@FUNCTIONS@": _quoted(signatures(install)),
        "@BEFORE_16@": _quoted(signatures(install, before_16=True)),
        "@VIEWS@": ", ".join(f"'%s.{view}'" for view in sorted(there.get("VIEW", ()))),
        "@REPLACED@": ",\n      ".join(f"(jsonb '{json.dumps(group)}')" for group in groups),
        "@SUFFIX@": origin.version.replace(".", "_"),
    }
    part = _part(release, "before")
    for mark, text in texts.items():
        part = part.replace(mark, text)
    yield part
    for statement in origin.first:
        yield statement + "\n"


def _quoted(texts: Iterator[str]) -> str:
    return ",\n      ".join(f"'{text}'" for text in texts)


def signatures(install: str, *, before_16: bool = False) -> Iterator[str]:
    """Yield each function as to_regprocedure() finds it, for format() with the schema as its one argument.

    Args:
        before_16: those that the script makes on older servers only, of a list of texts.
    """
    begin = r"^    '" if before_16 else r"^CREATE (?:FUNCTION|PROCEDURE) "
    own = made(install, "TYPE")
    for name, declared in re.findall(rf"{begin}(\w+)\(([^()]*)\)", install, flags=re.MULTILINE):
        parameters = [" ".join(parameter.split()) for parameter in declared.split(",") if parameter.strip()]
        types = (
            re.sub(r" DEFAULT .*", "", parameter).rsplit(" ", 1)[1]
            for parameter in parameters
            if not parameter.startswith("OUT ")
        )
        found = (f"%1$s.{type_}" if type_.removesuffix("[]") in own else type_ for type_ in types)
        yield f"%1$s.{name}({', '.join(found)})"


def _part(release: Release, name: str) -> str:
    """Return a part with the query for the extension's members where it needs that."""
    text = (EXTENSION / "updates" / f"{name}.sql").read_text()
    for indent in re.findall(r"^( *)@MEMBERS@$", text, flags=re.MULTILINE):
        query = textwrap.indent((EXTENSION / "updates" / "members.sql").read_text().rstrip(), indent)
        text = text.replace(f"{indent}@MEMBERS@", query)
    return text.replace("@EXTENSION@", release.extension)


def replacing(install: str, there: dict[str, frozenset[str]], name: str) -> str:
    """Return the statements of the install script, so that they work where these objects are."""
    for kind, names in there.items():
        statements = made(install, kind)
        for missing in names - statements.keys():
            raise SystemExit(f"{name} makes no {kind} {missing}")
        for statement in (statements[found] for found in names):
            new = statement.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1) if kind == "VIEW" else ""
            install = install.replace(statement, new)
    install = re.sub(r"^CREATE (FUNCTION|PROCEDURE) ", r"CREATE OR REPLACE \1 ", install, flags=re.MULTILINE)
    return install.replace("'CREATE FUNCTION %s AS", "'CREATE OR REPLACE FUNCTION %s AS")


def main() -> None:
    """Write the scripts, or say which differ."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a script is not up to date"
    )
    check = parser.parse_args().check
    for release in RELEASES:
        for origin in release.origins:
            path, wanted = release.updating(origin), script(release, origin)
            if check and not (path.exists() and path.read_text() == wanted):
                sys.exit(f"{path.name} is not up to date: run python -m tools.update_scripts")
            if not check:
                path.write_text(wanted)


if __name__ == "__main__":
    main()
