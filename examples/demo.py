"""A walk through pg_background on a shop with a million orders: `make demo`.

It starts a PostgreSQL server of its own, or uses the one of the last run, loads the shop anew, and shows each
statement that it runs, with its result and its time. The server keeps running, to be tried out, with a web
page of its jobs.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import psycopg

from examples.tour import page, server, shop, something_to_show, stops
from examples.tour.screen import Screen
from examples.tour.session import Session
from pg_background.server import Cluster, ServerError

DATABASE = "shop"

#: Any number: two demos must not load the same shop at the same time.
LOCK = 20_240_101


def main() -> None:
    """Run the demo; exit with 1 and a message when it can't be run."""
    parser = argparse.ArgumentParser(
        prog="make demo", description=(__doc__ or "").split(":")[0], allow_abbrev=False
    )
    parser.add_argument(
        "--data", type=Path, default=server.default_data_directory(), help="data directory [%(default)s]"
    )
    parser.add_argument(
        "--orders", type=int, default=shop.ORDERS, help="size of the largest table [%(default)s]"
    )
    arguments = parser.parse_args()
    if arguments.orders < shop.LEAST_ORDERS:
        parser.error(f"--orders must be at least {shop.LEAST_ORDERS}")
    screen = Screen()
    try:
        cluster = server.start(arguments.data, DATABASE, screen)
        show(cluster, arguments.orders, screen)
    except (ServerError, psycopg.Error) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(
            f"\ninterrupted; the server may still run, stop it with\n  {server.stop_command(arguments.data)}"
        )


def show(cluster: Cluster, orders: int, screen: Screen) -> None:
    """Load the shop, make the tour, and say how to go on."""
    dsn = cluster.dsn(DATABASE)
    # One session for all of it, as a user's would be.
    with psycopg.connect(dsn, autocommit=True, options="-c timezone=UTC -c lock_timeout=10s") as connection:
        if connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() != (True,):
            raise ServerError("another demo is running on this server", hint="wait until it ends")
        session = Session(connection, screen)
        try:
            something_to_show.end_jobs(connection)
            something_to_show.keep_history(connection, DATABASE)
            shop.load(session, orders)
            for number, stop in enumerate(stops.ALL, 1):
                screen.heading(f"{number}. {stop.title}")
                stop.show(session)
        except BaseException:
            session.abandon()
            raise
        something_to_show.start_jobs(connection)
    screen.heading("Go on")
    goodbye(cluster, dsn, screen)
    tell_page(page.start(cluster.path, dsn), screen)


def goodbye(cluster: Cluster, dsn: str, screen: Screen) -> None:
    """Say how to connect and how to stop the server."""
    screen.say("The server keeps running, and the shop is there to be tried out.")
    screen.say("With psql:")
    psql = cluster.runtime.installation.program("psql")
    screen.code(shlex.join([str(psql), dsn]))
    screen.say("From Python:")
    screen.code(shlex.join([sys.executable, "-i", "-c", PYTHON.format(dsn=dsn)]))
    screen.say("Stop the server with:")
    screen.code(server.stop_command(cluster.path))


def tell_page(address: str | None, screen: Screen) -> None:
    """Say where the web page is, last of all."""
    if address is None:
        screen.say(
            "For the web page of its jobs: pip install 'pg_background[web]', with Python 3.11 or newer."
        )
        return
    screen.say("All its jobs are on a web page, as long as the server runs:")
    screen.code(address)


PYTHON = """
import pg_background
client = pg_background.connect("{dsn}")
job = client.launch("SELECT count(*) FROM orders")
print(job.result().one())
"""


if __name__ == "__main__":
    main()
