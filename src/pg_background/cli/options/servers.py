"""The servers that a command watches: several, each with a name; or one, named as for psql."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from ..output.formats import is_typed
from ..page import CONNECTION
from .database import (
    Database,
    DbnameOption,
    DsnArgument,
    HostOption,
    NoPasswordOption,
    PortOption,
    UserOption,
)
from .given import Given

_NAME = re.compile(r"[\w.:-]+")

ServerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        metavar="NAME=DSN",
        envvar="PG_BACKGROUND_SERVER",
        help="A server, and what it is called; give this as often as there are servers, instead of DSN.",
        show_default=False,
        rich_help_panel=CONNECTION,
    ),
]


@dataclass(frozen=True)
class Servers:
    """What was said of them."""

    one: Database
    #: each as NAME=DSN, instead of that one
    several: Sequence[str] = ()

    def by_name(self) -> Mapping[str, Database]:
        """Return them. Of several none asks for a password: who would know for which?

        Raises:
            typer.BadParameter: a name is none, or two have the same.
            DsnError: a DSN is none.
        """
        if not self.several:
            return {_place_of(self.one): self.one}
        found: dict[str, Database] = {}
        for word in self.several:
            name, equals, text = word.partition("=")
            if not equals or not text or not _NAME.fullmatch(name):
                raise typer.BadParameter(f"--server {word}: write NAME=DSN")
            if name in found:
                raise typer.BadParameter(f"--server {word}: there is another {name}")
            found[name] = replace(self.one, dsn=text, may_ask=False)
            # Now, and not when it is connected to: it can't become right.
            _ = found[name].conninfo
        return found


def _servers(
    ctx: typer.Context,
    dsn: DsnArgument = "",
    dbname: DbnameOption = "",
    server: ServerOption = None,
    host: HostOption = None,
    port: PortOption = None,
    username: UserOption = None,
) -> Servers:
    if server and (dsn or is_typed(ctx, "dbname")):
        if is_typed(ctx, "server"):
            raise typer.BadParameter("name servers by --server, or one by DSN")
        # What is typed wins over what the environment says.
        server = None
    return Servers(Database(dsn or dbname, host, port, username), server or ())


def _servers_or_password(
    ctx: typer.Context,
    dsn: DsnArgument = "",
    dbname: DbnameOption = "",
    server: ServerOption = None,
    host: HostOption = None,
    port: PortOption = None,
    username: UserOption = None,
    no_password: NoPasswordOption = False,
) -> Servers:
    servers = _servers(ctx, dsn, dbname, server, host, port, username)
    return replace(servers, one=replace(servers.one, may_ask=not no_password))


#: For what connects again and again, with nobody there who could be asked for a password.
ServersGiven = Annotated[Servers, Given(_servers)]
#: For what may ask for one when it starts.
ServersOrPasswordGiven = Annotated[Servers, Given(_servers_or_password)]


def _place_of(database: Database) -> str:
    """Return what a server is called that has no name: its service, or its host and port."""
    from psycopg import pq
    from psycopg.conninfo import conninfo_to_dict

    parts = {option.keyword.decode(): (option.val or b"").decode() for option in pq.Conninfo.get_defaults()}
    parts |= {name: str(value) for name, value in conninfo_to_dict(database.conninfo).items()}
    return parts["service"] or f"{parts['host'] or parts['hostaddr'] or 'localhost'}:{parts['port'] or 5432}"
