"""What README.md says is so: its examples run, its names exist, its defaults are the defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .fix_db import Connection
from .server import Server

README = (Path(__file__).parents[1] / "README.md").read_text()

CONTEXTS = {"user": "user", "reload": "sighup", "restart": "postmaster"}

UNITS = {"": 1, "B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "ms": 1, "s": 1000, "h": 3_600_000}


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found
    return found


def amount(value: str, unit: str = "") -> int:
    """Return a setting's value in bytes or milliseconds: `32MB`, or `32768` of `kB`; an empty text is 0."""
    if value in ("", "none"):
        return 0
    match = re.fullmatch(r"(\d+)(\w*)", value)
    assert match is not None
    return int(match[1]) * UNITS[match[2]] * UNITS[unit]


def test_sql(server: Server, db: str) -> None:
    script = "\n".join(blocks("sql"))
    promised = re.findall(r"^-- → (.*)$", script, re.MULTILINE)
    # An empty line is what a void function prints.
    printed = [line for line in server.psql(script, db).splitlines() if line]
    assert printed == promised


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code: str, server: Server, db: str) -> None:
    names: dict[str, object] = {"dsn": server.dsn(db)}
    exec(code, names)
    assert names["rows"] == [(42,)]


def test_names(conn: Connection) -> None:
    made = {
        name
        for (name,) in conn.execute(
            "SELECT proname FROM pg_proc WHERE proname LIKE 'pg_background%' "
            "UNION SELECT relname FROM pg_class WHERE relname LIKE 'pg_background%'"
        )
    }
    assert set(re.findall(r"\bpg_background_\w+", README)) <= made


def test_settings(conn: Connection) -> None:
    said = {
        f"pg_background.{name}": (amount(default), CONTEXTS[who])
        for name, default, who in re.findall(
            r"^\| `(\w+)` \| (\w+) \| (user|reload|restart) \|", README, re.MULTILINE
        )
    }
    are = {
        name: (amount(default, unit or ""), context)
        for name, default, unit, context in conn.execute(
            "SELECT name, boot_val, unit, context FROM pg_settings WHERE name LIKE 'pg_background.%'"
        )
    }
    assert said == are


def test_length() -> None:
    assert len(README.splitlines()) < 200
