# Made from test_client_standbys_async.py by tools/async_to_sync.py: edit that one.
"""Jobs that can only read run on a standby, if there is one that is near enough to its primary."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pg_background import Client, ConnectionLost, Standbys
from pg_background.client.standbys import each_host, of_primary

from ..support.fix_standby import MakePair, Pair
from ..support.waiting import wait_until

WHERE = "SELECT pg_is_in_recovery()"


def both(pair: Pair) -> str:
    """Return a DSN of both servers, the standby first."""
    parts = [conninfo_to_dict(server.dsn()) for server in (pair.standby, pair.primary)]
    hosts = {name: ",".join(str(part[name]) for part in parts) for name in ("host", "port")}
    return make_conninfo(pair.primary.dsn(), **hosts)


def test_what_only_reads_runs_on_a_standby(pair: Pair) -> None:
    with Client.connect(both(pair), standbys=Standbys()) as client:
        assert (client.run(WHERE)).value() is False
        assert (client.run(WHERE, read_only=True)).value() is True
        assert (client.run_script(WHERE, read_only=True)).value() is True
        job = client.launch("SELECT pg_sleep(0.3), pg_is_in_recovery()", read_only=True)
        assert not job.done()
        assert (job.result())[0][1] is True
        found = [
            result.value()
            for result in client.map("SELECT pg_is_in_recovery() AND %s", [True] * 3, read_only=True)
        ]
        assert found == [True] * 3
        job = client.submit("SELECT 1", read_only=True)
        assert job.wait()
        # Writing fails there as it would here.
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            client.run("CREATE TABLE never ()", read_only=True)
        client.run("CREATE TABLE IF NOT EXISTS ever ()")


def test_notices_of_a_standby(pair: Pair) -> None:
    told: list[Any] = []

    def tell(notice: Any) -> None:
        told.append(notice.message_primary)

    with Client.connect(both(pair), standbys=Standbys(otherwise="error")) as client:
        client.add_notice_handler(tell)
        for read_only in (True, False):
            client.run(f"DO $$BEGIN RAISE NOTICE 'read only: {read_only}'; END$$", read_only=read_only)
        assert told == ["read only: True", "read only: False"]
        client.remove_notice_handler(tell)
        client.run("DO $$BEGIN RAISE NOTICE 'more'; END$$", read_only=True)
        assert len(told) == 2


def test_a_standby_that_has_not_replayed_the_extension(pair: Pair) -> None:
    primary, standby = pair
    primary.execute("CREATE DATABASE bare")
    pair.replay()
    standby.execute("SELECT pg_wal_replay_pause()")
    dsn = make_conninfo(both(pair), dbname="bare")
    try:
        primary.execute("CREATE EXTENSION pg_background", "bare")
        with Client.connect(dsn, standbys=Standbys(None)) as client:
            assert (client.run(WHERE, read_only=True)).value() is False
        with Client.connect(dsn, standbys=Standbys(None, "error")) as client:
            run = client.run
            with pytest.raises(psycopg.OperationalError, match="does not have the extension"):
                run(WHERE, read_only=True)
    finally:
        standby.execute("SELECT pg_wal_replay_resume()")
        primary.execute("DROP DATABASE bare")


def test_waits_over_both(pair: Pair) -> None:
    with Client.connect(both(pair), standbys=Standbys()) as client:
        jobs = [client.launch("SELECT pg_sleep(0.1)", read_only=only) for only in (True, False)]
        told: list[Any] = []
        assert client.wait_all(jobs, progress=lambda job, progress: told.append(job))
        ended = list(client.as_completed(jobs))
        assert len(ended) == 2


def test_a_standby_that_is_behind(pair: Pair) -> None:
    primary, standby = pair
    # How far it is behind is known from the last commit that it has replayed.
    primary.execute("CREATE TABLE IF NOT EXISTS ahead (); DROP TABLE ahead")
    pair.replay()
    standby.execute("SELECT pg_wal_replay_pause()")
    try:
        primary.execute("CREATE TABLE IF NOT EXISTS behind (); DROP TABLE behind")
        done = primary.execute("SELECT pg_current_wal_lsn()")
        wait_until(lambda: standby.execute(f"SELECT pg_last_wal_receive_lsn() >= '{done}'"))
        for max_lag, on_standby in ((0, False), (None, True), (3600, True)):
            with Client.connect(both(pair), standbys=Standbys(max_lag)) as client:
                assert (client.run(WHERE, read_only=True)).value() is on_standby
        strict = Standbys(0, otherwise="error")
        with Client.connect(both(pair), standbys=strict) as client:
            with pytest.raises(psycopg.OperationalError, match=r"s behind; .* it is a primary"):
                client.run(WHERE, read_only=True)
            assert (client.run(WHERE)).value() is False
    finally:
        standby.execute("SELECT pg_wal_replay_resume()")


def test_a_standby_that_replays_what_comes_without_pause(fresh_pair: MakePair) -> None:
    pair = fresh_pair()
    # No commit, whose time would tell how far behind it is, is ever replayed.
    message = "pg_logical_emit_message(false, 'x', repeat('x', 90000))"
    write = f"DO $$BEGIN LOOP PERFORM {message}, pg_sleep(0.001); END LOOP; END$$"
    with Client.connect(pair.primary.dsn()) as writer:
        job = writer.launch(write)
        for _ in range(20):
            with Client.connect(both(pair), standbys=Standbys(5, "error")) as client:
                assert (client.run(WHERE, read_only=True)).value() is True
        job.cancel()


def test_without_a_standby(pair: Pair) -> None:
    dsn = pair.primary.dsn()
    with Client.connect(dsn, standbys=Standbys()) as client:
        assert (client.run(WHERE, read_only=True)).value() is False
    with Client.connect(dsn, standbys=Standbys(otherwise="error")) as client:
        assert (client.run(WHERE)).value() is False
        with pytest.raises(psycopg.OperationalError, match="no standby can be used"):
            client.launch(WHERE, read_only=True)
    # With a DSN of their own.
    apart = Standbys(dsn=pair.standby.dsn(), otherwise="error")
    with Client.connect(dsn, standbys=apart) as client:
        assert (client.run(WHERE, read_only=True)).value() is True


def test_a_standby_that_goes_or_is_promoted(fresh_pair: MakePair) -> None:
    pair = fresh_pair()
    with Client.connect(both(pair), standbys=Standbys()) as client:
        assert (client.run(WHERE, read_only=True)).value() is True
        pair.standby.cluster.stop("immediate")

        # The first launch may find that out, by a connection that breaks.
        with suppress(ConnectionLost):
            client.run(WHERE, read_only=True)
        assert (client.run(WHERE, read_only=True)).value() is False
    pair.standby.start()
    pair.promote()
    with Client.connect(both(pair), standbys=Standbys()) as client:
        assert (client.run(WHERE, read_only=True)).value() is False
        assert (client.run("SHOW port")).value() == pair.standby.execute("SHOW port")


def test_what_can_not_be(pair: Pair) -> None:
    for wrong in ({"max_lag": -1}, {"otherwise": "wait"}):
        with pytest.raises(ValueError, match="must"):
            Standbys(**wrong)
    with psycopg.Connection.connect(pair.primary.dsn()) as connection:
        assert Client(connection).session is not None
        with pytest.raises(TypeError, match="beside a DSN"):
            Client(connection, standbys=Standbys())


def test_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGTARGETSESSIONATTRS", raising=False)
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    found = each_host("host=a,b port=1,2 user=me target_session_attrs=standby", {"port": "7"})
    assert list(found) == ["a:7", "b:7"]
    expected = {"host": "b", "port": "7", "user": "me", "target_session_attrs": "any"}
    # One that does not answer must not be waited for without an end.
    patience = {"connect_timeout": "5", "tcp_user_timeout": "10000"}
    assert conninfo_to_dict(found["b:7"]) == {**expected, **patience}
    own = each_host("host=a connect_timeout=3", {"tcp_user_timeout": 70})["a:5432"]
    assert conninfo_to_dict(own)["connect_timeout"] == "3"
    assert "tcp_user_timeout" not in conninfo_to_dict(own)
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "9")
    assert "connect_timeout" not in conninfo_to_dict(each_host("host=a", {})["a:5432"])
    assert list(each_host("hostaddr=10.0.0.1,10.0.0.2 port=1,2", {})) == ["10.0.0.1:1", "10.0.0.2:2"]
    monkeypatch.setenv("PGHOST", "x,y")
    assert list(each_host("dbname=d", {})) == ["x:5432", "y:5432"]
    assert of_primary("host=a,b", {})["target_session_attrs"] == "read-write"
    assert of_primary("host=a target_session_attrs=any", {"connect_timeout": 3}) == {"connect_timeout": 3}
