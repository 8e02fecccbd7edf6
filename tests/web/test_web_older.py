"""Servers that have less than the page knows, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable

from ..support.server import Server
from .conftest import PASSWORD, MakeVisitor, MakeWeb, Someone

#: What a catalogue of before has not.
VIEWS = ("resources", "histograms", "waits", "history")

PAGES = ("jobs", "charts", "charts?range=24h", "totals", "history", "server")


async def test_an_older_catalogue(
    make_web: MakeWeb,
    make_visitor: MakeVisitor,
    someone: Someone,
    make_db: Callable[[str], str],
    server: Server,
) -> None:
    """Views that don't belong to the extension are not asked, whatever they are called."""
    db = make_db("older")
    role = someone()
    for view in VIEWS:
        server.execute(f"ALTER EXTENSION pg_background DROP VIEW pg_background_{view}", db)
        server.execute(f"DROP VIEW pg_background_{view} CASCADE", db)
        server.execute(f"CREATE VIEW pg_background_{view} AS SELECT 1/0 AS trap", db)
        server.execute(f"GRANT SELECT ON pg_background_{view} TO PUBLIC", db)
    with server.connect(db, user=role) as session:
        row = session.execute(
            "SELECT pid, cookie FROM pg_background_launch('SELECT 1', 0, 'older')"
        ).fetchone()
        assert row is not None
        session.execute("SELECT pg_background_wait(%s, %s)", row)
        visitor = make_visitor(make_web(server.dsn(db, host="127.0.0.1")))
        await visitor.sign_in(role, PASSWORD)
        for page in PAGES:
            assert "division by zero" not in await visitor.text(f"/s/server/{page}")
        text = await visitor.text(f"/s/server/jobs/{row[0]}:{row[1]}")
        assert "older" in text
        assert "What it took" not in text
        assert "keeps no history" in await visitor.text("/s/server/history")
        assert (await visitor.get("/s/server/charts/data?range=15m")).status_code == 200


async def test_no_extension(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone, server: Server
) -> None:
    visitor = make_visitor(make_web(server.dsn("template1", host="127.0.0.1")))
    await visitor.sign_in(someone(), PASSWORD)
    answer = await visitor.get("/s/server/jobs")
    assert answer.status_code == 503
    assert "CREATE EXTENSION pg_background" in answer.text


async def test_a_role_that_may_see_nothing(
    make_web: MakeWeb, make_visitor: MakeVisitor, make_role: Callable[..., str]
) -> None:
    visitor = make_visitor(make_web())
    await visitor.sign_in(make_role(f"LOGIN PASSWORD '{PASSWORD}'"), PASSWORD)
    answer = await visitor.get("/s/server/jobs")
    assert answer.status_code == 503
    assert "grants it pgbackground_role" in answer.text


async def test_a_server_that_is_down(make_web: MakeWeb, make_visitor: MakeVisitor) -> None:
    visitor = make_visitor(make_web("host=127.0.0.1 port=1"))
    answer = await visitor.sign_in("postgres", PASSWORD)
    assert answer.status_code == 401
    assert "refused" in answer.text


async def test_a_server_that_goes_down(
    make_web: MakeWeb, make_visitor: MakeVisitor, server: Server, clients_database: str
) -> None:
    """What was seen last stays, with a word that it is old."""
    visitor = make_visitor(make_web(server.dsn(clients_database), own_key="k"))
    await visitor.get("/enter?key=k")
    await visitor.text("/s/server/jobs")
    (gateway,) = visitor._app.site.gateways._gateways.values()
    gateway._polls._conninfo = "host=127.0.0.1 port=1"
    await gateway._polls.close()
    await visitor.until("/s/server/jobs", lambda text: "No news from the server" in text)
