"""List what comes with the package, in the form of CycloneDX: `python -m tools.sbom`.

The wheel is installed into an empty environment, as pip does it for a user; what is there then is listed,
with versions, licences and where each comes from.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Without the version, which is in it: the workflow of a release names the file.
NAME = "pg_background.cdx.json"


def wheel_in(folder: Path) -> Path:
    """Return the wheel without a platform, whose needs are those of all.

    Raises:
        SystemExit: there is none, or there are several.
    """
    found = sorted(folder.glob("pg_background-*-any.whl"))
    if len(found) != 1:
        raise SystemExit(f"error: {len(found)} wheels for every platform in {folder}, not one: make wheels")
    return found[0]


def make(wheel: Path, into: Path) -> Path:
    """Make the list of a wheel and return it."""
    target = into / NAME
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        # Without pip, which is none of it.
        for command in (
            ["venv", "--without-pip", str(environment)],
            ["pip", "--python", str(environment), "install", "--quiet", str(wheel)],
            [
                *("cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml")),
                *("--mc-type", "library", "--output-reproducible", "--output-file", str(target)),
                str(environment),
            ],
        ):
            done = subprocess.run([sys.executable, "-m", *command], check=False)
            if done.returncode:
                raise SystemExit(f"error: {command[0]} failed")
    return target


def main() -> None:
    """Make it, and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    dist = ROOT / "dist"
    parser.add_argument("--into", type=Path, default=dist / "sbom", help="folder for it")
    print(make(wheel_in(dist), parser.parse_args().into))


if __name__ == "__main__":
    main()
