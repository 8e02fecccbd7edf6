"""Getting a major version: one that can't be had is an error that says why, never a skip."""

from __future__ import annotations

import pytest

from pg_background.server import Installation, InstallationError
from tools import servers


class Broken:
    """A source that has nothing."""

    def get(self, major: int) -> Installation:
        raise InstallationError(f"no {major} today", hint="come back tomorrow")


def test_unknown_major() -> None:
    with pytest.raises(InstallationError, match=r"no way is known to get PostgreSQL 9\nhint: known: .*18"):
        servers.find(9)


def test_every_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "SOURCES", {"15": (Broken(), Broken())})
    with pytest.raises(InstallationError) as caught:
        servers.find(15)
    assert caught.value.message.count("Broken: no 15 today") == 2
    assert "PG_CONFIG=" in caught.value.hint


def test_next_source_is_tried(monkeypatch: pytest.MonkeyPatch, installation: Installation) -> None:
    class Working:
        def get(self, major: int) -> Installation:
            return installation

    monkeypatch.setattr(servers, "SOURCES", {str(installation.major): (Broken(), Working())})
    assert servers.find(installation.major) == installation
