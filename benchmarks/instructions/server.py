"""A server of which callgrind counts the instructions of each process."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pg_background.server import Cluster, Installation, ServerError, StartError, build, ports, prepare

from .dumps import Dump, parse

#: A function of the server that nothing calls but who asks for it: at each call callgrind writes what it has
#: counted in that process, and begins anew.
MARK = "pg_trigger_depth"

SETTINGS = {
    "autovacuum": "off",
    "jit": "off",
    # One worker has all jobs, and none waits so long that it looks for deadlocks or goes away.
    "pg_background.max_total_workers": "1",
    "pg_background.worker_idle_timeout": "1h",
    # a yield is counted, and how often one happens is chance
    "pg_background.yield_time": "0",
    "deadlock_timeout": "1h",
    # Few, and soon all taken: where a job is tells in what a search for it takes, and each stretch has all.
    "pg_background.max_jobs": "16",
}

#: Starting takes two seconds on a machine that has nothing else to do.
_START_SECONDS = 120

#: In which the last process has written its counts.
_END_SECONDS = 30


class NoValgrindError(ServerError):
    """This machine can't count."""


@dataclass(frozen=True)
class Counted:
    """The running server."""

    cluster: Cluster

    @property
    def dsn(self) -> str:
        """Of a session as superuser."""
        return self.cluster.socket_dsn()

    def dumps(self, pid: int, last: int) -> Sequence[Dump]:
        """Return what a process counted up to each of its last so many marks."""
        files = {
            int(path.suffix[1:]): path
            for path in self.cluster.path.glob(f"{_OUTPUT}.{pid}.*")
            if path.suffix[1:].isdigit()
        }
        dumps = []
        for number in sorted(files)[-last:]:
            with files[number].open(errors="replace") as file:
                dumps.append(parse(file))
        return dumps


_OUTPUT = "callgrind.out"


def valgrind_version() -> str:
    """Return what valgrind says of itself.

    Raises:
        NoValgrindError: it is not there.
    """
    if shutil.which("valgrind") is None:
        raise NoValgrindError("valgrind is not installed", hint="apt install valgrind")
    done = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def counted_server(installation: Installation) -> Iterator[Counted]:
    """Start a server, and delete it at the end.

    Raises:
        ServerError: the extension can't be built, or the server not started.
    """
    extension = build(installation)
    # The server may run as another user, who has to reach it.
    base = Path(tempfile.mkdtemp(prefix="pgbg-", dir="/tmp"))
    base.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(_delete, base)
        cluster = Cluster(base / "data")
        cluster.provide(prepare(installation, extension, cluster.os_user))
        cluster.init(sync=False)
        stack.callback(cluster.stop, "immediate")
        # Once without callgrind, which writes the configuration and the catalogue.
        cluster.start(port=ports.any_free(), settings=SETTINGS)
        cluster.create_extension()
        cluster.stop()
        _start(cluster, base / "postgres")
        yield Counted(cluster)


def _delete(folder: Path) -> None:
    """Callgrind writes once more as a process ends, after the server has said that it is gone."""
    deadline = time.monotonic() + _END_SECONDS
    while True:
        try:
            shutil.rmtree(folder)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _start(cluster: Cluster, wrapper: Path) -> None:
    """Have pg_ctl run a program that runs the server under callgrind."""
    installation = cluster.runtime.installation
    output = cluster.path / f"{_OUTPUT}.%p"
    wrapper.write_text(
        "#!/bin/sh\n"
        f'exec valgrind --quiet --tool=callgrind --dump-before={MARK} "--callgrind-out-file={output}"'
        f' "{installation.program("postgres")}" "$@"\n'
    )
    wrapper.chmod(0o755)
    done = cluster.os_user.run(
        [
            *(installation.program("pg_ctl"), "start", "--wait", "--timeout", str(_START_SECONDS)),
            *("-D", cluster.path, "-p", wrapper, "-l", cluster.log_path),
        ]
    )
    if done.returncode != 0:
        log = cluster.log_path.read_text(errors="replace").splitlines()[-15:]
        raise StartError("the server did not start under callgrind:\n" + "\n".join([done.stdout, *log]))
