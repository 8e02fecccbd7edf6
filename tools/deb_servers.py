"""Servers where Debian's packages of them would be, for the length of a command that builds for each."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from pg_background.server import Installation

#: Where `pg_buildext` looks for a server of each major version.
_PLACE = Path("/usr/lib/postgresql")

# It builds with the files of another server, and installs where Debian's server would look.
_PG_CONFIG = """\
#!/bin/sh
case "$1" in
    --bindir) echo /usr/lib/postgresql/{major}/bin ;;
    --pkglibdir) echo /usr/lib/postgresql/{major}/lib ;;
    --sharedir) echo /usr/share/postgresql/{major} ;;
    *) exec {pg_config} "$@" ;;
esac
"""

# What is there stays: the mounts are seen by this command alone, and gone with it.
_ENTER = """
for server in "$0"/*; do
    if [ ! -e "$server/bin/pg_config" ]; then
        mount --bind "/usr/lib/postgresql/${server##*/}" "$server"
    fi
done
mount --rbind "$0" /usr/lib/postgresql
exec "$@"
"""


def is_own(installation: Installation) -> bool:
    """Tell whether a server is where Debian's packages have theirs."""
    return installation.pg_config == _pg_config(installation)


def offering(installations: Sequence[Installation], folder: Path) -> list[str]:
    """Return what to put before a command so that it finds these servers; root may run it.

    Args:
        folder: an empty one, to be kept until the command has ended.

    Raises:
        SystemExit: root alone may do so.
    """
    if os.geteuid() != 0:
        raise SystemExit("error: only root can build packages for servers that are not Debian's own")
    for installation in installations:
        place = folder / _pg_config(installation).relative_to(_PLACE)
        place.parent.mkdir(parents=True)
        # Else its own place is mounted there.
        if not is_own(installation):
            found = shlex.quote(str(installation.pg_config))
            place.write_text(_PG_CONFIG.format(major=installation.major, pg_config=found))
            place.chmod(0o755)
    return ["unshare", "--mount", "sh", "-euc", _ENTER, str(folder)]


def _pg_config(installation: Installation) -> Path:
    return _PLACE / str(installation.major) / "bin" / "pg_config"
