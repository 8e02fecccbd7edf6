"""Make the source release, as an archive and as PGXN wants it: `python -m tools.source_release`.

The same sources give the same archives, to the bit: all times in them are that of the last commit, or
`SOURCE_DATE_EPOCH`.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

from .release_tree import ROOT, lay_out, version

#: A zip can't say an earlier time.
_EARLIEST = 315532800


def date() -> int:
    """Return when the release is said to be made."""
    if said := os.environ.get("SOURCE_DATE_EPOCH"):
        return max(int(said), _EARLIEST)
    done = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return max(int(done.stdout.strip() or 0), _EARLIEST)


def _mode(path: Path) -> int:
    return 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644


def make_tar(tree: Path, target: Path, when: int) -> None:
    """Pack the folder and all that is in it."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = when
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=when) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in (tree, *sorted(tree.rglob("*"))):
            archive.add(path, str(path.relative_to(tree.parent)), recursive=False, filter=plain)


def make_zip(tree: Path, target: Path, when: int) -> None:
    """Pack the files in the folder."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(tree.rglob("*")):
            if path.is_dir():
                continue
            member = zipfile.ZipInfo(str(path.relative_to(tree.parent)), time.gmtime(when)[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = _mode(path) << 16
            archive.writestr(member, path.read_bytes())


def make(into: Path) -> tuple[Path, Path]:
    """Make both archives, and return them."""
    name = f"pg_background-{version()[0]}"
    into.mkdir(parents=True, exist_ok=True)
    made = into / f"{name}.tar.gz", into / f"{name}.zip"
    when = date()
    with tempfile.TemporaryDirectory(dir=into) as folder:
        tree = lay_out(Path(folder) / name)
        for pack, target in zip((make_tar, make_zip), made, strict=True):
            new = Path(folder) / target.name
            pack(tree, new, when)
            shutil.move(new, target)
    return made


def main() -> None:
    """Make them, and print what was made."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    # Not dist itself: what Python calls a source distribution has the same name there, and other content.
    parser.add_argument("--into", type=Path, default=ROOT / "dist" / "source", help="folder for the archives")
    for path in make(parser.parse_args().into):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
