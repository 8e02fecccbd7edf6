"""Build an rpm of the source release, for one PostgreSQL: `python -m tools.rpm 16`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from email.utils import formatdate
from pathlib import Path

from pg_background.server import Installation, ServerError

from . import servers, source_release
from .needs import require
from .release_tree import ROOT, version

SPEC = ROOT / "packaging" / "rpm" / "pg_background.spec"
PROGRAMS = {"rpmbuild": "rpm", "rpmlint": "rpmlint"}


def changelog() -> str:
    """Return the package's own: what a release brings is in its CHANGELOG.md."""
    weekday, day, month, year = formatdate(source_release.date()).replace(",", "").split()[:4]
    number = version()[0].replace("-", "~")
    return (
        f"\n%changelog\n* {weekday} {month} {day} {year} pg_background in Python contributors"
        f" - {number}-1\n- Package of the release {version()[0]}.\n"
    )


def _without_symbols() -> dict[str, str]:
    """Return what is to be defined for Debian's rpm, which makes no package of a debugger's symbols."""
    asked = subprocess.run(["rpm", "--eval", "%{_vendor}"], stdout=subprocess.PIPE, text=True, check=True)
    if asked.stdout.strip() != "debian":
        return {}
    return {
        "debug_package": "%{nil}",
        "_build_id_links": "none",
        "__os_install_post": "find %{buildroot} -name '*.so' -exec %{__strip} --strip-unneeded {} +",
    }


def make(installation: Installation, folder: Path) -> Path:
    """Build in that folder, which has to be empty; return the package."""
    archive, _ = source_release.make(folder)
    spec = folder / SPEC.name
    spec.write_text(SPEC.read_text() + changelog())
    defined = {
        "_topdir": folder,
        "_sourcedir": folder,
        "_rpmdir": folder,
        "pgmajorversion": installation.major,
        "pg_config": installation.pg_config,
        "upstream_version": archive.name.removeprefix("pg_background-").removesuffix(".tar.gz"),
        **_without_symbols(),
        # Two builds are the same to the bit.
        "_buildhost": "localhost",
        "use_source_date_epoch_as_buildtime": 1,
        "clamp_mtime_to_source_date_epoch": 1,
    }
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_release.date())}
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        environment.pop(name, None)
    # Not all that it needs need have come as an rpm.
    command: list[str | Path] = ["rpmbuild", "--nodeps", "-bb"]
    for name, value in defined.items():
        command += ["--define", f"{name} {value}"]
    done = subprocess.run(
        [*command, spec],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"error: rpmbuild failed:\n{done.stdout}")
    (package,) = folder.rglob("pg_background_*.rpm")
    return package


def check(package: Path) -> None:
    """Run rpmlint on the package; anything that it says is an error."""
    done = subprocess.run(
        ["rpmlint", "--strict", "--config", SPEC.with_name("rpmlint.toml"), SPEC, package],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0 or " 0 errors, 0 warnings" not in done.stdout:
        raise SystemExit(f"error: rpmlint complains:\n{done.stdout}")


def main() -> None:
    """Build it into dist/rpm, and print what was built."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", help="version of PostgreSQL, as 18; fetched if need be")
    parser.add_argument("--pg-config", default="", help="use this server instead")
    arguments = parser.parse_args()
    require(PROGRAMS)
    dist = ROOT / "dist" / "rpm"
    dist.mkdir(parents=True, exist_ok=True)
    try:
        installation = (
            Installation.from_pg_config(arguments.pg_config)
            if arguments.pg_config
            else servers.find(arguments.name)
        )
    except ServerError as error:
        sys.exit(f"error: {error}")
    with tempfile.TemporaryDirectory() as folder:
        package = make(installation, Path(folder))
        check(package)
        made = Path(shutil.copyfile(package, dist / package.name))
    print(f"{made}: {made.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
