"""What Hatchling asks when it builds a wheel: which compiled libraries go into it, and what it is called.

`tools.wheels` says so by two variables; without them the wheel is for every platform.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: A folder, as `pg_background.server.prebuilt` wants it.
LIBRARIES = "PG_BACKGROUND_WHEEL_LIBRARIES"
#: The platform, as manylinux_2_17_x86_64
PLATFORM = "PG_BACKGROUND_WHEEL_PLATFORM"


class WheelHook(BuildHookInterface):
    """See the module."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the libraries to the wheel."""
        folder = os.environ.get(LIBRARIES)
        if not folder or version == "editable":
            return
        if not Path(folder).is_dir():
            raise SystemExit(f'{LIBRARIES}: there is no folder "{folder}"')
        build_data["force_include"][folder] = "pg_background/_server"
        # They are the server's, not Python's: any Python 3 will do.
        build_data["tag"] = f"py3-none-{os.environ[PLATFORM]}"
        build_data["pure_python"] = False
