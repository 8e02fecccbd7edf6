"""`pg-background exporter`, as a process and inside of the test."""

from __future__ import annotations

import builtins
import json
import re
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from pg_background.cli.options.addresses import is_loopback, listen_address
from pg_background.exporter.files import Document

from ..support.fix_cli import Cli
from ..support.fix_db import Connection, MakeRole
from ..support.jobs import submit, wait
from ..support.metrics import Samples
from ..support.server import Server
from ..support.waiting import DEADLINE


def test_once(cli: Cli, server: Server, conn: Connection, db: str, make_role: MakeRole) -> None:
    wait(conn, submit(conn, "SELECT 1"))
    monitor = make_role(member_of=("pg_monitor",))
    done = cli.inside("exporter", "--once", server.dsn(db, user=monitor))
    assert (done.code, done.errors) == (0, "")
    found = Samples(done.output)
    assert found.value("pg_background_jobs_finished_total", database=db, outcome="completed") == 1
    place = server.cluster.postmaster()
    assert place is not None
    assert {sample.labels["server"] for sample in found.all} == {f"{place.socket_directory}:{place.port}"}


def test_several(cli: Cli, server: Server, db: str, tmp_path: Path) -> None:
    done = cli.inside(
        *("exporter", "--once", "--server", f"a={server.dsn(db)}"),
        *("--server", f"b.2=host={tmp_path} dbname=x"),
    )
    assert done.code == 3
    assert done.errors.startswith("b.2: can't connect: ")
    up = Samples(done.output).of("pg_background_up")
    assert up == {(("server", "a"),): 1, (("server", "b.2"),): 0}


def test_several_from_the_environment(cli: Cli, server: Server, db: str) -> None:
    port = server.dsn(db).rpartition("port=")[2].split()[0]
    variable = f"a=postgresql://postgres@/{db}?host=/nowhere b=postgresql://x@localhost:{port}/{db}"
    done = cli.inside("exporter", "--once", PG_BACKGROUND_SERVER=variable)
    assert set(Samples(done.output).of("pg_background_up")) == {(("server", "a"),), (("server", "b"),)}
    # What is typed wins.
    done = cli.inside("exporter", "--once", server.dsn(db), PG_BACKGROUND_SERVER=variable)
    assert (done.code, done.errors) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--server", "a=dbname=x", "postgresql:///x"), "name servers by --server, or one by DSN"),
        (("--server", "a=dbname=x", "--server", "a=dbname=y"), "there is another a"),
        (("--server", "dbname"), "write NAME=DSN"),
        (("--server", "a="), "write NAME=DSN"),
        (("--server", "a b=dbname=x"), "write NAME=DSN"),
        (("--server", "a=colour=blue"), 'invalid connection option "colour"'),
        (("--listen", "10432"), "is not ADDRESS:PORT"),
        (("--listen", "x:99999"), "is not ADDRESS:PORT"),
        (("--timeout", "0"), "is not a time"),
        (("--certificate-key", "x"), "--certificate-key needs --certificate"),
        (("--print", "x"), "'x' is not one of 'rules'"),
    ],
)
def test_wrong_words(cli: Cli, words: tuple[str, ...], said: str) -> None:
    done = cli.inside("exporter", *words)
    assert done.code == 2
    assert said in " ".join(done.errors.split())


def test_what_can_not_be_used(cli: Cli, tmp_path: Path) -> None:
    done = cli.inside("exporter", "--passwords", str(tmp_path / "none"), "--listen", "127.0.0.1:0")
    assert (done.code, done.errors) == (
        1,
        f"error: can't read {tmp_path / 'none'}: No such file or directory\n",
    )
    done = cli.inside("exporter", "--certificate", str(tmp_path / "none"), "--listen", "127.0.0.1:0")
    assert (done.code, done.errors) == (
        1,
        f"error: can't read {tmp_path / 'none'}: No such file or directory\n",
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_as_a_service(cli: Cli, server: Server, db: str, number: int, code: int) -> None:
    process = cli.start("exporter", "--listen", "127.0.0.1:0", server.dsn(db))
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.fullmatch(r"serving (http://127\.0\.0\.1:\d+/metrics)\n", line)
    assert found, line
    for _ in range(2):
        with urlopen(found[1], timeout=DEADLINE) as reply:
            assert Samples(reply.read().decode()).value("pg_background_up") == 1
    process.send_signal(number)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == code
    assert "Traceback" not in errors


def test_warnings(cli: Cli, tmp_path: Path) -> None:
    """As other exporters it may be open to all; it says so."""
    users = tmp_path / "users"
    users.write_text("me:x")
    users.chmod(stat.S_IRUSR | stat.S_IROTH)
    for words, said in (
        (("--listen", "0.0.0.0:0"), "warning: whoever reaches this address can read the metrics"),
        (("--passwords", users), f"warning: every user of this machine can read {users}"),
    ):
        with cli.start("exporter", "--listen", "127.0.0.1:0", *words, f"host={tmp_path}") as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith(said)
            assert process.stderr.readline().startswith("serving http://")
            process.terminate()
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("127.0.0.1:10432", ("127.0.0.1", 10432)),
        ("[::1]:0", ("::1", 0)),
        ("db.example.com:1", ("db.example.com", 1)),
    ],
)
def test_addresses(word: str, place: tuple[str, int]) -> None:
    assert listen_address(word) == place


def test_all_addresses_and_loopback() -> None:
    assert listen_address(":10432") in ((("::"), 10432), ("0.0.0.0", 10432))
    for host, expected in (
        ("127.0.0.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("x.invalid", False),
    ):
        assert is_loopback(host) is expected, host


@pytest.mark.parametrize("document", Document)
def test_files_are_printed(cli: Cli, document: Document) -> None:
    done = cli.inside("exporter", "--print", document.value)
    assert (done.code, done.errors) == (0, "")
    assert done.output == document.read()
    if document is Document.DASHBOARD:
        assert json.loads(done.output)["title"] == "pg_background"


def test_without_the_extra(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "prometheus_client":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    import sys

    for name in list(sys.modules):
        if name.startswith(
            ("prometheus_client", "pg_background.exporter.gathering", "pg_background.exporter.families")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", missing)
    done = cli.inside("exporter", "--once")
    assert done.code == 1
    assert done.errors == (
        "error: prometheus-client is not installed\nhint: pip install 'pg_background[metrics]'\n"
    )
