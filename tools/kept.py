"""What is built for a server and kept in `build/` until its sources change."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from pg_background.server import Installation
from pg_background.server.lock import hold_lock

from .release_tree import ROOT


def kept(
    name: str, installation: Installation, sources: Iterable[Path], fill: Callable[[Path], None]
) -> Path:
    """Return the folder that `fill` makes, making it anew if sources, server or compiler are others.

    Args:
        name: of the kind of build; the folder's name begins with it.
        sources: folders and files that it is built of.
        fill: gets the path of a folder that is not there.
    """
    key = hashlib.sha256(bytes(installation.pg_config)).hexdigest()[:8]
    folder = ROOT / "build" / f"{name}{installation.major}-{key}"
    inputs = _inputs(installation, sources)
    stamp = folder / ".inputs"
    with hold_lock(folder):
        if not (stamp.exists() and stamp.read_text() == inputs):
            shutil.rmtree(folder, ignore_errors=True)
            fill(folder)
            stamp.write_text(inputs)
    return folder


def _inputs(installation: Installation, sources: Iterable[Path]) -> str:
    said = installation, os.environ.get("CC"), os.environ.get("CFLAGS")
    whole = hashlib.sha256(repr(said).encode())
    for source in sources:
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if path.is_file() and path.suffix != ".pyc":
                content = path.read_bytes()
                whole.update(f"{path.relative_to(ROOT)}:{len(content)}:".encode())
                whole.update(content)
    return whole.hexdigest()
