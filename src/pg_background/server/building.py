"""Build the extension for a PostgreSQL installation, with Meson."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from . import toolchain
from .errors import BuildError
from .installation import Installation
from .lock import hold_lock
from .places import CACHE_VARIABLE, cache_directory, cache_remedy

#: Relative to this file: in an installed wheel, and in a checkout.
_WHEEL_SOURCES = Path(__file__).parents[1] / "_extension"
_CHECKOUT = Path(__file__).parents[3]

#: Bytes that a build takes, and more.
_ROOM = 10_000_000

_STAMP = "inputs.sha256"

#: The one with the library, and one in SQL that is built on it.
EXTENSIONS = ("pg_background", "pg_background_cluster")


@dataclass(frozen=True)
class Build:
    """A built extension: what has to be installed into a server."""

    #: `pg_background.so`
    library: Path
    #: of pg_background and of the extensions in SQL beside it
    controls: tuple[Path, ...]
    #: install and upgrade scripts of all of them
    scripts: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All of it."""
        return (self.library, *self.controls, *self.scripts)

    def digest(self) -> str:
        """Return a name for this build's content: two builds with the same files share it."""
        return _digest({path.name: path.read_bytes() for path in self.files})


def sources() -> Path:
    """Return the folder of the extension's sources.

    Raises:
        BuildError: this package was installed without them.
    """
    for folder in (_WHEEL_SOURCES, _CHECKOUT / "extension"):
        if (folder / "meson.build").exists():
            return folder
    raise BuildError(
        "the extension's sources are not installed with this package",
        hint="install pg_background again from PyPI or from a checkout",
    )


def default_folder(installation: Installation, options: Mapping[str, str] | None = None) -> Path:
    """Return where the build for an installation is kept: in a checkout `build/`, else in the cache."""
    key = _digest(
        {
            "pg_config": os.fsencode(installation.pg_config),
            "options": repr(sorted((options or {}).items())).encode(),
        }
    )[:8]
    in_checkout = sources().parent == _CHECKOUT and CACHE_VARIABLE not in os.environ
    base = _CHECKOUT / "build" if in_checkout else cache_directory() / "build"
    return base / f"pg{installation.major}-{key}"


def build(
    installation: Installation,
    *,
    folder: Path | None = None,
    options: Mapping[str, str] | None = None,
) -> Build:
    """Build the extension, unless the last build there had the same inputs.

    Args:
        folder: where to build; by default `default_folder(installation, options)`.
        options: of meson.options, by name.

    Raises:
        InstallationError: the installation has no server headers.
        BuildError: a tool is missing, the folder can't be written, or the compiler failed.
    """
    options = options or {}
    source = sources()
    folder = folder or default_folder(installation, options)
    library = folder / "pg_background.so"
    with _hold_lock(folder):
        # Asked before the tools are looked for: what is built runs without them.
        inputs = _inputs(source, installation, options)
        stamp = folder / _STAMP
        if not (library.exists() and stamp.exists() and stamp.read_text() == inputs):
            _require_tools(installation)
            try:
                _run_meson(source, folder, installation, options)
                stamp.write_text(inputs)
            except OSError as error:
                raise _not_written(folder, error) from error
    return Build(
        library=library,
        controls=tuple(source / f"{name}.control" for name in EXTENSIONS),
        scripts=tuple(
            path for name in EXTENSIONS for path in sorted((source / "sql").glob(f"{name}--*.sql"))
        ),
    )


def _require_tools(installation: Installation) -> None:
    if missing := toolchain.missing_for_building():
        raise BuildError(
            "; ".join(problem.what for problem in missing),
            hint="\n".join(problem.hint for problem in missing),
        )
    installation.require_headers()
    absent = [tool for tool in ("cython", "meson", "ninja") if _tool(tool) is None]
    if absent:
        raise BuildError(
            f"can't build the extension without {', '.join(absent)}",
            hint="pip install 'pg_background[build]'",
        )


def _search_path() -> str:
    # A virtual environment's programs are used whether or not it is activated.
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def _tool(name: str) -> str | None:
    return shutil.which(name, path=_search_path())


def _run_meson(source: Path, folder: Path, installation: Installation, options: Mapping[str, str]) -> None:
    # From scratch: Meson does not see a changed pg_config, nor Cython's textual includes.
    work = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    log = []
    for command in (
        [
            _tool("meson"),
            "setup",
            work,
            source,
            f"-Dpg_config={installation.pg_config}",
            "--buildtype=release",
            *(f"-D{name}={value}" for name, value in options.items()),
        ],
        [_tool("ninja"), "-C", work],
    ):
        done = subprocess.run(
            [str(word) for word in command],
            env={**os.environ, "PATH": _search_path()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        log.append(done.stdout)
        if done.returncode != 0:
            raise BuildError(
                f"the extension could not be built for PostgreSQL {installation.version}:\n"
                + done.stdout.rstrip(),
                # Tools that find no room for their files say that the compiler does not work.
                hint=f'there is hardly any space left in "{work.parent}"'
                if shutil.disk_usage(work.parent).free < _ROOM
                else f'the full record is in "{work}"',
            )
    (work / "build.log").write_text("".join(log))
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def _inputs(source: Path, installation: Installation, options: Mapping[str, str]) -> str:
    parts = {
        str(path.relative_to(source)): path.read_bytes()
        for path in sorted(source.rglob("*"))
        # The scripts are installed as they are.
        if path.is_file() and path.suffix not in (".sql", ".pyc")
    }
    parts["installation"] = repr(installation).encode()
    parts["options"] = repr(sorted(options.items())).encode()
    parts["tools"] = repr((sys.version, os.environ.get("CC"), os.environ.get("CFLAGS"))).encode()
    return _digest(parts)


def _digest(parts: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name, content in sorted(parts.items()):
        whole.update(f"{name}:{len(content)}:".encode())
        whole.update(content)
    return whole.hexdigest()


def _hold_lock(folder: Path) -> TextIO:
    """Keep two builds of one folder apart."""
    try:
        return hold_lock(folder)
    except OSError as error:
        raise _not_written(folder, error) from error


def _not_written(folder: Path, error: OSError) -> BuildError:
    return BuildError(
        f'can\'t write the build folder "{folder.parent}": {error.strerror}', hint=cache_remedy(error)
    )
