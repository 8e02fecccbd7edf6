"""The value of shared_preload_libraries: as the server splits it, merged, and as SQL and files write it."""

from __future__ import annotations

import pytest

from pg_background import preload
from pg_background.doctor.preloading import Configured, configured

from ..support.fix_db import MakeRole
from ..support.fix_server import FreshServer
from ..support.server import Server

CASES = {
    "nothing": ("", ["pg_background"]),
    "others keep their order": ("b, a", ["b", "a", "pg_background"]),
    "it is there": ("a,pg_background,b", ["a", "pg_background", "b"]),
    "it is there twice": ("pg_background, a, pg_background", ["pg_background", "a"]),
    "it is there with its folder": (
        "$libdir/pg_background, a,pg_background",
        ["$libdir/pg_background", "a"],
    ),
    "it is there with its ending": ("/usr/lib/pg_background.so", ["/usr/lib/pg_background.so"]),
    "Citus is moved": ("a, citus, pg_background", ["citus", "a", "pg_background"]),
    "Citus with its folder": ("pg_background, $libdir/citus", ["$libdir/citus", "pg_background"]),
    "Citus' other library is one of the others": (
        "citus_columnar, citus",
        ["citus", "citus_columnar", "pg_background"],
    ),
    "names in quotes": ('"Odd one", "a,b", "say ""c"""', ["Odd one", "a,b", 'say "c"', "pg_background"]),
    "a name like ours": ("my_pg_background", ["my_pg_background", "pg_background"]),
    "empty items": (", a,,", ["a", "pg_background"]),
}


@pytest.mark.parametrize(("value", "expected"), CASES.values(), ids=CASES.keys())
def test_merged(value: str, expected: list[str]) -> None:
    assert preload.merged(preload.split(value)) == expected
    # What was merged stays as it is.
    assert preload.merged(expected) == expected


def test_written() -> None:
    libraries = ["citus", "auto_explain", "timescaledb", "Odd one", "it's", "a,b"]
    assert preload.as_sql(libraries) == (
        "ALTER SYSTEM SET shared_preload_libraries = "
        "citus, auto_explain, 'timescaledb', 'Odd one', 'it''s', 'a,b'"
    )
    assert preload.as_line(libraries) == (
        "shared_preload_libraries = 'citus, auto_explain, timescaledb, Odd one, it''s, \"a,b\"'"
    )


NAMES = ["citus", "auto_explain", "user", "Odd one", "it's", "a,b", 'say "c"', "$libdir/x"]


def test_the_server_takes_what_sql_says(fresh_server: FreshServer) -> None:
    server = fresh_server()
    server.execute(preload.as_sql(NAMES))
    with server.connect() as conn:
        assert libraries_of(configured(conn)) == NAMES


def test_the_server_takes_what_the_file_says(fresh_server: FreshServer) -> None:
    server = fresh_server()
    with (server.cluster.path / "postgresql.conf").open("a") as file:
        file.write(preload.as_line(NAMES) + "\n")
    with server.connect() as conn:
        assert libraries_of(configured(conn)) == NAMES
    installation = server.cluster.runtime.installation
    assert preload.split(installation.configured(preload.SETTING, server.cluster.path) or "") == NAMES


def test_what_is_configured_and_not_yet_so(fresh_server: FreshServer) -> None:
    server = fresh_server()
    with server.connect() as conn:
        assert configured(conn) == ("pg_background", False)
        conn.execute(b"ALTER SYSTEM SET shared_preload_libraries = auto_explain, pg_background")
        assert configured(conn) == ("auto_explain, pg_background", False)
        assert conn.execute("SHOW shared_preload_libraries").fetchone() == ("pg_background",)


def test_what_a_role_may_see(server: Server, make_role: MakeRole) -> None:
    for groups, expected in (((), None), (("pg_read_all_settings",), ("pg_background", False))):
        with server.connect(user=make_role(member_of=groups)) as conn:
            assert configured(conn) == expected
            # It broke nothing: the role was not refused anything.
            assert conn.execute("SELECT 1").fetchone() == (1,)


def libraries_of(found: Configured | None) -> list[str]:
    assert found is not None
    assert not found.by_command_line
    return preload.split(found.value)
