"""The files of a source release, which PGXS builds with the server's headers alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PGXS = ROOT / "packaging" / "pgxs"

#: What README and documentation lead to. The site and the API of the Python package are not in it.
DOCUMENTS = ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
_NOT_DOCUMENTS = shutil.ignore_patterns("site", "api", "pg-background.1", "__pycache__", ".*")
_CODE = shutil.ignore_patterns("__pycache__", ".*")

_PRE_RELEASE = {"": "stable", "dev": "unstable", "a": "unstable", "b": "testing", "rc": "testing"}


def version() -> tuple[str, str]:
    """Return the version as PGXN wants it, 3.0.0 or 3.0.0-dev0, and what it calls its state."""
    found = re.search(
        r'^version = "(\d+\.\d+\.\d+)(?:\.?(a|b|rc|dev)(\d+))?"$',
        (ROOT / "pyproject.toml").read_text(),
        flags=re.MULTILINE,
    )
    if found is None:
        raise SystemExit("error: pyproject.toml has no version that can be released")
    number, kind, count = found.groups(default="")
    return number + (f"-{kind}{count}" if kind else ""), _PRE_RELEASE[kind]


def metadata() -> str:
    """Return META.json with this version in it."""
    meta = json.loads((PGXS / "META.json").read_text())
    number, state = version()
    for described in (meta, *meta["provides"].values()):
        described["version"] = number
    meta["release_status"] = state
    return json.dumps(meta, indent=4, ensure_ascii=False) + "\n"


def lay_out(folder: Path, *, documents: bool = True) -> Path:
    """Make the folder with all that is released, and return it. It must not be there yet."""
    extension = ROOT / "extension"
    shutil.copytree(PGXS, folder, ignore=_CODE)
    shutil.copytree(extension / "src", folder / "src", ignore=_CODE)
    for path in (extension / "exports.map", *extension.glob("*.control"), *extension.glob("sql/*.sql")):
        shutil.copyfile(path, folder / path.name)
    (folder / "META.json").write_text(metadata())
    if documents:
        for name in DOCUMENTS:
            shutil.copyfile(ROOT / name, folder / name)
        for name in ("docs", "examples", "monitoring"):
            shutil.copytree(ROOT / name, folder / name, ignore=_NOT_DOCUMENTS)
    # Cython is beside the Python that runs this.
    search_path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    subprocess.run(
        [sys.executable, folder / "c_source.py", folder / "src", folder / "pg_background.c"],
        env={**os.environ, "PATH": search_path},
        check=True,
    )
    return folder
