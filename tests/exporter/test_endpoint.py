"""What is said over HTTP: formats, passwords, TLS, and those who say nothing."""

from __future__ import annotations

import base64
import gzip
import http.client
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from prometheus_client.core import Metric

from pg_background.errors import UserError
from pg_background.exporter import endpoint as module
from pg_background.exporter.certificates import Certificate
from pg_background.exporter.endpoint import Endpoint
from pg_background.exporter.families import families
from pg_background.exporter.passwords import Passwords
from pg_background.exporter.watched import Answer

from ..support.metrics import Samples
from ..support.programs import program
from ..support.waiting import DEADLINE, wait_until
from .test_families import ROWS

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


class Serve(Protocol):
    """Starts endpoints that are closed at the test's end."""

    def __call__(
        self,
        *,
        passwords: Passwords | None = None,
        certificate: Certificate | None = None,
        metrics: module.Metrics | None = None,
        host: str = "127.0.0.1",
    ) -> Endpoint:
        """Return one that serves made-up metrics at a free port."""


@pytest.fixture
def told() -> list[str]:
    """What endpoints have told."""
    return []


@pytest.fixture
def serve(told: list[str]) -> Iterator[Serve]:
    """Starts endpoints."""
    with ExitStack() as stack:

        def start(
            *,
            passwords: Passwords | None = None,
            certificate: Certificate | None = None,
            metrics: module.Metrics | None = None,
            host: str = "127.0.0.1",
        ) -> Endpoint:
            made = Endpoint(
                (host, 0),
                metrics or (lambda _: families([Answer("db1", 0.1, ROWS)])),
                passwords=passwords,
                certificate=certificate,
                tell=told.append,
            )
            stack.callback(made.server_close)
            thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(made.shutdown)
            return made

        yield start


class Reply:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()


def get(endpoint: Endpoint, path: str = "/metrics", *, method: str = "GET", **headers: str) -> Reply:
    """Ask for a page."""
    connection = http.client.HTTPConnection(*endpoint.place, timeout=DEADLINE)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        return Reply(connection.getresponse())
    finally:
        connection.close()


def basic(words: str) -> str:
    """Return the header of a name and a password."""
    return f"Basic {base64.b64encode(words.encode()).decode()}"


