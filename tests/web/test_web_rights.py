"""Who gets in, what they see, and what they may do: the database decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from pg_background.client.model import Handle

from ..support.fix_db import Connection
from ..support.server import Server
from ..support.waiting import wait_until
from .conftest import PASSWORD, MakeVisitor, MakeWeb, SessionOf, Someone

SECRET = "SELECT 'secret of rows'"

_HIDDEN = "&lt;insufficient privilege&gt;"


def launched(session: Connection, sql: str, label: str | None = None) -> Handle:
    """Launch a job."""
    row = session.execute("SELECT pid, cookie FROM pg_background_launch(%s, 0, %s)", [sql, label]).fetchone()
    assert row is not None
    return Handle(*row)


def state_of(session: Connection, handle: Handle) -> Any:
    """Return how a job stands."""
    row = session.execute("SELECT state FROM pg_background_outcome(%s, %s)", handle).fetchone()
    assert row is not None
    return row[0]


def path_of(handle: Handle, action: str = "") -> str:
    """Return the address of a job."""
    return f"/s/server/jobs/{handle.pid}:{handle.cookie}" + (f"/{action}" if action else "")


async def test_nothing_without_signing_in(make_web: MakeWeb, make_visitor: MakeVisitor) -> None:
    visitor = make_visitor(make_web())
    for path in ("jobs", "charts", "totals", "history", "server", "jobs/1:2"):
        answer = await visitor.get(f"/s/server/{path}")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?server=server&then=%2Fs%2Fserver%2F")
    for path in ("live/jobs", "live/charts", "live/jobs/1:2", "live/totals"):
        assert (await visitor.get(f"/s/server/{path}")).status_code == 401


async def test_a_password_lets_in(make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone) -> None:
    role = someone()
    visitor = make_visitor(make_web())
    answer = await visitor.sign_in(role, PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/s/server/jobs")
    assert f"<strong>{role}</strong>" in await visitor.text("/s/server/jobs")


async def test_another_password_does_not(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone
) -> None:
    visitor, role = make_visitor(make_web()), someone()
    for password in ("wrong", "", f"{PASSWORD}\0"):
        answer = await visitor.sign_in(role, password)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


async def test_the_page_s_own_password_is_no_one_else_s(
    make_web: MakeWeb,
    make_visitor: MakeVisitor,
    someone: Someone,
    tcp: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the conninfo and libpq's variables have is not for those who sign in."""
    role = someone()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    visitor = make_visitor(make_web(make_conninfo(tcp, user=role, password=PASSWORD)))
    for password in ("", "wrong"):
        assert (await visitor.sign_in(role, password)).status_code == 401


async def test_a_server_that_does_not_ask_lets_nobody_in(
    make_web: MakeWeb, make_visitor: MakeVisitor, server: Server, clients_database: str
) -> None:
    """Through its socket this server believes everybody: so would the page."""
    visitor = make_visitor(make_web(server.dsn(clients_database)))
    answer = await visitor.sign_in("postgres", "anything")
    assert answer.status_code == 401
    assert "without asking for its password" in answer.text


async def test_own_key(
    make_web: MakeWeb, make_visitor: MakeVisitor, server: Server, clients_database: str
) -> None:
    visitor = make_visitor(make_web(server.dsn(clients_database), own_key="of the test"))
    for wrong in ("", "?key=", "?key=another"):
        assert (await visitor.get(f"/enter{wrong}")).status_code == 403
    assert (await visitor.get("/enter?key=of+the+test")).status_code == 303
    assert "<strong>postgres</strong>" in await visitor.text("/s/server/jobs")
    other = make_visitor(make_web(server.dsn(clients_database)))
    assert (await other.get("/enter?key=")).status_code == 403


async def test_one_sees_what_one_s_role_may(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, session_of: SessionOf
) -> None:
    owner, stranger, watcher = someone(), someone(), someone("pg_monitor")
    session = session_of(owner)
    failed = launched(session, f"{SECRET}, 1/0", "of the owner")
    live = launched(session, "SELECT pg_sleep(3600)", "long one")
    wait_until(lambda: state_of(session, failed) == "error")
    wait_until(lambda: state_of(session, live) == "running")
    app = make_web()

    visitor = make_visitor(app)
    await visitor.sign_in(owner, PASSWORD)
    listed = await visitor.text("/s/server/jobs")
    assert "of the owner" in listed
    assert "division by zero" in listed
    assert "secret of rows" in await visitor.text(path_of(failed))

    visitor = make_visitor(app)
    await visitor.sign_in(watcher, PASSWORD)
    listed = await visitor.text(f"/s/server/jobs?role={owner}")
    assert "of the owner" in listed
    assert "division by zero" not in listed
    assert "22012" in listed

    visitor = make_visitor(app)
    await visitor.sign_in(stranger, PASSWORD)
    listed = await visitor.text(f"/s/server/jobs?role={owner}")
    assert _HIDDEN in listed
    assert "of the owner" not in listed
    assert "long one" not in listed
    assert (await visitor.get(path_of(failed))).status_code == 404
    session.execute("SELECT pg_background_cancel(%s, %s)", live)


async def test_read_only_is_refused_on_the_server_s_side(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, session_of: SessionOf
) -> None:
    role = someone("pgbackground_role", "pg_signal_backend")
    session = session_of(role)
    handle = launched(session, "SELECT pg_sleep(3600)", "stays")
    visitor = make_visitor(make_web())
    await visitor.sign_in(role, PASSWORD)
    text = await visitor.text(path_of(handle))
    assert "read-only" in text
    assert '<button class="danger">' not in text
    for action in ("cancel", "terminate", "detach", "again"):
        answer = await visitor.post(path_of(handle, action))
        assert answer.status_code == 403
        assert "without --allow-actions" in answer.text
    assert (await visitor.get(path_of(handle, "again"))).status_code == 403
    for action in ("drain", "resume"):
        assert (await visitor.post(f"/s/server/{action}", seconds="0")).status_code == 403
    assert state_of(session, handle) in ("starting", "running")
    session.execute("SELECT pg_background_cancel(%s, %s)", handle)


