"""Make the documentation site: `make docs`.

It lies in build/docs, in a folder for its release, and works from there as from a web server. A warning
is a failure: a page that nothing leads to, a link to nothing, a docstring that can't be read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITES = ROOT / "build" / "docs"


def main() -> None:
    """Exit with Sphinx's status."""
    site = SITES / version("pg_background")
    doctrees = ROOT / "build" / "doctrees"
    made = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n"),
            *("-c", ROOT / "docs" / "site", "-d", doctrees, ROOT, site),
        ],
        check=False,
    )
    if made.returncode:
        sys.exit(made.returncode)
    releases = sorted((found.parent.name for found in SITES.glob("*/index.html")), reverse=True)
    (SITES / "versions.js").write_text(f"window.PG_BACKGROUND_VERSIONS = {json.dumps(releases)};\n")
    print(site / "index.html")


if __name__ == "__main__":
    main()
