"""What changes something: only where the page was started so, from a form of the session, and as its role."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ..client.client_async import AsyncClient
from ..client.functions import call
from ..client.model import Handle
from ..watching import SourceError
from . import asking
from .gateway import Gateway, reading
from .job_keys import handle_of, job_of
from .rendering import page
from .site import Gone, Visit
from .surface import Surface

#: Seconds that a job has to stop before its process is ended.
GRACE = 5

#: A drain waits no longer, in seconds.
LONGEST_DRAIN = 3600

Endpoint = Callable[[Request], Awaitable[Response]]


def acting(endpoint: Callable[[Visit, dict[str, str]], Awaitable[Response]]) -> Endpoint:
    """Make an endpoint of what may be done: not on a read-only page, nor without the session's token."""

    @functools.wraps(endpoint)
    async def checked(request: Request) -> Response:
        visit = Visit(request)
        if not visit.site.allow_actions:
            raise HTTPException(403, "This page is read-only: it was started without --allow-actions.")
        _ = visit.gateway
        return await endpoint(visit, await visit.form())

    return checked


@acting
async def on_job(visit: Visit, form: dict[str, str]) -> Response:
    """Cancel, terminate or detach a job, or launch it again."""
    key = str(visit.request.path_params["key"])
    action = str(visit.request.path_params["action"])
    handle = handle_of(key)
    if handle is None or action not in _ACTIONS:
        raise HTTPException(404, "There is no such job, or nothing of the kind can be done with it.")
    gateway = visit.gateway
    then = visit.links.job(visit.server, key)
    try:
        said, then_key = await _ACTIONS[action](visit, handle, form)
        visit.own.tell(said)
        then = visit.links.job(visit.server, then_key or key)
    except SourceError as error:
        visit.own.tell(str(error), bad=True)
    gateway.forget_answers()
    await gateway.watcher.refresh()
    return RedirectResponse(then, 303)


async def _cancel(visit: Visit, handle: Handle, _: dict[str, str]) -> tuple[str, str | None]:
    await _end(visit.gateway, handle, 0)
    return "The job was told to stop.", None


async def _terminate(visit: Visit, handle: Handle, _: dict[str, str]) -> tuple[str, str | None]:
    await _end(visit.gateway, handle, GRACE)
    return "The job was told to stop, and its process ended if it had not stopped in time.", None


async def _end(gateway: Gateway, handle: Handle, grace: float) -> None:
    async with gateway.connection() as connection:
        await AsyncClient(connection).attach(handle).cancel(grace)


async def _detach(visit: Visit, handle: Handle, _: dict[str, str]) -> tuple[str, str | None]:
    async with visit.gateway.connection() as connection:
        await AsyncClient(connection).attach(handle).detach()
    return "The job was detached: it goes on, and its rows are dropped.", None


async def _again(visit: Visit, handle: Handle, form: dict[str, str]) -> tuple[str, str | None]:
    sql, label, database = await _what_it_was(visit.gateway, handle)
    text = call(
        "pg_background_start",
        *("%s", "NULL", "%s", "0", "0", "NULL"),
        *("%s", "true", "'queue'"),
    )
    async with visit.gateway.connection(database) as connection:

        async def known(_: Any, surface: Surface) -> Surface:
            return surface

        surface = await reading(connection, known)
        cursor = await connection.execute(
            asking.text_of(f"SELECT pid, cookie FROM {text}", surface),
            [sql, label, "each_statement" in form],
        )
        row = await cursor.fetchone()
    assert row is not None
    return "The job was launched again: this is the new one.", f"{row[0]}:{row[1]}"


_ACTIONS = {"cancel": _cancel, "terminate": _terminate, "detach": _detach, "again": _again}


async def again(request: Request) -> HTMLResponse:
    """Ask whether a job is to be launched again, and show what that would run."""
    visit = Visit(request)
    if not visit.site.allow_actions:
        raise HTTPException(403, "This page is read-only: it was started without --allow-actions.")
    key = str(request.path_params["key"])
    handle = handle_of(key)
    if handle is None:
        raise HTTPException(404, "There is no such job.")
    sql, label, database = await _what_it_was(visit.gateway, handle)
    found = job_of(key, (await visit.gateway.watcher.latest()).jobs)
    return page(
        "again.html",
        visit,
        {
            "title": "Launch again",
            "tab": "jobs",
            "key": key,
            "sql": sql,
            "label": label,
            "database": database,
            "role": visit.gateway.role,
            "other_role": found.role if found and found.role != visit.gateway.role else "",
        },
    )


async def _what_it_was(gateway: Gateway, handle: Handle) -> tuple[str, str | None, str]:
    """Return the SQL, the label and the database of a job.

    Raises:
        SourceError: its SQL is not to be had.
    """
    found = job_of(f"{handle.pid}:{handle.cookie}", (await gateway.watcher.latest()).jobs)
    if found is None:
        raise Gone("The server does not keep this job any more.")
    inspection = await gateway.ask(lambda connection, surface: asking.inspection(connection, surface, handle))
    if inspection.sql is None or found.database is None:
        raise SourceError("this role may not see the whole SQL of the job, or the server has dropped it")
    return inspection.sql, found.label, found.database


@acting
async def drain(visit: Visit, form: dict[str, str]) -> Response:
    """Have the server refuse new jobs, and cancel those that still run after a while."""
    given = form.get("seconds", "")
    seconds = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else -1
    try:
        if not 0 <= seconds <= LONGEST_DRAIN:
            raise SourceError(f"give the seconds that jobs may still take, 0 to {LONGEST_DRAIN}")
        visit.site.drains.begin(visit.gateway, seconds)
        visit.own.tell("The server is being drained: new jobs are refused.")
    except SourceError as error:
        visit.own.tell(str(error), bad=True)
    return RedirectResponse(visit.links.page(visit.server, "server") + "#drain", 303)


@acting
async def resume(visit: Visit, form: dict[str, str]) -> Response:
    """Have it take jobs again."""
    try:
        await visit.site.drains.resume(visit.gateway)
        visit.own.tell("Jobs can be launched again.")
    except SourceError as error:
        visit.own.tell(str(error), bad=True)
    return RedirectResponse(visit.links.page(visit.server, "server") + "#drain", 303)