@pytest.mark.parametrize(("action", "state"), [("cancel", "canceled"), ("terminate", "canceled")])
async def test_actions_on_one_s_own_job(
    make_web: MakeWeb,
    make_visitor: MakeVisitor,
    someone: Someone,
    session_of: SessionOf,
    action: str,
    state: str,
) -> None:
    role = someone()
    session = session_of(role)
    handle = launched(session, "SELECT pg_sleep(3600)")
    wait_until(lambda: state_of(session, handle) == "running")
    visitor = make_visitor(make_web(allow_actions=True))
    await visitor.sign_in(role, PASSWORD)
    answer = await visitor.post(path_of(handle, action))
    assert (answer.status_code, answer.headers["location"]) == (303, path_of(handle))
    wait_until(lambda: state_of(session, handle) == state)
    assert "told to stop" in await visitor.text(path_of(handle))
    # It is told once.
    assert "told to stop" not in await visitor.text(path_of(handle))


async def test_actions_on_another_role_s_job(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, session_of: SessionOf
) -> None:
    owner, stranger = someone(), someone()
    session = session_of(owner)
    handle = launched(session, "SELECT pg_sleep(3600)")
    wait_until(lambda: state_of(session, handle) == "running")
    visitor = make_visitor(make_web(allow_actions=True))
    await visitor.sign_in(stranger, PASSWORD)
    for action in ("cancel", "terminate", "detach", "again"):
        assert (await visitor.post(path_of(handle, action))).status_code == 303
        assert 'class="news bad"' in (await visitor.get("/s/server/jobs")).text
    assert state_of(session, handle) == "running"
    session.execute("SELECT pg_background_cancel(%s, %s)", handle)


async def test_detach_and_launch_again(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, session_of: SessionOf
) -> None:
    role = someone()
    session = session_of(role)
    session.execute("CREATE TEMP TABLE unused ()")
    handle = launched(session, "SELECT 1 AS one, 'a % sign'", "twice %s")
    wait_until(lambda: state_of(session, handle) == "stopped")
    visitor = make_visitor(make_web(allow_actions=True))
    await visitor.sign_in(role, PASSWORD)
    question = await visitor.text(path_of(handle, "again"))
    assert "SELECT 1 AS one, &#39;a % sign&#39;" in question
    answer = await visitor.post(path_of(handle, "again"))
    place = answer.headers["location"]
    assert place != path_of(handle)
    text = await visitor.until(place, lambda text: 'class="state stopped"' in text)
    assert "twice %s" in text
    await visitor.post(path_of(handle, "detach"))
    assert "was detached" in await visitor.text("/s/server/jobs")
    assert session.execute("SELECT count(*) FROM pg_background_list").fetchone() == (0,)


async def test_launched_again_in_its_own_database_as_oneself(
    make_web: MakeWeb,
    make_visitor: MakeVisitor,
    someone: Someone,
    session_of: SessionOf,
    make_db: Callable[[str], str],
    server: Server,
) -> None:
    owner, superuser = someone(), someone(attributes="SUPERUSER")
    elsewhere = make_db("elsewhere")
    with server.connect(elsewhere, user=owner) as session:
        handle = launched(session, "SELECT current_database(), current_user")
        wait_until(lambda: state_of(session, handle) == "stopped")
        visitor = make_visitor(make_web(allow_actions=True))
        await visitor.sign_in(superuser, PASSWORD)
        assert f"The first one ran as {owner}" in await visitor.text(path_of(handle, "again"))
        answer = await visitor.post(path_of(handle, "again"))
    text = await visitor.text(answer.headers["location"])
    assert f"<dt>Database</dt><dd>{elsewhere}</dd>" in text
    assert f"<dt>Role</dt><dd>{superuser}</dd>" in text


async def test_drain_and_resume(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, fresh_server: Any
) -> None:
    server: Server = fresh_server()
    server.execute(
        f"CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}' IN ROLE pgbackground_role, pg_signal_backend"
    )
    server.execute(f"CREATE ROLE user_ LOGIN PASSWORD '{PASSWORD}' IN ROLE pgbackground_role")
    app = make_web(server.dsn(host="127.0.0.1"), allow_actions=True)
    visitor = make_visitor(app)
    await visitor.sign_in("user_", PASSWORD)
    await visitor.post("/s/server/drain", seconds="1")
    await visitor.until("/s/server/server", lambda text: "permission denied" in text)

    visitor = make_visitor(app)
    await visitor.sign_in("keeper", PASSWORD)
    for wrong in ("-1", "x", "9999999"):
        await visitor.post("/s/server/drain", seconds=wrong)
        assert "give the seconds" in await visitor.text("/s/server/jobs")
    await visitor.post("/s/server/drain", seconds="1")
    await visitor.until("/s/server/server", lambda text: "0 ended, 0 canceled, 0 still run" in text)
    with server.connect(user="keeper") as session:
        with pytest.raises(Exception, match="drain"):
            session.execute("SELECT pg_background_launch('SELECT 1')")
        await visitor.post("/s/server/resume")
        assert "can be launched again" in await visitor.text("/s/server/server")
        session.execute("SELECT pg_background_wait(pg_background_launch('SELECT 1'))")
