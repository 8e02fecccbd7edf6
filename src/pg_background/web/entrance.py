"""Signing in and out."""

from __future__ import annotations

import asyncio
import secrets

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..watching.server_source import connected
from .gateway import Gateway
from .rendering import page
from .signing_in import Refused, prove
from .site import Visit, fields_of
from .targets import Target


async def home(request: Request) -> Response:
    """Show all servers; where there is one alone, go there."""
    visit = Visit(request)
    signed_in = visit.session.gateways if visit.session else {}
    names = list(visit.site.targets)
    if not signed_in:
        return RedirectResponse(visit.links.sign_in(names[0] if len(names) == 1 else ""), 303)
    if len(names) == 1:
        return RedirectResponse(visit.links.page(names[0], "jobs"), 303)
    servers = []
    for name, target in visit.site.targets.items():
        watcher = signed_in[name].watcher if name in signed_in else None
        jobs = watcher.seen.jobs if watcher and watcher.seen else []
        servers.append(
            {
                "name": name,
                "place": target.place,
                "role": signed_in[name].role if name in signed_in else "",
                "is_known": watcher is not None and watcher.seen is not None,
                "trouble": watcher.trouble if watcher else None,
                "running": sum(job.state in ("running", "starting") for job in jobs),
                "queued": sum(job.state == "queued" for job in jobs),
                "failed": sum(job.state in ("error", "lost", "timed_out") for job in jobs),
            }
        )
    return page("home.html", visit, {"title": "Servers", "servers": servers})


async def sign_in(request: Request) -> Response:
    """Show the form."""
    visit = Visit(request)
    return _form(visit, visit.query.get("server", ""), visit.query.get("then", ""))


async def signed_in(request: Request) -> Response:
    """Take the form."""
    visit = Visit(request)
    given = await fields_of(request)
    name, role, then = given.get("server", ""), given.get("role", ""), given.get("then", "")
    target = visit.site.targets.get(name)
    if target is None:
        raise HTTPException(400, "There is no such server on this page.")
    attempts = visit.site.attempts
    # By server: one that is down refuses everybody, which must not keep them out of the others.
    who = (request.client.host if request.client else "", name)
    seconds = attempts.wait_of(who)
    if seconds:
        said = f"Too many attempts: try again in {seconds} s."
        return _form(visit, name, then, role=role, error=said, status=429)
    attempts.began(who)
    try:
        async with visit.site.trying[name]:
            conninfo = await prove(target, role, given.get("password", ""))
    except Refused as error:
        return _form(visit, name, then, role=role, error=str(error), status=401)
    attempts.succeeded(who)
    return _entered(visit, visit.site.gateways.get(target, conninfo, role), then)


async def enter(request: Request) -> Response:
    """Let in whoever runs the page, as the ones whom its servers' conninfos mean by themselves."""
    visit = Visit(request)
    key = visit.site.own_key
    if key is None or not secrets.compare_digest(visit.query.get("key", "").encode(), key.encode()):
        raise HTTPException(403, "This is not the address that was printed when the page was started.")
    session, said = visit.session, ""
    # At once: what one of them takes to answer, or not to, the others need not wait for.
    asked = (_own(target) for target in visit.site.targets.values())
    for found in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(found, psycopg.Error):
            said = " ".join(str(found).split())
        elif isinstance(found, BaseException):
            raise found
        else:
            target, conninfo, role = found
            session = visit.site.sessions.sign_in(session, visit.site.gateways.get(target, conninfo, role))
    if session is None:
        raise HTTPException(503, f"No server lets in whoever runs this page: {said}")
    return _with_cookie(visit, session.id, RedirectResponse(visit.links.home(), 303))


async def _own(target: Target) -> tuple[Target, str, str]:
    """Return how to connect as whoever runs the page, and as which role that is."""
    conninfo = target.conninfo_of()
    async with await connected(conninfo) as connection:
        return target, conninfo, connection.info.user


async def sign_out(request: Request) -> Response:
    """Forget the role of one server, or of all."""
    visit = Visit(request)
    form = await visit.form()
    if form.get("server"):
        visit.site.sessions.sign_out(visit.own, form["server"])
    else:
        visit.site.sessions.end(visit.own)
    return RedirectResponse(visit.links.home(), 303)


def _form(
    visit: Visit, server: str, then: str, *, role: str = "", error: str = "", status: int = 200
) -> Response:
    return page(
        "sign_in.html",
        visit,
        {"title": "Sign in", "chosen": server, "then": then, "role": role, "error": error},
        status,
    )


def _entered(visit: Visit, gateway: Gateway, then: str) -> Response:
    session = visit.site.sessions.sign_in(visit.session, gateway)
    place = visit.links.page(gateway.target.name, "jobs")
    # Nowhere but to the page itself.
    if then.startswith(f"{visit.links.root}/s/") and not set(then) & set("\\\r\n"):
        place = then
    return _with_cookie(visit, session.id, RedirectResponse(place, 303))


def _with_cookie(visit: Visit, id: str, response: Response) -> Response:
    response.set_cookie(
        visit.site.cookie,
        id,
        httponly=True,
        samesite="strict",
        secure=visit.request.url.scheme == "https" or visit.site.is_secure,
        path=f"{visit.links.root}/",
    )
    return response
