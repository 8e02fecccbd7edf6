"""The views: each a function from a visit to what its template shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..site import Visit
from .charts import charts
from .history import history, history_job
from .job import job
from .jobs import jobs
from .server import server
from .totals import totals

Make = Callable[[Visit], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class View:
    """A view of a server."""

    #: of its templates: `name.html` has all of it, `live/name.html` what changes while one looks on
    name: str
    title: str
    make: Make
    #: below which tab it is
    tab: str
    #: below the server's own address
    path: str
    is_live: bool = False


VIEWS = (
    View("jobs", "Jobs", jobs, "jobs", "jobs", is_live=True),
    View("job", "Job", job, "jobs", "jobs/{key}", is_live=True),
    View("charts", "Charts", charts, "charts", "charts"),
    View("totals", "Totals", totals, "totals", "totals", is_live=True),
    View("history", "History", history, "history", "history"),
    View("history_job", "Job", history_job, "history", "history/{id:int}"),
    View("server", "Server", server, "server", "server"),
)

#: What is above each page of a server: the view's path, and its name.
TABS: Mapping[str, str] = {
    "jobs": "Jobs",
    "charts": "Charts",
    "totals": "Totals",
    "history": "History",
    "server": "Server",
}
