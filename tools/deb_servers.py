"""Servers where Debian's packages of them would be, for the length of a command that builds for each."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from . import servers

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
    if [ -e "/usr/lib/postgresql/${server##*/}" ]; then
        mount --bind "/usr/lib/postgresql/${server##*/}" "$server"
    fi
done
mount --rbind "$0" /usr/lib/postgresql
exec "$@"
"""


def offering(majors: list[int], folder: Path) -> list[str]:
    """Return what to put before a command so that it finds these servers; root may run it.

    Args:
        folder: an empty one, to be kept until the command has ended.

    Raises:
        SystemExit: root alone may do so.
        ServerError: one of them can't be had.
    """
    if os.geteuid() != 0:
        raise SystemExit("error: only root can build packages for servers that are not Debian's own")
    for major in majors:
        own = _PLACE / str(major) / "bin" / "pg_config"
        place = folder / str(major) / "bin" / "pg_config"
        place.parent.mkdir(parents=True)
        if not own.exists():
            found = shlex.quote(str(servers.find(major).pg_config))
            place.write_text(_PG_CONFIG.format(major=major, pg_config=found))
            place.chmod(0o755)
    return ["unshare", "--mount", "sh", "-euc", _ENTER, str(folder)]
