"""`pg-background mcp` as a program: its input and output, HTTP, and what it needs."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from pg_background.server import ports

from ..support.fix_cli import OnPlace
from ..support.fix_client import Place
from ..support.waiting import wait_until


def test_it_ends_with_its_input_and_prints_nothing_else(bg: OnPlace, place: Place) -> None:
    done = subprocess.run(
        [*bg.program, "mcp", place.dsn()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_without_the_extra(bg: OnPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("pg_background.agents")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    monkeypatch.setitem(sys.modules, "mcp", None)
    done = bg("mcp")
    assert done.code == 1
    assert done.errors == "error: mcp is not installed\nhint: pip install 'pg_background[mcp]'\n"


def test_http_needs_a_token(bg: OnPlace, tmp_path: Path) -> None:
    done = bg("mcp", "--http", "8901")
    assert (done.code, "--http needs --token-file" in done.errors) == (2, True)
    assert "can't read" in bg("mcp", "--http", "8901", "--token-file", tmp_path / "none").errors
    (tmp_path / "short").write_text("short\n")
    done = bg("mcp", "--http", "8901", "--token-file", tmp_path / "short")
    assert (done.code, "must have a token of 16 characters" in done.errors) == (1, True)


async def test_http(bg: OnPlace, tmp_path: Path) -> None:
    token, port = secrets.token_urlsafe(), ports.any_free()
    url = f"http://127.0.0.1:{port}/mcp"
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    server = bg.start("mcp", "--http", str(port), "--token-file", file)
    with server:
        try:
            wait_until(lambda: _answers(url) or server.poll() is not None, what="the server answers")
            for headers in ({}, {"Authorization": "Bearer another one"}):
                assert httpx2.post(url, json={}, headers=headers).status_code == 401
            known = {"Authorization": f"Bearer {token}"}
            # As a page of another site would, in a browser of this machine.
            assert (
                httpx2.post(url, json={}, headers={**known, "Origin": "http://evil.example"}).status_code
                == 403
            )
            assert httpx2.post(url, json={}, headers={**known, "Host": "evil.example"}).status_code == 421
            async with (
                httpx2.AsyncClient(headers=known) as http,
                Client(streamable_http_client(url, http_client=http)) as client,
            ):
                found = await client.call_tool("start_job", {"sql": "SELECT 1", "wait_seconds": 20})
                assert found.structured_content is not None
                assert found.structured_content["state"] == "done"
        finally:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        httpx2.get(url)
    except httpx2.TransportError:
        return False
    return True
