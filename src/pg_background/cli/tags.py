"""The command tags of a script that ends with rows: the server tells them as debug messages beside these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import LiteralString

    import psycopg
    from psycopg.errors import Diagnostic

#: The function of the server that tells them.
_TELLER = "tell_tag"

_BEGINNING = "command tag: "


def telling(pid: LiteralString) -> LiteralString:
    """Return SQL of a pid, computed before the function that takes it is called, that makes it tell the tags.

    The setting ends with the statement, which is a transaction of its own.
    """
    setting = "pg_catalog.set_config('client_min_messages', 'debug1', true)"
    return f"(SELECT CASE WHEN {setting} IS NOT NULL THEN {pid} END)"


def tag_of(notice: Diagnostic) -> str | None:
    """Return the tag that a message tells; None if it is any other message."""
    if notice.source_function != _TELLER:
        return None
    return (notice.message_primary or "").removeprefix(_BEGINNING)


@contextmanager
def shown(connection: psycopg.Connection[Any], show: Callable[[str], object]) -> Iterator[None]:
    """Show the tags that come during the block, but for the last one: that statement has rows."""
    last: list[str] = []

    def take(notice: Diagnostic) -> None:
        tag = tag_of(notice)
        if tag is None:
            return
        if last:
            show(last.pop())
        last.append(tag)

    connection.add_notice_handler(take)
    try:
        yield
    finally:
        connection.remove_notice_handler(take)