def test_formats_are_negotiated(serve: Serve) -> None:
    endpoint = serve()
    text = get(endpoint)
    assert (text.status, text.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert Samples(text.body.decode()).value("pg_background_up") == 1
    strict = get(endpoint, Accept=OPENMETRICS)
    assert strict.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0;")
    assert strict.body.endswith(b"# EOF\n")
    found = Samples(strict.body.decode(), openmetrics=True)
    assert found.value("pg_background_jobs_launched_created") == 1.7e9
    assert int(strict.headers["Content-Length"]) == len(strict.body)


def test_compressed_if_that_is_understood(serve: Serve) -> None:
    packed = get(serve(), Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert Samples(gzip.decompress(packed.body).decode()).value("pg_background_up") == 1


def test_other_pages(serve: Serve) -> None:
    endpoint = serve()
    first = get(endpoint, "/")
    assert first.headers["Content-Type"].startswith("text/html")
    assert b'href="/metrics"' in first.body
    assert get(endpoint, "/metrics?x=1").status == 200
    assert get(endpoint, "/other").status == 404
    assert get(endpoint, method="POST").status == 501
    head = get(endpoint, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert "Python" not in head.headers["Server"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("10", 9.5), ("0.2", 0.1), *((word, None) for word in ("nan", "inf", "soon", "-1", ""))],
)
def test_the_scrapes_own_limit(serve: Serve, header: str, seconds: float | None) -> None:
    asked: list[float | None] = []

    def metrics(limit: float | None) -> Iterator[Metric]:
        asked.append(limit)
        return iter(())

    get(serve(metrics=metrics), X_Prometheus_Scrape_Timeout_Seconds=header)
    assert asked == [seconds]


def test_passwords(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("# who may\n\nprometheus:se:cret\nme:\N{SNOWMAN}\n", encoding="utf-8")
    endpoint = serve(passwords=Passwords(path))
    for page in ("/metrics", "/", "/other"):
        refused = get(endpoint, page)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert b"pg_background_" not in refused.body
    for wrong in ("prometheus:secret", "prometheus:", ":", "me:se:cret", "# who may:", "other:se:cret"):
        assert get(endpoint, Authorization=basic(wrong)).status == 401, wrong
    for broken in ("Basic", "Basic !", "Bearer x", "Basic " + "x" * 101):
        assert get(endpoint, Authorization=broken).status == 401, broken
    for right in ("prometheus:se:cret", "me:\N{SNOWMAN}"):
        assert get(endpoint, Authorization=basic(right)).status == 200, right
    assert get(endpoint, Authorization=basic("me:\N{SNOWMAN}").replace("Basic", "basic")).status == 200


def test_passwords_may_change(serve: Serve, tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "users"
    path.write_text("me:old")
    endpoint = serve(passwords=Passwords(path))
    path.write_text("me:new")
    assert get(endpoint, Authorization=basic("me:old")).status == 401
    assert get(endpoint, Authorization=basic("me:new")).status == 200
    path.unlink()
    assert get(endpoint, Authorization=basic("me:new")).status == 500
    assert told == [f"can't read {path}: No such file or directory"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no line NAME:PASSWORD"),
        (b"# nobody\n", "has no line NAME:PASSWORD"),
        (b"me\n", "line 1 of .* is not NAME:PASSWORD"),
        (b"me:x\nyou:\n", "line 2 of"),
        (b"me:\xff\n", "is not UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_file_of_passwords_that_is_none(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "users"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        Passwords(path)


def test_a_file_that_everybody_reads(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("me:x")
    for mode, is_open in ((0o600, False), (0o640, False), (0o644, True)):
        path.chmod(mode)
        assert Passwords(path).is_open is is_open


@pytest.fixture
def make_certificate(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """Makes a certificate of this name, and its key, always in the same files."""
    openssl = program("openssl", package="openssl")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def make(name: str) -> tuple[Path, Path]:
        subprocess.run(
            [
                *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"),
                *("-keyout", key, "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
        return certificate, key

    return make


def secured(endpoint: Endpoint, name: str, certificate: Path) -> bytes:
    """Ask for the metrics as one who trusts this certificate, and return the reply."""
    context = ssl.create_default_context(cafile=str(certificate))
    with (
        socket.create_connection(endpoint.place, timeout=DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname=name) as line,
    ):
        line.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_tls(serve: Serve, make_certificate: Callable[[str], tuple[Path, Path]], told: list[str]) -> None:
    certificate, key = make_certificate("first")
    endpoint = serve(certificate=Certificate(certificate, key, tell=told.append))
    assert endpoint.url.startswith("https://127.0.0.1:")
    assert b"pg_background_up" in secured(endpoint, "first", certificate)
    # Without TLS there is no answer, and no line in the log for each of those who try.
    with pytest.raises((http.client.HTTPException, OSError)):
        get(endpoint)
    # A renewed one is taken without a restart, and a broken one is not.
    make_certificate("second")
    assert b"pg_background_up" in secured(endpoint, "second", certificate)
    good = certificate.read_bytes()
    certificate.write_text("no certificate")
    kept = certificate.with_name("kept")
    kept.write_bytes(good)
    for _ in range(2):
        assert b"pg_background_up" in secured(endpoint, "second", kept)
    (line,) = told
    assert line.endswith("; the certificate before is still in use")


def test_tls_that_can_not_be(make_certificate: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    certificate, key = make_certificate("first")
    with pytest.raises(UserError, match="can't use"):
        Certificate(key, certificate)
    with pytest.raises(UserError, match="can't read"):
        Certificate(tmp_path / "none")
    subprocess.run(
        ["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:word", "-out", key],
        check=True,
        capture_output=True,
    )
    with pytest.raises(UserError, match="can't use"):
        Certificate(certificate, key)


def test_those_who_say_nothing_cost_nothing(
    serve: Serve, make_certificate: Callable[[str], tuple[Path, Path]]
) -> None:
    certificate, key = make_certificate("first")
    endpoint = serve(certificate=Certificate(certificate, key))
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_connection(endpoint.place))
        assert b"pg_background_up" in secured(endpoint, "first", certificate)


def test_those_who_say_nothing_make_room(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    endpoint = serve()
    with ExitStack() as stack:
        idle: list[socket.socket] = []
        for number in range(5):
            idle.append(stack.enter_context(socket.create_connection(endpoint.place, timeout=DEADLINE)))
            if number < 3:
                wait_until(lambda: len(endpoint.waiting._lines) == len(idle))
            else:
                # The one that came first, before its time is over.
                assert idle[number - 3].recv(1) == b""
        idle[-1].sendall(b"GET /metr")
        assert get(endpoint).status == 200
        idle[-1].sendall(b"ics HTTP/1.0\r\n\r\n")
        assert idle[-1].recv(12) == b"HTTP/1.0 200"
    wait_until(lambda: not endpoint.waiting._lines)


def test_as_many_connections_as_there_is_room_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    go_on = threading.Event()
    asked = threading.Semaphore(0)

    def metrics(_: float | None) -> Iterator[Metric]:
        asked.release()
        go_on.wait(DEADLINE)
        return families([Answer("db1", 0.1, ROWS)])

    endpoint = serve(metrics=metrics)
    threads = [threading.Thread(target=get, args=[endpoint]) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
            assert asked.acquire(timeout=DEADLINE)
        assert get(endpoint).status == 503
    finally:
        go_on.set()
        for thread in threads:
            thread.join()
    wait_until(lambda: get(endpoint).status == 200)


def test_the_slow_are_left(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    endpoint = serve()
    with socket.create_connection(endpoint.place, timeout=DEADLINE) as slow:
        slow.sendall(b"GET /metr")
        assert slow.recv(1) == b""


def test_an_error_is_told_and_the_next_one_served(serve: Serve, told: list[str]) -> None:
    def metrics(_: float | None) -> Iterator[Metric]:
        raise ValueError("wrong")

    endpoint = serve(metrics=metrics)
    for _ in range(2):
        with pytest.raises(http.client.HTTPException):
            get(endpoint)
    wait_until(lambda: told == ["a request failed: ValueError: wrong"] * 2)


def test_where_it_can_not_listen(serve: Serve) -> None:
    taken = serve()
    with pytest.raises(UserError, match="can't listen on 127.0.0.1:"):
        Endpoint(("127.0.0.1", taken.place[1]), lambda _: iter(()))
    with pytest.raises(UserError, match="can't listen on nowhere.invalid:1: "):
        Endpoint(("nowhere.invalid", 1), lambda _: iter(()))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_all_addresses(serve: Serve) -> None:
    endpoint = serve(host="::")
    _, port = endpoint.place
    assert endpoint.url == f"http://[::]:{port}/metrics"
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, port), timeout=DEADLINE) as line:
            line.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert line.recv(1024).startswith(b"HTTP/1.0 200")
