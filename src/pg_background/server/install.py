"""Put the built extension into a server's own folders, for servers that somebody else runs."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..versions import numbers_of
from .building import EXTENSIONS, Build
from .errors import InstallationError, NotWritableError
from .installation import Installation
from .runtime import make_readable_folder

#: What a file is called while it is copied, which it stays if that is cut short.
_HALF = ".{}.????????"

#: What to do about an error, where it is not that the folder is somebody else's.
_REMEDIES = {
    errno.ENOSPC: "free some space, and run this again; what was there before still works",
    errno.EDQUOT: "free some space, and run this again; what was there before still works",
    errno.EROFS: "make it writable for this; what belongs into an image is put there when that is made",
}


@dataclass(frozen=True)
class Plan:
    """What an installation needs to have the extension."""

    #: where each file comes from and where it goes; only those that are not there or differ
    copies: tuple[tuple[Path, Path], ...]
    #: what an extension of the same name left and would harm, and what an interrupted installation left
    removals: tuple[Path, ...]
    #: the version of the extension whose files are replaced by older ones; "" if none is
    newer: str = ""

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
        removals=(
            # Of the extension in C, for the JIT compiler, which would put it in place of ours.
            *_found(installation.pkglibdir / "bitcode", "pg_background*"),
            *(path for place, name in _ours(installation) for path in _found(place, _HALF.format(name))),
        ),
        newer=_newer(folder, extension),
    )


def install(installation: Installation, extension: Build) -> Plan:
    """Install the extension, unless it is; a server that runs has its old library until it restarts.

    Scripts of other versions are left: updates need them. Waits for another process that does the same.

    Returns:
        what was done.

    Raises:
        NotWritableError: a folder is another user's.
        InstallationError: a file can't be written, for another reason.
    """
    with _alone(installation):
        todo = plan(installation, extension)
        for path in todo.removals:
            _remove(path)
        for source, target in todo.copies:
            _copy(source, target)
    return todo


def installed(installation: Installation) -> list[Path]:
    """Return the extension's files that are there, whichever version or build they are of.

    Raises:
        NotWritableError: a folder can't be read.
    """
    return sorted(
        path
        for place, name in (*_ours(installation), (installation.pkglibdir / "bitcode", "pg_background*"))
        for pattern in (name, _HALF.format(name))
        for path in _found(place, pattern)
    )


def uninstall(installation: Installation, files: list[Path]) -> None:
    """Remove what `installed` found.

    Raises:
        NotWritableError: a folder is another user's.
        InstallationError: a file can't be removed, for another reason.
    """
    with _alone(installation):
        for path in files:
            _remove(path)


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
            is_read_only = os.statvfs(existing).f_flag & os.ST_RDONLY
            raise _refused("write to", existing, errno.EROFS if is_read_only else errno.EACCES)


def _newer(folder: Path, extension: Build) -> str:
    there, ours = (
        _default_version(path) for path in (folder / extension.controls[0].name, extension.controls[0])
    )
    return there if numbers_of(there) > numbers_of(ours) else ""


def _default_version(control: Path) -> str:
    try:
        found = re.search(r"^\s*default_version\s*=\s*'([^']*)'", control.read_text(errors="replace"), re.M)
    except OSError:
        return ""
    return found[1] if found else ""


def _refused(what: str, path: Path, number: int | None) -> InstallationError:
    message = f'can\'t {what} "{path}": {os.strerror(number or errno.EIO)}'
    if number in (errno.EACCES, errno.EPERM):
        return NotWritableError(message, hint="run this as the owner of the installation")
    return InstallationError(message, hint=_REMEDIES.get(number or 0, "look at this file and its disk"))


def _ours(installation: Installation) -> list[tuple[Path, str]]:
    """Return the folders, each with a pattern of what is ours there."""
    folder = installation.sharedir / "extension"
    return [
        (installation.pkglibdir, "pg_background.*"),
        *((folder, f"{name}.control") for name in EXTENSIONS),
        *((folder, f"{name}--*.sql") for name in EXTENSIONS),
    ]


def _found(place: Path, pattern: str) -> list[Path]:
    # Path.glob passes over a folder that can't be read, as if it were empty.
    try:
        names = [path.name for path in place.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _refused("read", place, error.errno) from error
    return sorted(place / name for name in names if fnmatchcase(name, pattern))


@contextmanager
def _alone(installation: Installation) -> Iterator[None]:
    """Keep others out who install or uninstall: they would take each other's files away."""
    try:
        folder = os.open(installation.pkglibdir, os.O_RDONLY)
    except OSError as error:
        raise _refused("read", installation.pkglibdir, error.errno) from error
    try:
        # Some network file systems lock no folders.
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _refused("remove", path, error.errno) from error


def _same(source: Path, target: Path) -> bool:
    try:
        # The server's user may be another than who has put it there.
        is_readable = target.is_file() and target.stat().st_mode & 0o444 == 0o444
        return is_readable and target.read_bytes() == source.read_bytes()
    except PermissionError:
        return False


def _copy(source: Path, target: Path) -> None:
    try:
        content = source.read_bytes()
    except OSError as error:
        raise _refused("read", source, error.errno) from error
    # Renamed into place: to write into a library that runs would crash its server.
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        make_readable_folder(target.parent)
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            new.chmod(0o755 if target.suffix == ".so" else 0o644)
            # A server that finds an empty library after a power failure does not start.
            os.fsync(file.fileno())
        new.replace(target)
    except OSError as error:
        raise _refused("write", target, error.errno) from error
    finally:
        # Also after Ctrl-C.
        with suppress(OSError):
            new.unlink(missing_ok=True)
