"""docs/high-availability.md: what it shows happens on a primary and a standby that takes over."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from pg_background.server import ServerError

from ..support.calls import result_failure
from ..support.fix_cli import Cli
from ..support.fix_server import FreshServer
from ..support.fix_standby import MakePair, Pair
from ..support.jobs import launch
from ..support.pages import DOCS, blocks, run_sql
from .test_docs import blocks_of, printed_by, run

NAME = "high-availability.md"
PAGE = (DOCS / NAME).read_text()


def dsn_of_both(pair: Pair) -> str:
    """Return a DSN as the page has it: all servers, of which the primary is meant."""
    parts = [conninfo_to_dict(server.dsn()) for server in pair]
    hosts, ports = (",".join(str(part[name]) for part in parts) for name in ("host", "port"))
    return pair.primary.dsn(host=hosts, port=ports, target_session_attrs="read-write")


@pytest.mark.crashes
def test_a_client_that_goes_on(fresh_pair: MakePair, capsys: pytest.CaptureFixture[str]) -> None:
    pair = fresh_pair()

    def fail_over() -> None:
        pair.replay()
        pair.primary.cluster.stop("fast")
        pair.promote()

    (code,) = blocks_of(NAME)
    run(code, {"dsn": dsn_of_both(pair), "fail_over": fail_over})
    assert capsys.readouterr().out.splitlines() == printed_by(code)


def test_the_handle_of_the_old_primary(pair: Pair) -> None:
    """As another server sees it, whatever role that has."""
    with pair.primary.connect() as there, pair.standby.connect() as here:
        error = result_failure(here, launch(there, "SELECT 1"))
    assert error.sqlstate == "42704"
    assert "| its handle | unknown: `42704`" in PAGE


def test_before_a_switchover(fresh_server: FreshServer, cli: Cli) -> None:
    """In SQL, and by the line beside Patroni's."""
    server = fresh_server()
    run_sql("\n".join(blocks(PAGE, "sql")), server, "postgres")
    (line,) = re.findall(r"^    pg-background (drain .*)$", PAGE, re.MULTILINE)
    *words, _ = shlex.split(line)
    done = cli.inside(*words, server.dsn())
    assert done.code == 0, done.output


def test_patronis_settings(fresh_server: FreshServer) -> None:
    """They are in one file, and a server starts with them."""
    (block,) = blocks(PAGE, "yaml")
    parameters = yaml.safe_load(block)["postgresql"]["parameters"]
    assert parameters["shared_preload_libraries"] == "pg_background"
    server = fresh_server(parameters)
    assert server.execute("SHOW max_worker_processes") == "32"


def test_doctor_on_each(pair: Pair, cli: Cli) -> None:
    for server in pair:
        done = cli.inside("doctor", server.dsn())
        assert done.code == 0, done.output


@pytest.mark.crashes
def test_a_standby_with_fewer_worker_processes(fresh_pair: MakePair) -> None:
    standby = fresh_pair({"max_worker_processes": 20}).standby
    standby.cluster.stop("fast")
    fewer = {name: str(value) for name, value in standby.settings.items()} | {"max_worker_processes": "19"}
    with pytest.raises(ServerError):
        standby.cluster.start(settings=fewer)
    assert "insufficient parameter settings" in standby.cluster.log_path.read_text()


def test_settings_that_the_page_names(pair: Pair) -> None:
    for name in set(re.findall(r"`(pg_background\.\w+)`", PAGE)):
        assert pair.primary.execute(f"SELECT count(*) FROM pg_settings WHERE name = '{name}'") == 1
