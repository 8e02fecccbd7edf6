"""The package as a wheel with a compiled library has it."""

from __future__ import annotations

import shutil
from pathlib import Path

from pg_background.server import Build, Installation


def lay_out(folder: Path, extension: Build, installation: Installation) -> Path:
    """Make the folder that such a wheel has; return the library in it."""
    shared = folder / "share" / "extension"
    library = folder / "lib" / str(installation.major) / extension.library.name
    for path in (shared, library.parent):
        path.mkdir(parents=True)
    for path in (*extension.controls, *extension.scripts):
        shutil.copyfile(path, shared / path.name)
    shutil.copyfile(extension.library, library)
    return library
