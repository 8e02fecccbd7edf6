"""From values to HTML. All text is escaped where it is written; nothing marks text of others as safe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from .. import display
from ..cli.output.terminal import visible
from ..client.model import FINAL, in_words
from . import writing
from .filters import ran, waited
from .job_keys import key_of
from .site import Visit

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    # Control characters, and those that turn the direction of text, are shown instead of obeyed.
    finalize=lambda value: visible(value) if type(value) is str else value,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    duration=writing.duration,
    milliseconds=writing.milliseconds,
    size=writing.size,
    number=writing.number,
    clock=writing.clock,
    moment=writing.moment,
    iso=writing.iso,
    words=in_words,
    value=writing.value,
)
_environment.globals.update(display=display, FINAL=FINAL, ran=ran, waited=waited, key_of=key_of)


def render(template: str, visit: Visit, context: dict[str, Any]) -> str:
    """Return the text of a template."""
    return _environment.get_template(template).render(
        links=visit.links,
        site=visit.site,
        session=visit.session,
        server=visit.server,
        **context,
    )


def page(template: str, visit: Visit, context: dict[str, Any], status: int = 200) -> HTMLResponse:
    """Return a page, with what is to be told on the next one."""
    news = visit.session.take_news() if visit.session else []
    context = {"title": "", "tab": "", "news": news, "address": visit.address, **context}
    return HTMLResponse(render(template, visit, context), status)
