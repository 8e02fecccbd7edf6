"""On a server that checks its assertions the extension checks its own; a failed one counts as a crash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pg_background.server import Build, Installation

from ..support.fix_db import Connection
from ..support.server_log import ServerLog


@pytest.fixture(scope="module")
def assertions(installation: Installation) -> bool:
    """Was the session's PostgreSQL built with --enable-cassert?"""
    configured = subprocess.run(
        [installation.pg_config, "--configure"], capture_output=True, text=True, check=True
    ).stdout
    return "--enable-cassert" in configured


def test_the_extension_checks_what_the_server_checks(assertions: bool, extension: Build) -> None:
    """pg_config.h says whether; the build has nothing to add."""
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", extension.library], capture_output=True, text=True, check=True
    ).stdout.split()
    assert ("ExceptionalCondition" in symbols) is assertions


def test_the_registry_is_checked_where_assertions_are(assertions: bool, extension: Build) -> None:
    """Where they are not, nothing of it is left in the library."""
    assert (b"checks.pyx" in extension.library.read_bytes()) is assertions


def test_the_server_checks(assertions: bool, conn: Connection) -> None:
    assert conn.execute("SHOW debug_assertions").fetchone() == ("on" if assertions else "off",)


def test_a_failed_assertion_is_a_crash(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('LOG:  ready\nTRAP: FailedAssertion("x > 0", File: "a.c", Line: 1, PID: 7)\n')
    assert len(ServerLog(log).crashes(0)) == 1
