"""Try the Debian packages in build/deb as Debian does, after `make deb`: `python -m tools.autopkgtest`.

They are installed by apt into a Debian with nothing else in it, and there the release's own tests run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from . import clean_root
from .clean_root import CleanRoot, NotHereError
from .needs import require
from .release_tree import ROOT

PROGRAMS = {"autopkgtest": "autopkgtest", **clean_root.PROGRAMS}


def run(folder: Path, root: CleanRoot) -> str:
    """Try the packages in a folder, and return what was said meanwhile.

    Args:
        root: knows what Debian's archive has; it becomes the Debian that they are tried in, which is none to
            go on with.

    Raises:
        AssertionError: a test failed.
    """
    (source,) = folder.glob("*.dsc")
    packages = sorted(folder.glob("*.deb"))
    return root.beside("autopkgtest", *map(str, packages), str(source), "--", "chroot", str(root.path))


def main() -> None:
    """Try them, and print what was said."""
    require(PROGRAMS)
    built = ROOT / "build" / "deb"
    if not list(built.glob("*.dsc")):
        sys.exit('error: there are no packages: "make deb" builds them')
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        try:
            root = clean_root.make(Path(folder) / "root")
            root.update()
            print(run(built, root))
        except (NotHereError, AssertionError) as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
