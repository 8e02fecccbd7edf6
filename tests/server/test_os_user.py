"""The user that a server runs as where root starts it."""

from __future__ import annotations

import os
import pwd
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from pg_background.server import os_user


def test_two_that_need_it_make_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have seen that there is none."""
    both_have_looked = Barrier(2)
    looks: list[str] = []
    made: list[str] = []

    def look(name: str) -> pwd.struct_passwd:
        is_there = bool(made) and name == os_user.OWN_NAME
        looks.append(name)
        if looks.count(name) <= 2:
            both_have_looked.wait()
        if not is_there:
            raise KeyError(name)
        return pwd.getpwuid(os.getuid())

    def add() -> os_user.OsUser:
        made.append(os_user.OWN_NAME)
        return os_user.OsUser(os_user.OWN_NAME, os.getuid(), os.getgid())

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", look)
    monkeypatch.setattr(os_user, "_add", add)
    with ThreadPoolExecutor(2) as threads:
        users = list(threads.map(lambda _: os_user.server_user(tmp_path / "new"), range(2)))
    assert made == [os_user.OWN_NAME]
    assert {user.uid for user in users} == {os.getuid()}
