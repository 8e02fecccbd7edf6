"""`pg-background web`: the jobs of one or many servers, in a browser."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ....server.errors import UnreachableError
from ...errors.extras import missing_extra
from ...options.addresses import listen_address
from ...options.database import Database
from ...options.given import command
from ...options.servers import Servers, ServersOrPasswordGiven
from ...output.console import note

if TYPE_CHECKING:
    from ....web.targets import Target


@command(
    "web",
    "web --allow-actions postgresql://app@db.example.com/shop",
    "web --server shop=host=db1,dbname=shop --server bank=postgresql://db2/bank",
    "web --cluster postgresql://app@coordinator/shop",
)
def web(
    servers: ServersOrPasswordGiven,
    listen: Annotated[
        Any,
        typer.Option(
            "--listen",
            metavar="ADDRESS:PORT",
            parser=listen_address,
            envvar="PG_BACKGROUND_WEB_LISTEN",
            help="Where the page listens; without ADDRESS on all addresses of this machine. Port 0 is any "
            "that is free.",
        ),
    ] = "127.0.0.1:8432",
    allow_actions: Annotated[
        bool,
        typer.Option(
            "--allow-actions",
            envvar="PG_BACKGROUND_WEB_ALLOW_ACTIONS",
            help="Let those who may cancel, detach and launch jobs do it from the page, and drain servers.",
        ),
    ] = False,
    public_url: Annotated[
        str,
        typer.Option(
            "--public-url",
            metavar="URL",
            envvar="PG_BACKGROUND_WEB_PUBLIC_URL",
            help="The address that browsers use, if that is not the one where the page listens.",
        ),
    ] = "",
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            metavar="PATH",
            envvar="PG_BACKGROUND_WEB_CERTIFICATE",
            help="Certificate for https, with its chain.",
        ),
    ] = None,
    certificate_key: Annotated[
        Path | None,
        typer.Option(
            "--certificate-key",
            metavar="PATH",
            envvar="PG_BACKGROUND_WEB_CERTIFICATE_KEY",
            help="Its private key.",
        ),
    ] = None,
    passwords_only: Annotated[
        bool,
        typer.Option(
            "--passwords-only",
            envvar="PG_BACKGROUND_WEB_PASSWORDS_ONLY",
            help="Print no address that lets whoever sees it in as the DSN's own role.",
        ),
    ] = False,
) -> None:
    """Serve a web page of all jobs of one or many servers: what runs, what ran and what it cost.

    Who looks at it signs in as a role of the server, by its password, and sees and does what that role may.
    Whoever starts it can enter by the address that is printed, as the DSN's own role. It only shows, unless
    --allow-actions is given; it is reached from this machine alone, unless another address is given together
    with an https --public-url. The nodes of a cluster are looked up when it starts. Needs Python 3.11 and the
    extra `web`: pip install 'pg_background[web]'.
    """
    host, port = listen
    try:
        from ....web.serve import Listening, serve
    except ModuleNotFoundError as error:
        raise missing_extra(
            error, "web", "starlette", "uvicorn", "jinja2", remark=", with Python 3.11 or newer"
        ) from None
    if certificate is not None and not certificate.is_file():
        raise typer.BadParameter(f"there is no certificate {certificate}")

    def say(address: str, entry: str) -> None:
        # To be seen at once, also through a pipe.
        typer.echo(f"Serving {address}" + ("" if allow_actions else " (read-only)"))
        if entry:
            typer.echo(f"Enter as the role of the DSN by {entry}")
        sys.stdout.flush()

    serve(
        _targets(servers),
        Listening(host, port, certificate, certificate_key, public_url),
        allow_actions=allow_actions,
        own=not passwords_only,
        say=say,
    )


def _targets(servers: Servers) -> list[Target]:
    from ....web.targets import Target

    if not servers.are_named:
        return [Target("server", _with_password(servers.one).conninfo)]
    found = servers.by_name()
    names = _parts_of_addresses(found) if servers.is_cluster else found
    try:
        return [Target(name, at.conninfo) for name, at in zip(names, found.values(), strict=True)]
    except ValueError as error:
        raise typer.BadParameter(f"--server: {error}") from None


def _parts_of_addresses(nodes: Iterable[str]) -> list[str]:
    """Return names for nodes, which are called by host and port, for the page's addresses."""
    found: list[str] = []
    for node in nodes:
        base = name = re.sub(r"[^A-Za-z0-9_.-]+", "-", node).strip("-._")[:50]
        while name in found:
            name = f"{base}-{len(found) + 1}"
        found.append(name)
    return found


def _with_password(database: Database) -> Database:
    """Return it with the password, if one has to be typed; a server that is down is no reason to stop."""
    from contextlib import closing
    from dataclasses import replace

    try:
        with closing(database.connect()) as session:
            return replace(database, password=session.info.password or None)
    except UnreachableError as error:
        note(f"warning: {error.message}")
        return database
