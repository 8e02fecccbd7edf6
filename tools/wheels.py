"""Build the wheels into dist/: `python -m tools.wheels 14 15 16 17 18`.

One has compiled libraries for these major versions of PostgreSQL, and is for the platform that it was built
on. The other has none and is for all others: there the extension is built.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from pg_background.server import Installation, ServerError, build
from pg_background.server.abi import Abi
from pg_background.server.elf import Elf

from . import servers

ROOT = Path(__file__).parents[1]

#: What `tools/wheel_hook.py` reads, which runs where this module is not to be had.
LIBRARIES = "PG_BACKGROUND_WHEEL_LIBRARIES"
PLATFORM = "PG_BACKGROUND_WHEEL_PLATFORM"

#: The oldest glibc that a platform tag is made for: before it, pip knows tags by another name.
OLDEST_GLIBC = (2, 17)


def collect(installations: Iterable[Installation], folder: Path) -> str:
    """Build the libraries, put them into a folder as the package wants it, and return the platform's tag."""
    shutil.rmtree(folder, ignore_errors=True)
    shared = folder / "share" / "extension"
    shared.mkdir(parents=True)
    found = []
    for installation in installations:
        major = installation.major
        built = build(installation)
        for path in (*built.controls, *built.scripts):
            shutil.copyfile(path, shared / path.name)
        library = folder / "lib" / str(major) / built.library.name
        library.parent.mkdir(parents=True)
        # What a debugger wants is half of it.
        subprocess.run(["strip", "--strip-unneeded", "-o", library, built.library], check=True)
        library.chmod(0o755)
        elf = Elf.read(library)
        require_plain(Abi.found_in(library, major), major)
        found.append(elf)
        print(
            f"{library.relative_to(folder)}: {library.stat().st_size:,} bytes, glibc {elf.glibc}", flush=True
        )
    (machine,) = {elf.machine for elf in found}
    return platform_tag(machine, max(elf.glibc for elf in found))


def require_plain(found: frozenset[Abi], major: int) -> None:
    """Check that a library was built for PostgreSQL as everybody has it."""
    name = "PostgreSQL" if major > 14 else ""
    if found != {Abi(major, 100, 32, 64, float8_by_value=True, name=name)}:
        raise SystemExit(f"error: the library for {major} was built for another ABI: {found}")


def platform_tag(machine: str, glibc: tuple[int, ...]) -> str:
    """Return the tag of the oldest systems that can load the libraries."""
    major, minor = max(glibc, OLDEST_GLIBC)[:2]
    return f"manylinux_{major}_{minor}_{machine}"


def make_wheel(into: Path, libraries: Path | None = None, platform: str = "") -> Path:
    """Build a wheel and return it."""
    new = into / ".new"
    shutil.rmtree(new, ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if name not in (LIBRARIES, PLATFORM)}
    if libraries is not None:
        environment |= {LIBRARIES: str(libraries), PLATFORM: platform}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--wheel-dir", new, ROOT),
        ],
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit("error: the wheel could not be built")
    (made,) = new.glob("*.whl")
    wheel = made.replace(into / made.name)
    new.rmdir()
    return wheel


def main() -> None:
    """Build both, and print what was built."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("majors", nargs="+", type=int, help="major versions of PostgreSQL")
    majors = parser.parse_args().majors
    libraries = ROOT / "build" / "libraries"
    dist = ROOT / "dist"
    try:
        platform = collect(map(servers.find, majors), libraries)
    except ServerError as error:
        sys.exit(f"error: {error}")
    for wheel in (make_wheel(dist, libraries, platform), make_wheel(dist)):
        print(f"{wheel.relative_to(ROOT)}: {wheel.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
