"""What holds for every request: headers, hosts, origins, forms, cookies, limits."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import anyio
import pytest

from pg_background.errors import UserError
from pg_background.web import WebApp, create_app
from pg_background.web.serve import Listening, _bound
from pg_background.web.sessions import IDLE, LONGEST, STREAMS, Sessions
from pg_background.web.signing_in import Attempts

from ..support.waiting import DEADLINE
from .conftest import HOST, PASSWORD, MakeVisitor, MakeWeb, Someone
from .visitor import Visitor

PAGES = ("jobs", "charts", "totals", "history", "server", "jobs/1:2", "nothing")


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class HeldGateway:
    target = type("T", (), {"name": "server"})
    watcher = type("W", (), {"announce": lambda self: None})()
    holders = 0


class HeldGateways:
    def hold(self, gateway: HeldGateway) -> None:
        gateway.holders += 1

    def release(self, gateway: HeldGateway) -> None:
        gateway.holders -= 1


@pytest.fixture
async def visitor(make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone) -> Visitor:
    """Who is signed in to a page with actions."""
    made: Visitor = make_visitor(make_web(allow_actions=True))
    assert (await made.sign_in(someone(), PASSWORD)).status_code == 303
    return made


def app_of(visitor: Visitor) -> WebApp:
    """Return the page."""
    app: WebApp = visitor._app
    return app


async def test_every_answer_has_the_headers(visitor: Visitor) -> None:
    answers = [await visitor.get(f"/s/server/{page}") for page in PAGES]
    answers += [await visitor.get(path) for path in ("/static/page.js", "/static/none", "/sign-in", "/")]
    answers.append(await visitor.client.post("/sign-out"))
    answers.append(await visitor.get("/", headers={"Host": "evil.example"}))
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    async with visitor.stream("/s/server/live/jobs") as stream:
        headers = dict((await stream.start())["headers"])
    assert headers[b"content-security-policy"].startswith(b"default-src 'self'")
    assert headers[b"cache-control"] == b"no-store"


async def test_nothing_inline_and_nothing_from_elsewhere(visitor: Visitor) -> None:
    for page in PAGES:
        text = (await visitor.get(f"/s/server/{page}")).text
        assert not re.search(r"<script(?![^>]* src=)", text)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
        for address in re.findall(r'(?:src|href|action|data-live|data-charts|data-points)="([^"]*)"', text):
            assert address.startswith(("/", "#")), address
            assert not address.startswith("//")


#: Of forms that other pages have a browser send.
FOREIGN: list[dict[str, str]] = [
    {},
    {"Origin": "null"},
    {"Origin": "http://evil.example"},
    {"Origin": f"http://{HOST}:81"},
    {"Origin": "http://[::1"},
    {"Origin": f"http://{HOST}.evil.example"},
    {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"},
    {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-site"},
]


async def test_forms_of_other_origins_are_refused(visitor: Visitor) -> None:
    token = await visitor.csrf()
    for headers in FOREIGN:
        for path in ("/sign-in", "/sign-out", "/s/server/jobs/1:2/cancel", "/s/server/drain"):
            answer = await visitor.client.post(path, data={"csrf": token}, headers=headers)
            assert answer.status_code == 403
            assert "not sent from the page itself" in answer.text
    assert (await visitor.get("/s/server/jobs")).status_code == 200


async def test_forms_of_other_sessions_are_refused(visitor: Visitor) -> None:
    for token in ("", "wrong", "é"):
        for path in ("/sign-out", "/s/server/jobs/1:2/cancel", "/s/server/drain"):
            answer = await visitor.post(path, csrf=token)
            assert answer.status_code == 403
            assert "Load it again" in answer.text


async def test_only_forms_are_taken(visitor: Visitor) -> None:
    origin = {"Origin": visitor.origin}
    answer = await visitor.client.post("/sign-in", json={"role": "x"}, headers=origin)
    assert answer.status_code == 415
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        assert (await visitor.client.request(method, "/sign-in", headers=origin)).status_code == 403
    assert (await visitor.sign_in("x" * 100_000, "x")).status_code == 413
    answer = await visitor.client.post(
        "/sign-in",
        content=b"\xff" * 10,
        headers={**origin, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 400


async def test_other_hosts_are_refused(visitor: Visitor) -> None:
    for host in ("evil.example", f"{HOST}.evil.example", "", "127.0.0.1", f"x@{HOST}"):
        answer = await visitor.get("/s/server/jobs", headers={"Host": host})
        assert answer.status_code == 400


async def test_cookie(make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone) -> None:
    app = make_web(cookie="of_the_test")
    role = someone()
    visitor = make_visitor(app)
    visitor.client.cookies.set("of_the_test", "planted", domain=HOST)
    answer = await visitor.sign_in(role, PASSWORD)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("of_the_test=")
    assert "planted" not in cookie
    assert "; HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    # Nothing that could be used elsewhere is in what the browser gets.
    for text in (cookie, (await visitor.get("/s/server/server")).text):
        assert PASSWORD not in text
    first = visitor.client.cookies["of_the_test"]
    await visitor.sign_in(role, PASSWORD)
    assert visitor.client.cookies["of_the_test"] != first
    other = make_visitor(app)
    other.client.cookies.set("of_the_test", first)
    assert (await other.get("/s/server/jobs")).status_code == 303


async def test_cookie_of_https_is_secure(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone
) -> None:
    visitor = make_visitor(make_web(origin=f"https://{HOST}"))
    role = someone()
    assert (await visitor.sign_in(role, PASSWORD)).status_code == 403
    visitor.origin = f"https://{HOST}"
    assert "; Secure" in (await visitor.sign_in(role, PASSWORD)).headers["set-cookie"]


async def test_signed_out(visitor: Visitor) -> None:
    cookies = dict(visitor.client.cookies)
    async with visitor.stream("/s/server/live/jobs") as stream:
        await stream.start()
        assert (await visitor.post("/sign-out")).status_code == 303
        # It does not go on showing to one who is not signed in any more.
        await stream.end()
    visitor.client.cookies.update(cookies)
    assert (await visitor.get("/s/server/jobs")).status_code == 303
    # Nobody is left: nor are there connections.
    assert not app_of(visitor).site.gateways._gateways


async def test_streams_end_with_the_page(visitor: Visitor) -> None:
    async with visitor.stream("/s/server/live/totals") as stream:
        await stream.start()
        await app_of(visitor).aclose()
        await stream.end()


async def test_streams_are_bounded(visitor: Visitor) -> None:
    (session,) = app_of(visitor).site.sessions._sessions.values()
    session.streams = STREAMS
    assert (await visitor.get("/s/server/live/jobs")).status_code == 429


async def test_sessions_expire(make_web: MakeWeb) -> None:
    clock = Clock()

    gateways: Any = HeldGateways()
    gateway: Any = HeldGateway()
    sessions = Sessions(gateways, clock)
    session = sessions.sign_in(None, gateway)
    clock.now += IDLE - 1
    assert sessions.find(session.id) is session
    clock.now += IDLE + 1
    assert sessions.find(session.id) is None
    assert session.is_over
    session = sessions.sign_in(None, gateway)
    for _ in range(int(LONGEST / (IDLE / 2)) + 1):
        clock.now += IDLE / 2
        sessions.find(session.id)
    assert session.is_over
    for _ in range(500):
        sessions.sign_in(None, gateway)
    assert len(sessions._sessions) == gateway.holders == 200


async def test_a_role_that_signs_in_again_and_again_pushes_out_itself() -> None:
    gateways: Any = HeldGateways()
    sessions = Sessions(gateways, Clock())
    quiet, loud = HeldGateway(), HeldGateway()
    session = sessions.sign_in(None, quiet)  # type: ignore[arg-type]
    for _ in range(500):
        sessions.sign_in(None, loud)  # type: ignore[arg-type]
    assert sessions.find(session.id) is session
    assert (quiet.holders, loud.holders) == (1, 199)


async def test_passwords_are_forgotten_though_nobody_asks(
    visitor: Visitor, someone: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pg_background.web.sessions.SWEEP", 0.01)
    site = app_of(visitor).site
    site.sessions.end_all()
    site.sessions._clock = clock = Clock()
    assert (await visitor.sign_in(someone(), PASSWORD)).status_code == 303
    clock.now += IDLE + 1
    with anyio.fail_after(DEADLINE):
        while site.sessions._sessions:
            await asyncio.sleep(0.01)
    assert not site.gateways._gateways


async def test_guesses_have_to_wait(visitor: Visitor) -> None:
    answers = [(await visitor.sign_in("nobody", f"guess {n}")).status_code for n in range(11)]
    assert answers == [401] * 10 + [429]


async def test_guesses_at_once_have_to_wait_too(visitor: Visitor) -> None:
    guesses = (visitor.sign_in("nobody", f"guess {n}") for n in range(30))
    answers = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert sorted(answers) == [401] * 10 + [429] * 20


async def test_those_who_are_let_in_do_not_have_to_wait(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone
) -> None:
    visitor, role = make_visitor(make_web()), someone()
    assert {(await visitor.sign_in(role, PASSWORD)).status_code for _ in range(11)} == {303}


def test_guesses_may_go_on_later() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(10):
        assert not attempts.wait_of("here")
        attempts.began("here")
    assert attempts.wait_of("here") == 60
    assert not attempts.wait_of("there")
    attempts.succeeded("here")
    assert not attempts.wait_of("here")
    clock.now += 61
    assert not attempts.wait_of("here")
    for number in range(20_000):
        attempts.began(f"address {number}")
    assert len(attempts._counted) <= 10_000


#: Where nobody may be led to.
ELSEWHERE = (
    *("https://evil.example/", "//evil.example/s/", "/\\evil.example"),
    *("/s/../../x\\", "javascript:alert(1)", "/s"),
)


async def test_signing_in_leads_nowhere_else(
    make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone
) -> None:
    visitor, role = make_visitor(make_web()), someone()
    for then in ELSEWHERE:
        answer = await visitor.sign_in(role, PASSWORD, then=then)
        assert answer.headers["location"] == "/s/server/jobs"


async def test_signing_in_leads_back(make_web: MakeWeb, make_visitor: MakeVisitor, someone: Someone) -> None:
    visitor = make_visitor(make_web())
    answer = await visitor.sign_in(someone(), PASSWORD, then="/s/server/jobs?q=import&state=error")
    assert answer.headers["location"] == "/s/server/jobs?q=import&state=error"


async def test_no_file_but_the_page_s_own(visitor: Visitor) -> None:
    for name in ("../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", "vendor", ""):
        assert (await visitor.get(f"/static/{name}")).status_code in (303, 404)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_nothing_more(host: str) -> None:
    Listening(host, 0).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "db.example.com"])
@pytest.mark.parametrize("public_url", ["", "http://db.example.com"])
def test_other_addresses_need_https(host: str, public_url: str) -> None:
    with pytest.raises(UserError, match="in the clear"):
        Listening(host, 0, public_url=public_url).check()
    Listening(host, 0, public_url="https://db.example.com/jobs").check()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_addresses_are_those_of_ipv4_too() -> None:
    with _bound(Listening("::", 0)) as bound:
        socket.create_connection(("127.0.0.1", bound.getsockname()[1])).close()


def test_public_url() -> None:
    listening = Listening("0.0.0.0", 0, public_url="https://db.example.com:444/jobs/")
    assert listening.origin == "https://db.example.com:444"
    assert listening.hosts == {"db.example.com"}
    assert listening.root_path == "/jobs"
    with pytest.raises(UserError, match="no address"):
        Listening("127.0.0.1", 0, public_url="db.example.com").check()


@pytest.mark.parametrize("servers", [{}, {"a/b": ""}, {"..": ""}, {"": ""}])
def test_names_of_servers(servers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"name"):
        create_app(servers)
