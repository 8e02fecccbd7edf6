"""`pg-background exporter`: metrics of the jobs of one or many servers, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ....exporter.files import Document
from ...errors.exits import Exit
from ...errors.extras import missing_extra
from ...options.addresses import is_loopback, listen_address
from ...options.database import Database
from ...options.given import command
from ...options.numbers import seconds_between
from ...options.servers import ServersGiven
from ...output.console import note
from ...signals import Terminated, interruptible

if TYPE_CHECKING:
    from ....exporter.endpoint import Endpoint
    from ....exporter.gathering import Gathering


@command(
    "exporter postgresql://monitor@localhost/postgres",
    "exporter --server shop='host=db1 user=monitor' --server bank=postgresql://monitor@db2/bank",
    "exporter --cluster postgresql://monitor@coordinator/shop",
    "exporter --listen :10432 --passwords users.txt --certificate tls.crt --certificate-key tls.key",
    "exporter --print rules",
)
def exporter(
    servers: ServersGiven,
    listen: Annotated[
        Any,
        typer.Option(
            "--listen",
            metavar="ADDRESS:PORT",
            parser=listen_address,
            envvar="PG_BACKGROUND_EXPORTER_LISTEN",
            help="Where to listen; without ADDRESS on all addresses of this machine. Port 0 is any that "
            "is free.",
        ),
    ] = "127.0.0.1:10432",
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            parser=seconds_between,
            envvar="PG_BACKGROUND_EXPORTER_TIMEOUT",
            help="How long a server may take to answer. If Prometheus waits less, that counts.",
        ),
    ] = 5,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="PATTERN",
            envvar="PG_BACKGROUND_EXPORTER_LABEL",
            help="Count jobs with such labels apart, as in 'import-*'. The metrics have the pattern for "
            "their label. May be given several times; the first that matches counts.",
            show_default=False,
        ),
    ] = None,
    passwords: Annotated[
        Path | None,
        typer.Option(
            "--passwords",
            metavar="PATH",
            envvar="PG_BACKGROUND_EXPORTER_PASSWORDS",
            help="Who may read the metrics: a file with lines NAME:PASSWORD, read at each request.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            metavar="PATH",
            envvar="PG_BACKGROUND_EXPORTER_CERTIFICATE",
            help="Certificate for https, with its chain; read again when it changes.",
        ),
    ] = None,
    certificate_key: Annotated[
        Path | None,
        typer.Option(
            "--certificate-key",
            metavar="PATH",
            envvar="PG_BACKGROUND_EXPORTER_CERTIFICATE_KEY",
            help="Its private key, if that is in another file.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the metrics once, as text, and end.")] = False,
    document: Annotated[
        Document | None,
        typer.Option(
            "--print",
            metavar="FILE",
            help="Print a file for another program, and end: rules (alerts, for Prometheus), dashboard (for "
            "Grafana), sql-exporter or cloudnativepg (the same queries for these), prometheus or "
            "alertmanager (examples of their settings).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve metrics of the jobs of one or many servers, for Prometheus.

    They are at /metrics, as text or as OpenMetrics. The role needs pg_monitor. A server that does not answer
    has pg_background_up 0, and costs the others nothing. The nodes of a cluster are looked up when it starts.
    It goes on until it is told to end. Needs the extra
    `metrics`: pip install 'pg_background[metrics]'.
    """
    if document is not None:
        typer.echo(document.read(), nl=False)
        return
    if certificate is None and certificate_key is not None:
        raise typer.BadParameter("--certificate-key needs --certificate")
    with closing(_gathering(servers.by_name(), timeout, label or [])) as gathering:
        if once:
            _print(gathering)
        else:
            _serve(gathering, listen, passwords, certificate, certificate_key)


def _serve(
    gathering: Gathering,
    listen: tuple[str, int],
    passwords: Path | None,
    certificate: Path | None,
    certificate_key: Path | None,
) -> None:
    endpoint = _endpoint(listen, gathering, passwords, certificate, certificate_key)
    if passwords is None and not is_loopback(listen[0]):
        note("warning: whoever reaches this address can read the metrics: see --passwords")
    try:
        with interruptible(), endpoint:
            note(f"serving {endpoint.url}")
            endpoint.serve_forever()
    except Terminated:
        # Being told to end is how a service ends well.
        return


def _gathering(servers: Mapping[str, Database], timeout: float, globs: Sequence[str]) -> Gathering:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    from ....exporter.labels import Labels
    from ....exporter.watched import Watched

    try:
        from ....exporter.gathering import Gathering
    except ModuleNotFoundError as error:
        raise missing_extra(error, "metrics", "prometheus_client") from None
    watched = []
    for name, database in servers.items():
        conninfo = database.conninfo
        if "connect_timeout" not in conninfo_to_dict(conninfo):
            # Whole seconds, and of one less than 2 libpq makes 2.
            conninfo = make_conninfo(conninfo, connect_timeout=ceil(timeout))
        connect = Database(conninfo).connect
        watched.append(Watched(name, connect, labels=Labels(globs), limit=timeout))
    return Gathering(watched, by_label=bool(globs), limit=timeout, tell=note)


def _endpoint(
    listen: tuple[str, int],
    gathering: Gathering,
    passwords: Path | None,
    certificate: Path | None,
    certificate_key: Path | None,
) -> Endpoint:
    from ....exporter.certificates import Certificate
    from ....exporter.endpoint import Endpoint
    from ....exporter.passwords import Passwords

    known = Passwords(passwords) if passwords else None
    if known is not None and known.is_open:
        note(f"warning: every user of this machine can read {passwords}")
    return Endpoint(
        listen,
        gathering.metrics,
        passwords=known,
        certificate=Certificate(certificate, certificate_key, tell=note) if certificate else None,
        tell=note,
    )


def _print(gathering: Gathering) -> None:
    from prometheus_client import generate_latest

    from ....exporter.gathering import Collected
    from ....exporter.metrics import UP

    found = Collected(gathering.metrics())
    typer.echo(generate_latest(found).decode(), nl=False)
    if any(sample.name == UP and not sample.value for metric in found.collect() for sample in metric.samples):
        raise typer.Exit(Exit.CONNECTION)
