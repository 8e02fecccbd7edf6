"""The libraries that some wheels carry, compiled already, and which servers they are for."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

from .abi import Abi
from .building import Build
from .elf import Elf, NotReadableError
from .errors import InstallationError
from .installation import FIRST_WITH_EXTENSION_PATH, Installation

#: `share/extension` with control file and scripts, `lib/<major>` with the library: as a server wants it that
#: is led there by settings.
FOLDER = Path(__file__).parents[1] / "_server"

#: What a build for such a server would have compiled otherwise, though its number and name are the same.
_CONFIGURED_OTHERWISE = re.compile(
    r"--enable-cassert|--with-(?:wal-)?blocksize|--with-segsize|--disable-(?:spinlocks|atomics)"
    r"|-Dcassert=true|-D(?:wal_)?blocksize|-Dsegsize|-DLOCK_DEBUG"
)

_WORDS = {
    "max_arguments": "its functions take up to {theirs} arguments, not {ours}",
    "max_index_keys": "its indexes have up to {theirs} columns, not {ours}",
    "name_length": "its names have room for {theirs} bytes, not {ours}",
    "float8_by_value": "it passes 8-byte values in another way",
    "name": 'it is another product: its ABI is "{theirs}", not "{ours}"',
}


def library(installation: Installation, folder: Path | None = None) -> Path:
    """Return where the library for this major version is, whether it is there or not."""
    return (folder or FOLDER) / "lib" / str(installation.major) / "pg_background.so"


def files(installation: Installation) -> Build:
    """Return what is to be installed, where `misfit` finds nothing."""
    shared = FOLDER / "share" / "extension"
    return Build(
        library=library(installation),
        controls=tuple(sorted(shared.glob("*.control"))),
        scripts=tuple(sorted(shared.glob("*.sql"))),
    )


def misfit(installation: Installation) -> str | None:
    """Tell why no library of this package is for that server; None if one is.

    The server's program is read, not run: it says which machine and C library it is for, by which values it
    judges libraries, and which functions it has: an older release of the same major version may lack one.

    Raises:
        InstallationError: the installation has no server.
    """
    if not FOLDER.is_dir():
        return "this package has no compiled libraries"
    ours = library(installation)
    if not ours.exists():
        return f"this package has none for PostgreSQL {installation.major}"
    program = installation.program("postgres")
    try:
        return (
            _other_platform(Elf.read(ours), Elf.read(program))
            or _other_product(program)
            or _other_abi(Abi.found_in(ours, installation.major), Abi.found_in(program, installation.major))
            or _other_configuration(installation)
        )
    except (OSError, NotReadableError) as error:
        return f"it can't be seen whether it does: {error}"


def require_in_place(installation: Installation) -> dict[str, str]:
    """Return the settings by which a server uses the library where it is.

    Raises:
        InstallationError: it can't: it is too old, no library is for it, or its user can't reach the folder.
    """
    if installation.major < FIRST_WITH_EXTENSION_PATH:
        raise InstallationError(
            f"PostgreSQL {installation.version} finds extensions in its own folders only",
            hint=f"install it there, or use PostgreSQL {FIRST_WITH_EXTENSION_PATH} or newer",
        )
    if reason := misfit(installation):
        raise InstallationError(
            f"no compiled library fits PostgreSQL {installation.version}: {reason}",
            hint="install it without --in-place: then it is built for this server",
        )
    places = FOLDER / "share", library(installation).parent
    for path in (*places, places[1].parent, FOLDER, *FOLDER.parents):
        if path.stat().st_mode & 0o005 != 0o005:
            raise InstallationError(
                f"other users, as the server's, can't enter \"{path}\"",
                hint="install it without --in-place, or install this package elsewhere, such as below /opt",
            )
    # In lists of paths a colon stands between two; a quote or a new line would end the value, and a backslash
    # changes what follows it.
    if any(mark in str(FOLDER) for mark in ":'\\\n"):
        raise InstallationError(
            f'the path "{FOLDER}" can\'t be in a setting', hint="install it without --in-place"
        )
    share, lib = places
    return {"extension_control_path": f"{share}:$system", "dynamic_library_path": f"{lib}:$libdir"}


def _other_product(program: Path) -> str | None:
    # What it prints when asked for its version. 14 has no name in its ABI.
    names = set(re.findall(rb"postgres \(([\x20-\x7e]+?)\) \d", program.read_bytes()))
    if names == {b"PostgreSQL"}:
        return None
    shown = " or ".join(sorted(name.decode() for name in names))
    return f"the server is another product{f', {shown}' if shown else ''}"


def _other_platform(library: Elf, program: Elf) -> str | None:
    if library.machine != program.machine:
        return f"the server is for {program.machine}, the library for {library.machine}"
    loader = Path(program.interpreter or "").name
    if not loader.startswith(("ld-linux", "ld64")):
        return f'the server uses another C library than glibc: it is loaded by "{loader}"'
    if library.glibc > (present := _glibc()):
        return f"glibc is {_dotted(present)}, the library needs {_dotted(library.glibc)}"
    if missing := sorted(library.needed - program.exported):
        return f"the server has no {missing[0]}(): it may be too old a release"
    return None


def _other_abi(library: frozenset[Abi], program: frozenset[Abi]) -> str | None:
    if library & program:
        return None
    if not program or len(library) != 1:
        return "the server does not say by which values it judges libraries"
    (ours,) = library
    theirs = min(program, key=lambda found: len(_differences(ours, found)))
    return "; ".join(_differences(ours, theirs))


def _differences(ours: Abi, theirs: Abi) -> list[str]:
    return [
        _WORDS[field.name].format(ours=getattr(ours, field.name), theirs=getattr(theirs, field.name))
        for field in fields(Abi)
        if getattr(ours, field.name) != getattr(theirs, field.name)
    ]


def _other_configuration(installation: Installation) -> str | None:
    found = _CONFIGURED_OTHERWISE.search(installation.configure_options())
    return f"the server was built with {found[0]}" if found else None


def _glibc() -> tuple[int, ...]:
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        said = ""
    found = re.search(r"\d+(?:\.\d+)*", said)
    return tuple(int(part) for part in found[0].split(".")) if found else (0,)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
