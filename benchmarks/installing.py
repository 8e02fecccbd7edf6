"""Install in each way, from an empty Debian to a job's rows: `make bench-install`, as root on Debian.

Prints the table of docs/install.md: how long each took, what it downloaded and what it left on disk.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from tools import clean_root, deb, images, rpm
from tools.clean_root import CleanRoot
from tools.needs import require

from .install_ways import Way, ways

#: Where the commands run.
_WORK = Path("root/work")

#: Not what was installed: what was brought or downloaded, and the data of servers.
_NOT_COUNTED = (
    *("dev", "proc", str(_WORK / "dist"), str(_WORK / "image"), "tmp", "var/cache", "var/lib/apt", "var/log"),
    *("var/lib/postgresql", "var/lib/pg_background/data-18", "home/postgres/data"),
)

_UNITS = {"B": 1, "bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_DOWNLOADED = re.compile(
    r"^Need to get ([\d.,]+) (B|kB|MB|GB)(?:/\S+ \w+)? of archives"
    r"|^\s*Downloading \S+ \(([\d.]+) (bytes|kB|MB)\)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Cost:
    """What a step took."""

    seconds: float
    downloaded: float
    on_disk: float


def downloaded(said: str) -> float:
    """Return how many bytes apt and pip say that they fetched."""
    return sum(
        float((apt or pip).replace(",", "")) * _UNITS[of_apt or of_pip]
        for apt, of_apt, pip, of_pip in _DOWNLOADED.findall(said)
    )


def on_disk(paths: Iterable[Path]) -> float:
    """Return how many bytes files take, together."""
    done = subprocess.run(
        ["du", "--summarize", "--total", "--bytes", "--one-file-system", *paths],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1].split()[0])


def installed(root: CleanRoot) -> float:
    """Return how much of a root is not left out."""
    left_out = [root.path / name for name in _NOT_COUNTED if (root.path / name).exists()]
    return on_disk([root.path]) - (on_disk(left_out) if left_out else 0)


def run(root: CleanRoot, commands: str) -> tuple[str, float]:
    """Run commands where they are meant to run; return what they printed, and the seconds."""
    begun = time.monotonic()
    said = root.script(f"cd /{_WORK}\n{commands}")
    return said, time.monotonic() - begun


def measure(way: Way, folder: Path) -> tuple[Cost, Cost]:
    """Install in this way; return what it took to prepare for it, and then.

    Raises:
        AssertionError: it did not end with the rows that it should.
    """
    brought = folder / "brought"
    brought.mkdir()
    # What it says of it is no line of the table.
    with redirect_stdout(sys.stderr):
        way.bring(brought)
    if way.is_root:
        begun = time.monotonic()
        root = CleanRoot(unpack(brought / "image", folder / "root"))
        unpacking = time.monotonic() - begun
        (root.path / _WORK).mkdir(parents=True)
        first, before = Cost(0, 0, 0), 0.0
    else:
        root = clean_root.make(folder / "root")
        (root.path / _WORK).mkdir()
        unpacking, empty = 0.0, installed(root)
        said, seconds = run(root, way.prepare)
        first = Cost(seconds, downloaded(said), installed(root) - empty)
        shutil.copytree(brought, root.path / _WORK, dirs_exist_ok=True)
        before = installed(root)
    said, seconds = run(root, way.commands)
    last = said.rstrip().splitlines()[-1]
    assert last == way.answer, f"{way.title} ended with: {last}"
    return first, Cost(seconds + unpacking, downloaded(said) + on_disk([brought]), installed(root) - before)


def unpack(image: Path, folder: Path) -> Path:
    """Make a root of an image, as what runs containers does."""
    folder.mkdir()
    for layer in images.layers(image):
        with tarfile.open(layer) as archive:
            archive.extractall(folder, filter="fully_trusted", numeric_owner=True)
    return folder


def row(way: Way, first: Cost, then: Cost) -> str:
    """Return its line of the table."""
    before = f"{way.given}: {first.seconds:.0f} s, {first.on_disk / 1e6:.0f} MB" if way.prepare else way.given
    return (
        f"| {way.title} | {before} | {then.seconds:.0f} s | {then.downloaded / 1e6:.1f} MB "
        f"| {then.on_disk / 1e6:.1f} MB |"
    )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pg_background-installing-", dir="/var/tmp") as name:
        # The servers in it run as other users.
        Path(name).chmod(0o755)
        yield Path(name)


def main() -> None:
    """Measure, and print the table at the end."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", default="", help="ways whose title has this word")
    only = parser.parse_args().only
    require({**clean_root.PROGRAMS, **deb.PROGRAMS, **rpm.PROGRAMS, **images.PROGRAMS})
    table = [
        "| way | there before: time, on disk | to a job's rows | downloaded | on disk |",
        "|---|---|---|---|---|",
    ]
    failed = False
    loads = []
    for way in ways():
        if only not in way.title:
            continue
        try:
            with _folder() as folder:
                table.append(row(way, *measure(way, folder)))
            # Known at once: what makes the packages says a lot meanwhile.
            print(table[-1], file=sys.stderr, flush=True)
        except clean_root.NotHereError as error:
            sys.exit(f"error: {error}")
        except AssertionError as error:
            failed = True
            print(f"{way.title} failed: {error}", file=sys.stderr)
        loads.append(os.getloadavg()[0])
    print(*table, sep="\n")
    if loads:
        print(f"\n{os.cpu_count()} processors, which {min(loads):.0f} to {max(loads):.0f} processes wanted.")
    sys.exit(failed)


if __name__ == "__main__":
    main()
