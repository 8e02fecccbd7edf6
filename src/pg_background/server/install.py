"""Put the built extension into a server's own folders, for servers that somebody else runs."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from .building import EXTENSIONS, Build
from .errors import InstallationError, NotWritableError
from .installation import Installation


@dataclass(frozen=True)
class Plan:
    """What an installation needs to have the extension."""

    #: where each file comes from and where it goes; only those that are not there or differ
    copies: tuple[tuple[Path, Path], ...]
    #: what an extension of the same name left and would harm
    removals: tuple[Path, ...]

    def __bool__(self) -> bool:
        return bool(self.copies or self.removals)


def plan(installation: Installation, extension: Build) -> Plan:
    """Compare what is built with what is installed; change nothing."""
    folder = installation.sharedir / "extension"
    # The library also serves older catalogues, and the control files name the scripts: wherever this is cut
    # short, what is there works.
    wanted = (
        (extension.library, installation.pkglibdir / extension.library.name),
        *((path, folder / path.name) for path in (*extension.scripts, *extension.controls)),
    )
    return Plan(
        copies=tuple((source, target) for source, target in wanted if not _same(source, target)),
        # The extension in C leaves its code there for the JIT compiler, which would put it in place of ours.
        removals=tuple(sorted((installation.pkglibdir / "bitcode").glob("pg_background*"))),
    )


def install(installation: Installation, extension: Build) -> Plan:
    """Install the extension, unless it is; a server that runs has its old library until it restarts.

    Scripts of other versions are left: updates need them.

    Returns:
        what was done.

    Raises:
        NotWritableError: a folder can't be written to.
    """
    todo = plan(installation, extension)
    try:
        for path in todo.removals:
            _remove(path)
        for source, target in todo.copies:
            target.parent.mkdir(exist_ok=True)
            _copy(source, target)
    except OSError as error:
        raise _refused(Path(error.filename or installation.pkglibdir), error.strerror) from error
    return todo


def installed(installation: Installation) -> list[Path]:
    """Return the extension's files that are there, whichever version or build they are of."""
    folder = installation.sharedir / "extension"
    ours = (
        (installation.pkglibdir, "pg_background.*"),
        (installation.pkglibdir / "bitcode", "pg_background*"),
        *((folder, f"{name}.control") for name in EXTENSIONS),
        *((folder, f"{name}--*.sql") for name in EXTENSIONS),
    )
    # Those with a dot were being copied when that was cut short.
    return sorted(
        path
        for place, name in ours
        for pattern in (name, f".{name}.????????")
        for path in place.glob(pattern)
    )


def uninstall(installation: Installation, files: list[Path]) -> None:
    """Remove what `installed` found.

    Raises:
        NotWritableError: a folder can't be written to.
    """
    try:
        for path in files:
            _remove(path)
    except OSError as error:
        raise _refused(Path(error.filename or installation.pkglibdir), error.strerror) from error


def require_writable(installation: Installation) -> None:
    """Check that files can be put into the installation.

    Raises:
        InstallationError: a folder is missing.
        NotWritableError: a folder can't be written to.
    """
    for folder in (installation.pkglibdir, installation.sharedir / "extension"):
        # A server without extensions has no folder for them yet.
        existing = folder if folder.exists() or folder == installation.pkglibdir else folder.parent
        if not existing.is_dir():
            raise InstallationError(
                f'PostgreSQL {installation.version} has no folder "{existing}"',
                hint=f"install the server: on Debian and Ubuntu, apt install postgresql-{installation.major}",
            )
        if not os.access(existing, os.W_OK | os.X_OK):
            raise _refused(existing, "Permission denied")


def _refused(path: Path, reason: str | None) -> NotWritableError:
    return NotWritableError(
        f'can\'t write to "{path}": {reason}', hint="run this as the owner of the installation"
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _same(source: Path, target: Path) -> bool:
    # The server's user may be another than who has put it there.
    is_readable = target.is_file() and target.stat().st_mode & 0o444 == 0o444
    return is_readable and target.read_bytes() == source.read_bytes()


def _copy(source: Path, target: Path) -> None:
    # Renamed into place: to write into a library that runs would crash its server.
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        shutil.copyfile(source, new)
        new.chmod(0o755 if target.suffix == ".so" else 0o644)
        # A server that finds an empty library after a power failure does not start.
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(target)
    except OSError:
        new.unlink(missing_ok=True)
        raise
