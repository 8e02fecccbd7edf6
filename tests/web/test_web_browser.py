"""The page in a real browser: what one does with it, what changes by itself; nobody's text is markup."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from pg_background.client.model import Handle

from ..support.fix_db import Connection
from ..support.server import Server
from ..support.waiting import wait_until, wait_until_sql
from .browser import Browser, faults
from .conftest import PASSWORD, MakeServed, SessionOf, Someone
from .served import KEY, Served

#: Text of others, as it comes when they mean no good.
HOSTILE = """<img src=x onerror=alert(1)> "'><script>alert(2)</script> {{ 7*7 }} ${7*7} </textarea>"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll more often than people need it."""
    monkeypatch.setattr("pg_background.web.watcher.INTERVAL", 0.2)
    monkeypatch.setattr("pg_background.web.watcher.SLOW", 0.4)


def launched(session: Connection, sql: str, label: str) -> Handle:
    """Launch a job, and wait until it runs or has ended."""
    row = session.execute("SELECT pid, cookie FROM pg_background_launch(%s, 0, %s)", [sql, label]).fetchone()
    assert row is not None
    handle = Handle(*row)
    session.execute("SELECT count(*) FROM pg_background_describe(%s, %s)", handle)
    return handle


#: Widths of windows, and the theme that is looked at there.
SIZES: tuple[tuple[int, Literal["light", "dark"] | None], ...] = ((1440, "light"), (800, None), (390, "dark"))


def sign_in(page: Page, served: Served, role: str) -> None:
    """Sign in by the form, with the keyboard alone."""
    page.goto(served.address)
    expect(page.get_by_label("Role")).to_be_focused()
    page.keyboard.type(role)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/s/server/jobs")


def state_of(session: Connection, handle: Handle) -> str:
    """Return how a job stands."""
    row = session.execute("SELECT state FROM pg_background_outcome(%s, %s)", handle).fetchone()
    assert row is not None
    return str(row[0])


def test_live_list_filters_and_a_job(
    chromium: Browser, served: MakeServed, someone: Someone, session_of: SessionOf
) -> None:
    role = someone()
    session = session_of(role)
    with chromium.page() as page:
        sign_in(page, served(), role)
        page.goto(page.url + f"?role={role}")
        first = launched(session, "SELECT pg_background_progress(40, 'at work'), pg_sleep(3600)", "first job")
        # Without being asked for.
        row = page.get_by_role("row", name="first job")
        expect(row).to_contain_text("running")
        expect(row).to_contain_text("40")
        second = launched(session, "SELECT 1/0", "second job")
        expect(page.get_by_role("row", name="second job")).to_contain_text("division by zero")

        page.keyboard.press("/")
        page.keyboard.type("second")
        expect(row).to_have_count(0)
        expect(page).to_have_url(re.compile(r"q=second"))
        page.reload()
        expect(page.get_by_label("Text")).to_have_value("second")
        page.get_by_label("Text").fill("")
        expect(row).to_be_visible()
        page.get_by_role("link", name="running").click()
        expect(page.get_by_role("row", name="second job")).to_have_count(0)

        page.locator("body").press("j")
        expect(page.get_by_role("link", name="first job")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("first job")
        expect(page.locator("progress")).to_have_attribute("value", "40")
        session.execute("SELECT pg_background_cancel(%s, %s)", first)
        expect(page.locator(".heading .state")).to_have_text("canceled")

        page.goto(page.url.rpartition("/")[0] + f"/{second.pid}:{second.cookie}")
        expect(page.locator(".failed .message")).to_have_text("division by zero")
        expect(page.locator(".failed")).to_contain_text("22012")


def test_actions(chromium: Browser, served: MakeServed, someone: Someone, session_of: SessionOf) -> None:
    role = someone()
    session = session_of(role)
    handle = launched(session, "SELECT pg_sleep(3600)", "to be canceled")
    wait_until(lambda: state_of(session, handle) == "running")
    with chromium.page() as page:
        sign_in(page, served(allow_actions=True), role)
        page.get_by_role("link", name="to be canceled").click()
        page.get_by_text("Cancel …").click()
        # A question that is open stays open while the view is renewed.
        version = page.locator("[data-now]").inner_text()
        expect(page.locator("[data-now]")).not_to_have_text(version)
        expect(page.get_by_text("rolled back")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_text("rolled back")).to_be_hidden()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("status")).to_contain_text("told to stop")
        expect(page.locator(".heading .state")).to_have_text("canceled")
        page.get_by_role("link", name="Launch again").click()
        page.get_by_role("button", name="Launch").click()
        expect(page.get_by_role("status")).to_contain_text("launched again")
        page.get_by_text("Terminate …").click()
        page.get_by_role("button", name="Terminate").click()
        expect(page.locator(".heading .state")).to_have_text("canceled")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        page.go_back()
        expect(page.get_by_text("to be canceled")).to_have_count(0)


def test_another_role_s_jobs_and_a_page_that_only_shows(
    chromium: Browser, served: MakeServed, someone: Someone, session_of: SessionOf
) -> None:
    owner, watcher = someone(), someone("pg_monitor")
    session = session_of(owner)
    handle = launched(session, "SELECT pg_sleep(3600)", "of another")
    with chromium.page(expects_errors=True) as page:
        sign_in(page, served(), watcher)
        page.goto(f"{page.url}?role={owner}")
        page.get_by_role("link", name="of another").click()
        expect(page.get_by_text("read-only")).to_be_visible()
        expect(page.get_by_text("Cancel …")).to_have_count(0)
        # Whoever makes the form up is refused too.
        status = page.evaluate(
            """async (path) => {
              const csrf = document.querySelector("[name=csrf]").value;
              const answer = await fetch(path, {method: "POST", body: new URLSearchParams({csrf})});
              return answer.status;
            }""",
            f"/s/server/jobs/{handle.pid}:{handle.cookie}/cancel",
        )
        assert status == 403
    assert state_of(session, handle) in ("starting", "running")


def test_hostile_text_is_text(
    chromium: Browser, served: MakeServed, someone: Someone, session_of: SessionOf, side: Connection
) -> None:
    """A label, SQL, an error and a message of progress, in every view that has them."""
    role = someone()
    side.execute(f"ALTER ROLE {role} SET pg_background.history = on")
    session = session_of(role)
    literal = HOSTILE.replace("'", "''")
    live = launched(session, f"SELECT pg_background_progress(5, '{literal}'), pg_sleep(3600)", HOSTILE[:60])
    failed = launched(
        session,
        f"DO $x$ BEGIN RAISE EXCEPTION '%', '{literal}' USING DETAIL = '{literal}'; END $x$",
        HOSTILE[:60],
    )
    wait_until(lambda: state_of(session, failed) == "error")
    wait_until_sql(session, "SELECT count(*) = 1 FROM pg_background_history")
    with chromium.page() as page:
        sign_in(page, served(allow_actions=True), role)
        jobs = page.url
        paths = [
            f"?role={role}",
            *(f"/{handle.pid}:{handle.cookie}{end}" for handle in (live, failed) for end in ("", "/again")),
        ]
        history = jobs.replace("/jobs", "/history")
        for address in (
            *(jobs + path for path in paths),
            history,
            f"{jobs}?q=%22%3E%3Cscript%3Ealert(3)%3C/script%3E",
        ):
            page.goto(address)
            expect(page.get_by_text("read-only")).to_have_count(0)
            assert page.locator("main img, main script, main [onerror], textarea").count() == 0
        page.goto(history)
        page.locator(".c-job a").first.click()
        assert page.locator("main img, main script").count() == 0
        assert "<img src=x" in page.locator("main").inner_text()
        # By the stream too, which is not the browser's own way of reading a page.
        page.goto(f"{jobs}?role={role}")
        version = page.locator("[data-now]").inner_text()
        expect(page.locator("[data-now]")).not_to_have_text(version)
        assert page.locator("main img, main script").count() == 0
        assert HOSTILE[:60] in page.locator("main").inner_text()


def test_charts_are_drawn_and_go_on(
    chromium: Browser, served: MakeServed, someone: Someone, session_of: SessionOf
) -> None:
    role = someone()
    session = session_of(role)
    with chromium.page() as page:
        sign_in(page, served(), role)
        launched(session, "SELECT 1", "one")
        page.get_by_role("link", name="Charts").click()
        points = "() => document.querySelector('[data-chart=states] canvas') !== null"
        page.wait_for_function(points)
        value = page.locator("[data-chart=states] [data-last]").first
        launched(session, "SELECT pg_sleep(3600)", "two")
        expect(value).not_to_have_text("0")
        page.get_by_role("link", name="24 hours").click()
        expect(page).to_have_url(re.compile("range=24h"))


def test_pause_and_no_news(chromium: Browser, served: MakeServed, someone: Someone) -> None:
    with chromium.page(expects_errors=True) as page:
        made = served()
        sign_in(page, made, someone())
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Paused at")).to_be_visible()
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("Live,")).to_be_visible()
        made.stop()
        expect(page.get_by_text("No connection since")).to_be_visible()


def test_without_a_script(
    chromium: Browser, served: MakeServed, someone: Someone, session_of: SessionOf
) -> None:
    """Reading, filtering and ending a job work."""
    role = someone()
    session = session_of(role)
    handle = launched(session, "SELECT pg_sleep(3600)", "without script")
    with chromium.page(java_script_enabled=False) as page:
        sign_in(page, served(allow_actions=True), role)
        page.get_by_label("Text").fill("without")
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("link", name="without script").click()
        page.get_by_text("Cancel …").click()
        page.get_by_role("button", name="Cancel").click()
        wait_until(lambda: state_of(session, handle) == "canceled")
        page.get_by_role("link", name="Charts").click()
        expect(page.locator("[data-chart=states]")).to_contain_text("running")


def test_two_servers(
    chromium: Browser, served: MakeServed, someone: Someone, tcp: str, session_of: SessionOf
) -> None:
    role = someone()
    launched(session_of(role), "SELECT pg_sleep(3600)", "of both")
    with chromium.page() as page:
        made = served({"north": tcp, "south": tcp, "down": "host=127.0.0.1 port=1"})
        page.goto(made.address)
        page.get_by_label("Server").select_option("south")
        page.get_by_label("Role").fill(role)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="of both")).to_be_visible()
        page.goto(made.address)
        expect(page.get_by_role("row", name="south")).to_contain_text(role)
        page.get_by_role("link", name="Sign in to north").click()
        expect(page.locator("select[name=server]")).to_have_value("north")


def test_everybody_can_use_every_view(
    chromium: Browser,
    served: MakeServed,
    server: Server,
    clients_database: str,
    someone: Someone,
    session_of: SessionOf,
    side: Connection,
) -> None:
    """axe-core finds nothing, light and wide, dark and on a phone; nothing is wider than the window."""
    role = someone()
    side.execute(f"ALTER ROLE {role} SET pg_background.history = on")
    session = session_of(role)
    (schema,) = side.execute("SELECT current_schema()").fetchone() or ("",)
    side.execute("CREATE TABLE busy AS SELECT 1 AS one")
    side.execute(f"GRANT ALL ON busy TO PUBLIC; GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
    with side.transaction():
        side.execute("LOCK TABLE busy")
        blocked = launched(session, "SELECT pg_background_progress(30, 'half'), pg_sleep(3600)", "at work")
        waits = session.execute(
            "SELECT pid, cookie FROM pg_background_launch(%s, 0, 'blocked')",
            [f"UPDATE {schema}.busy SET one = 2"],
        ).fetchone()
        assert waits is not None
        failed = launched(
            session, "SELECT 1/0", "a label as long as labels may be, and some words more than that"
        )
        wait_until(lambda: state_of(session, failed) == "error")
        wait_until(
            lambda: session.execute("SELECT count(*) > 0 FROM pg_background_history").fetchone() == (True,)
        )
        made = served(server.dsn(clients_database), own_key=KEY, allow_actions=True)
        # Colours that are on their way from one to the other have no contrast of their own.
        with chromium.page(reduced_motion="reduce") as page:
            page.goto(made.entry)
            jobs = f"{made.address}/s/server/jobs"
            history = f"{jobs.replace('/jobs', '/history')}?role={role}"
            page.goto(history)
            row = page.locator(".c-job a").first.get_attribute("href")
            views = [
                *(f"{jobs}?role={role}", f"{jobs}?q=nothing+is+like+this", f"{jobs}/{waits[0]}:{waits[1]}"),
                *(f"{jobs}/{handle.pid}:{handle.cookie}" for handle in (blocked, failed)),
                *(f"{jobs}/{failed.pid}:{failed.cookie}/again", jobs.replace("/jobs", "/charts")),
                *(jobs.replace("/jobs", "/totals"), history, made.address + str(row)),
                *(jobs.replace("/jobs", "/server"), f"{made.address}/sign-in"),
            ]
            for address in views:
                page.goto(address)
                for width, theme in SIZES:
                    page.set_viewport_size({"width": width, "height": 800})
                    assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
                    if theme:
                        page.emulate_media(color_scheme=theme)
                        found = faults(page, contrast_only=theme == "dark")
                        assert [address, theme, *found] == [address, theme]
