"""Jobs per second, from pgbench: its sessions run at once, and cost less than a Python client's."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .hosts import Host, Hosts
from .ways import COLD, DBLINK_ASYNC, DBLINK_CALL, FLOOR, WARM

SESSIONS = (1, 4)

_BACKGROUND = """
SELECT pid, cookie FROM public.pg_background_launch('SELECT 1'::text, 0) \\gset
SELECT * FROM public.pg_background_result(:pid::int4, :cookie::int8) AS (n int);
"""

# pgbench has no place for what a session does once: a variable remembers it.
_LINKED = """
\\if :linked
\\else
SELECT dblink_connect('link', '{conninfo}');
\\set linked 1
\\endif
"""

#: By way, what one job is.
SCRIPTS: Mapping[str, str] = {
    FLOOR: "SELECT 1;\nSELECT 1;\n",
    WARM: _BACKGROUND,
    COLD: _BACKGROUND,
    DBLINK_ASYNC: _LINKED
    + """
SELECT dblink_send_query('link', 'SELECT 1');
SELECT * FROM dblink_get_result('link') AS (n int);
SELECT * FROM dblink_get_result('link') AS (n int);
""",
    DBLINK_CALL: _LINKED + "SELECT * FROM dblink('link', 'SELECT 1') AS (n int);\n",
}


def jobs_per_second(hosts: Hosts, way: str, sessions: int, seconds: int) -> float:
    """Run pgbench on one way's script.

    Raises:
        RuntimeError: a job failed.
        InstallationError: the server has no pgbench.
    """
    host = hosts.cold if way == COLD else hosts.warm
    script = SCRIPTS[way].replace("{conninfo}", host.conninfo.replace("'", "''"))
    with tempfile.TemporaryDirectory(prefix="pgbg-") as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script)
        return _pgbench(host, path, sessions, seconds)


def _pgbench(host: Host, script: Path, sessions: int, seconds: int) -> float:
    done = subprocess.run(
        [
            *(host.pgbench(), "--no-vacuum", "--protocol", "prepared", "--define", "linked=0"),
            *("--client", str(sessions), "--jobs", str(min(sessions, 2)), "--time", str(seconds)),
            *("--file", script, host.conninfo),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}")
    return float(found[1])
