"""`pg-background web`: what it prints, where it listens, how it ends."""

from __future__ import annotations

import json
import re
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from pg_background.cli.commands.servers.web import _parts_of_addresses
from pg_background.web.targets import Target

from ..support.fix_cli import Cli, OnPlace
from ..support.fix_client import Place
from ..support.fix_cluster import Nodes


def test_serves_until_it_is_told_to_stop(bg: OnPlace, place: Place) -> None:
    process = bg.start("web", "--listen", "127.0.0.1:0", place.dsn())
    assert process.stdout is not None
    first, second = process.stdout.readline(), process.stdout.readline()
    found = re.fullmatch(r"Serving (http://127\.0\.0\.1:\d+/) \(read-only\)\n", first)
    entry = re.fullmatch(r"Enter as the role of the DSN by (http://\S+/enter\?key=\S+)\n", second)
    assert found is not None
    assert entry is not None
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    assert opener.open(entry[1]).geturl() == f"{found[1]}s/server/jobs"
    with opener.open(f"{found[1]}s/server/live/jobs") as stream:
        assert stream.readline() == b"event: view\n"
        assert 'class="chips"' in json.loads(stream.readline().removeprefix(b"data: "))
        # A live view does not keep it from stopping, nor does it complain.
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.contrib("dblink")
def test_the_nodes_of_a_cluster(cli: Cli, nodes: Nodes) -> None:
    """Each is a server of the page, called by its host and port."""
    process = cli.start("web", "--listen", "127.0.0.1:0", "--cluster", nodes.dsns()[1])
    assert process.stdout is not None
    process.stdout.readline()
    entry = process.stdout.readline().split()[-1]
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    page = opener.open(entry).read().decode()
    for server in nodes:
        port = server.execute("SHOW port")
        (name,) = {*re.findall(rf"/s/([\w.-]+-{port})/jobs", page)}
        assert opener.open(entry.partition("/enter")[0] + f"/s/{name}/jobs").status == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_names_of_nodes_in_addresses() -> None:
    for names, parts in (
        (["db1:5432", "db2:5432"], ["db1-5432", "db2-5432"]),
        (["::1:5432", "/run/pg:5432"], ["1-5432", "run-pg-5432"]),
        (["a:b", "a/b", "a b"], ["a-b", "a-b-2", "a-b-3"]),
        ([f"{'x' * 80}:1", f"{'x' * 80}:2"], ["x" * 50, f"{'x' * 50}-2"]),
    ):
        assert _parts_of_addresses(names) == parts
        assert [Target(part, "").name for part in parts] == parts


def test_passwords_only(bg: OnPlace, place: Place) -> None:
    process = bg.start("web", "--passwords-only", "--allow-actions", "--listen", "127.0.0.1:0", place.dsn())
    assert process.stdout is not None
    assert re.fullmatch(r"Serving http://127\.0\.0\.1:\d+/\n", process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert output == ""


def test_refuses_to_be_reached_without_https(bg: OnPlace) -> None:
    done = bg("web", "--listen", "0.0.0.0:0", "--passwords-only")
    assert done.code == 1
    assert "0.0.0.0 can be reached from other machines" in done.errors
    assert "HINT:" in done.errors or "hint" in done.errors.lower()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--listen", "8432"), "is not ADDRESS:PORT"),
        (("--listen", "127.0.0.1:99999"), "is not ADDRESS:PORT"),
        (("--server", "north"), "write NAME=DSN"),
        (("--server", "no/rth=dbname=x"), "write NAME=DSN"),
        (("--server", "no:rth=dbname=x"), "no name for a server"),
        (("--server", "a="), "write NAME=DSN"),
        (("--server", "a=dbname=x", "--server", "a=dbname=y"), "there is another a"),
        (("--server", "a=dbname=x", "dbname=y"), "name servers by --server, or one by DSN"),
        (("--certificate", "/none.pem"), "no certificate"),
    ],
)
def test_wrong_usage(cli: Cli, words: tuple[str, ...], said: str) -> None:
    done = cli.inside("web", *words)
    assert done.code == 2
    assert said in done.errors


def test_servers_of_the_environment(cli: Cli, place: Place) -> None:
    unsafe = ("web", "--passwords-only", "--listen", ":0")
    done = cli.inside(*unsafe, PG_BACKGROUND_SERVER="north=postgresql://n/d no:rth=postgresql://n/d")
    assert (done.code, "no name for a server" in done.errors) == (2, True)
    # What is typed wins; then there is only the address to complain of.
    done = cli.inside(*unsafe, place.dsn(), PG_BACKGROUND_SERVER="no:rth=postgresql://n/d")
    assert (done.code, "can be reached from other machines" in done.errors) == (1, True)


def test_without_the_extra(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("pg_background.web", "starlette")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    done = cli.inside("web")
    assert done.code == 1
    assert "pip install 'pg_background[web]'" in done.errors


def test_files_of_the_package() -> None:
    """What comes from elsewhere has its licence, and nothing is asked of elsewhere."""
    import pg_background.web

    static = Path(pg_background.web.__file__).parent / "static"
    assert (static / "vendor" / "uPlot-LICENSE.txt").read_text().startswith("The MIT License")
    for path in static.rglob("*"):
        if path.suffix in (".css", ".js", ".svg") and path.parent.name != "vendor":
            assert not re.search(r"https?://(?!www\.w3\.org/)", path.read_text()), path
