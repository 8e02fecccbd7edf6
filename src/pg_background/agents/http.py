"""The same over HTTP, on this machine alone."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from starlette.types import ASGIApp, Receive, Scope, Send

#: A token is as good as the database's password. Ten minutes of guessing must not find it.
LEAST_TOKEN = 16


class RequireToken:
    """Lets nobody through who has not the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it be answered."""
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                from starlette.responses import PlainTextResponse

                refusal = PlainTextResponse(
                    "the token is missing, or another one\n", 401, {"WWW-Authenticate": "Bearer"}
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def serve(server: MCPServer[Any], port: int, token: str) -> None:
    """Serve on 127.0.0.1 at `/mcp`, until told to stop.

    Requests that browsers send for other sites are refused, by their Host and Origin.
    """
    import uvicorn

    app = RequireToken(server.streamable_http_app(host="127.0.0.1"), token)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2)
