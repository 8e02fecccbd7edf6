"""Jobs per second, from pgbench: its sessions run at once, and cost less than a Python client's."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pg_background.server import InstallationError

from .hosts import Hosts
from .ways import C_EXTENSION, COLD, DBLINK_ASYNC, DBLINK_CALL, DBLINK_NEW, FLOOR, WARM, host_of

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
    DBLINK_NEW: "SELECT * FROM dblink('{conninfo}', 'SELECT 1') AS (n int);\n",
    C_EXTENSION: """
SELECT pid, cookie FROM {schema}.pg_background_launch_v2('SELECT 1'::text) \\gset
SELECT * FROM {schema}.pg_background_result_v2(:pid::int4, :cookie::int8) AS (n int);
""",
}


@dataclass(frozen=True)
class Run:
    """What one run of pgbench found."""

    per_second: float
    #: of each job, in seconds
    latencies: Sequence[float]


def run_pgbench(hosts: Hosts, way: str, sessions: int, seconds: int, *, logged: bool = False) -> Run:
    """Run pgbench on one way's script.

    Args:
        logged: whether it notes how long each job takes.

    Raises:
        RuntimeError: a job failed.
        InstallationError: there is no pgbench.
    """
    host = host_of(hosts, way)
    if host is None or host.pgbench is None:
        raise InstallationError("this PostgreSQL has no pgbench", hint="name another by --pg-config")
    script = SCRIPTS[way].replace("{conninfo}", host.conninfo.replace("'", "''"))
    with tempfile.TemporaryDirectory(prefix="pgbg-") as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script.replace("{schema}", host.schema))
        log = [f"--log-prefix={folder}/log", "--log"] if logged else []
        done = subprocess.run(
            [
                host.pgbench,
                *("--no-vacuum", "--protocol", "prepared", "--define", "linked=0"),
                *("--client", str(sessions), "--jobs", str(min(sessions, 2)), "--time", str(seconds)),
                *log,
                *("--file", str(path), host.conninfo),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        latencies = [
            seconds for file in Path(folder).glob("log.*") for seconds in logged_seconds(file.read_text())
        ]
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}")
    return Run(float(found[1]), latencies)


def logged_seconds(log: str) -> Iterator[float]:
    """Return how long each transaction of pgbench's log took: its third column has the microseconds."""
    for line in log.splitlines():
        yield int(line.split()[2]) / 1_000_000
