"""Make the documentation site: `make docs`.

It lies in build/docs, in a folder for its release, and works from there as from a web server. A warning
is a failure: a page that nothing leads to, a link to nothing, a docstring that can't be read. The folders of
other releases that lie there are among those to choose from.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[1]
SITES = ROOT / "build" / "docs"

#: What the site's own address leads to.
INDEX = """\
<!doctype html>
<meta charset="utf-8">
<title>pg_background</title>
<meta http-equiv="refresh" content="0; url={release}/index.html">
<a href="{release}/index.html">pg_background {release}</a>
"""


def list_releases(sites: Path) -> list[str]:
    """Name the releases that are there, the newest first, in what each page reads; lead to one of them."""
    found = sorted((index.parent.name for index in sites.glob("*/index.html")), key=Version, reverse=True)
    (sites / "versions.js").write_text(f"window.PG_BACKGROUND_VERSIONS = {json.dumps(found)};\n")
    # As pip chooses: a version that is still in the making only if there is no other.
    final = [name for name in found if not Version(name).is_prerelease]
    (sites / "index.html").write_text(INDEX.format(release=(final or found)[0]))
    return found


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
    list_releases(SITES)
    print(site / "index.html")


if __name__ == "__main__":
    main()
