"""Sessions come through a PgBouncer, which gives each transaction any of its own, and dies under load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pg_background.server import InstallationError

from ..support.fix_pooler import Pooler
from ..support.fix_server import FreshServer
from ..support.jobs import Connection
from ..support.server import Server
from .extent import Extent
from .kinds import IDENTITIES, Identities
from .tally import Tally
from .under_load import under_load

pytestmark = pytest.mark.slow

_CONFIG = """
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = MODE
default_pool_size = SIZE
ignore_startup_parameters = extra_float_digits
"""

#: A role that was set does not last from one transaction to the next.
LOGINS: Identities = (("first", None), ("second", None), ("postgres", None))


class Mode:
    """A way of pooling: its name, how many sessions it has for each user, and who comes."""

    def __init__(self, name: str, size: int, identities: Identities) -> None:
        self.name = name
        self.size = size
        self.identities = identities

    def config(self) -> str:
        """PgBouncer's configuration."""
        return _CONFIG.replace("MODE", self.name).replace("SIZE", str(self.size))


MODES = (Mode("transaction", 2, LOGINS), Mode("session", 20, IDENTITIES))


@pytest.fixture
def server(fresh_server: FreshServer) -> Server:
    return fresh_server({"log_min_messages": "fatal"})


@pytest.fixture(params=MODES, ids=lambda mode: mode.name)
def mode(request: pytest.FixtureRequest) -> Mode:
    found: Mode = request.param
    return found


@pytest.fixture
def pooler(server: Server, mode: Mode, open_tmp_path: Path) -> Iterator[Pooler]:
    """One in front of the test's server."""
    try:
        pooler = Pooler(
            server,
            open_tmp_path / f"pooler-{mode.name}",
            mode.config(),
            users=["postgres", "first", "second"],
        )
    except InstallationError as error:
        pytest.skip(f"no PgBouncer: {error}")
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.kill()


def test_pooler(server: Server, pooler: Pooler, mode: Mode, extent: Extent, tally: Tally) -> None:
    """Whichever session a call comes through, and whenever these end, no job is lost or mixed up."""

    def connect(**parameters: str) -> Connection:
        # A name of the application would have to be set again for each transaction, and nobody looks for it.
        dsn = pooler.dsn(dbname="postgres", user=parameters["user"])
        return psycopg.connect(dsn, autocommit=True, prepare_threshold=None)

    def restart() -> int:
        pooler.kill()
        pooler.start()
        return 1

    with under_load(server, f"pooler {mode.name}", tally, connect, mode.identities) as (_, injector):
        tally.faults(
            f"PgBouncer killed, {mode.name}", injector.inject(2 * extent.neighbours, restart, pause=0.5)
        )
