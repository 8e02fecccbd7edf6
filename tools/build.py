"""Build the extension for one server: `python -m tools.build 18`, or with a pg_config's path."""

from __future__ import annotations

import argparse
import subprocess
import sys

from pg_background.server import Installation, ServerError

from . import ways
from .servers import find


def main() -> None:
    """Build, and print what was built."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", help="version of PostgreSQL, as 18 or 15-assert; fetched if need be")
    parser.add_argument("--pg-config", default="", help="use this server instead")
    parser.add_argument(
        "--by", choices=ways.NAMES, default="meson", help="as a source release or a package brings it"
    )
    arguments = parser.parse_args()
    try:
        installation = (
            Installation.from_pg_config(arguments.pg_config) if arguments.pg_config else find(arguments.name)
        )
        built = ways.go(arguments.by, installation).build
    except ServerError as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error.cmd[0]} failed")
    print(f"{built.library} for PostgreSQL {installation.version}")


if __name__ == "__main__":
    main()
