"""Build the extension for one server: `python -m tools.build 18`, or with a pg_config's path."""

from __future__ import annotations

import argparse
import sys

from pg_background.server import Installation, ServerError, build

from . import pgxs
from .servers import find


def main() -> None:
    """Build, and print what was built."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", help="version of PostgreSQL, as 18 or 15-assert; fetched if need be")
    parser.add_argument("--pg-config", default="", help="use this server instead")
    parser.add_argument(
        "--by", choices=("meson", "pgxs"), default="meson", help="pgxs, as for source releases"
    )
    arguments = parser.parse_args()
    try:
        installation = (
            Installation.from_pg_config(arguments.pg_config) if arguments.pg_config else find(arguments.name)
        )
        built = build(installation) if arguments.by == "meson" else pgxs.build(installation)
    except ServerError as error:
        sys.exit(f"error: {error}")
    print(f"{built.library} for PostgreSQL {installation.version}")


if __name__ == "__main__":
    main()
