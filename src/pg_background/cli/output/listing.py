"""Jobs of a server, or of several, as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from ... import display
from ...client.model import JobInfo
from ...cluster.node_job import NodeJob
from .formats import Format, print_rows
from .json_rows import value_text
from .sink import opened
from .tables import Column
from .terminal import screen_size, visible, width_of

#: From this width on a terminal has room for all columns; what is no terminal has it anyway.
_WIDE = 140

#: What a column that is cut has at least; and what gives way before that, the first of them first.
_LEAST = 12
_GIVE_WAY = ("SPILLED", "ROWS", "BLOCKED BY", "PROGRESS", "%", "WAIT")

#: The state of a job on a node of which no jobs are known.
_UNREACHABLE = "unreachable"
_RED = "\x1b[1;31m"

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True)
class _Column:
    title: str
    text: Callable[[JobInfo, datetime], str]
    is_number: bool = False
    #: there even if nothing is in it
    is_fixed: bool = False
    #: is shortened where there is too little room
    is_cut: bool = False


_NODE = _Column("NODE", lambda job, _: display.node(job), is_fixed=True)
_HANDLE = _Column("HANDLE", lambda job, _: display.handle(job), is_fixed=True)
_STATE = _Column("STATE", lambda job, _: display.state(job), is_fixed=True)
_TIME = _Column(
    "TIME", lambda job, now: display.duration(display.time_of(job, now)), is_number=True, is_fixed=True
)
_ENDED = _Column("ENDED", lambda job, now: display.moment(job.finished_at, now))
_ERROR = _Column("ERROR", lambda job, _: display.error(job), is_cut=True)

_ALL = (
    *(_HANDLE, _STATE, _TIME, _ENDED),
    _Column("PROGRESS", lambda job, _: display.bar(job.progress_pct, 13)),
    _Column("WAIT", lambda job, _: display.wait(job)),
    _Column("BLOCKED BY", lambda job, _: display.blockers(job)),
    _Column("ROWS", lambda job, _: display.rows(job), is_number=True),
    _Column("SPILLED", lambda job, _: display.size(job.temp_bytes), is_number=True),
    _Column("LABEL", lambda job, _: job.label or ""),
    _ERROR,
    _Column("SQL", lambda job, _: display.sql(job), is_fixed=True, is_cut=True),
)

_FEW = (
    *(_HANDLE, _STATE, _TIME, _ENDED),
    _Column("%", lambda job, _: display.percent(job), is_number=True),
    _Column("WAIT", lambda job, _: display.held_up(job)),
    _ERROR,
    _Column("JOB", lambda job, _: display.title(job), is_fixed=True, is_cut=True),
)


@dataclass(frozen=True)
class Listing:
    """What there is to be listed."""

    jobs: Sequence[JobInfo]
    now: datetime
    #: whether they are of several servers, so that each is a `NodeJob`
    has_nodes: bool = False
    #: the nodes that did not answer, and why; each is a line
    missing: Mapping[str, str] = field(default_factory=dict)
    #: whether all of them have answered, and refused
    are_refused: bool = False


def print_jobs(listing: Listing, format: Format) -> None:
    """Print a line for each job; CSV and JSON have all that is known, and the handle."""
    if format is Format.TABLE:
        size = screen_size()
        with opened() as sink:
            for line in lines_of_jobs(listing, size and size[0]):
                # No text in it can steer the terminal, only its colours do.
                sink.write_raw(f"{line}\n")
        return
    objects = [as_dict(job) for job in listing.jobs]
    names = [*(["node"] if listing.has_nodes else []), "handle", *(each.name for each in fields(JobInfo))]
    for node, reason in listing.missing.items():
        # As in the view cluster_jobs.
        known = {"node": node, "state": _UNREACHABLE, "error_message": reason}
        objects.append({**dict.fromkeys(names), **known})
    texts = _plain if format is Format.CSV else json_text
    print_rows(
        format, [Column(name) for name in names], [[texts(job[name]) for name in names] for job in objects]
    )


def lines_of_jobs(listing: Listing, room: int | None) -> list[str]:
    """Return a title and a line for each job, of the columns that have something to say.

    Args:
        room: of the terminal that they are for, which also gets colours; None: there is none.
    """
    columns = _FEW if room is not None and room < _WIDE else _ALL
    if listing.has_nodes:
        columns = (_NODE, *columns)
    rows = [[column.text(job, listing.now) for column in columns] for job in listing.jobs]
    colours = [display.colour(job) for job in listing.jobs]
    for node, reason in listing.missing.items():
        known = {_NODE: node, _STATE: _UNREACHABLE, _ERROR: " ".join(reason.split())}
        rows.append([known.get(column, "") for column in columns])
        colours.append(_RED)
    texts = [[visible(text) for text in row] for row in rows]
    kept = [n for n, column in enumerate(columns) if column.is_fixed or any(line[n] for line in texts)]
    widths = {n: max([width_of(columns[n].title), *(width_of(line[n]) for line in texts)]) for n in kept}
    if room is not None:
        _fit(widths, columns, room)
    shown = [columns[n] for n in widths]
    title = _line([column.title for column in shown], shown, widths.values(), style=_BOLD if room else "")
    return [
        title,
        *(
            _line(
                [line[n] for n in widths],
                shown,
                widths.values(),
                state=colour if room else "",
            )
            for colour, line in zip(colours, texts, strict=True)
        ),
    ]


def _fit(widths: dict[int, int], columns: Sequence[_Column], room: int) -> None:
    """Leave columns out, and make those that can be cut narrower, the widest first, until there is room."""

    def least(n: int) -> int:
        return min(widths[n], _LEAST) if columns[n].is_cut else widths[n]

    for title in _GIVE_WAY:
        if sum(map(least, widths)) + len(widths) - 1 <= room:
            break
        for n in [n for n in widths if columns[n].title == title]:
            del widths[n]
    over = sum(widths.values()) + len(widths) - 1 - room
    while over > 0 and (cut_ones := [n for n in widths if widths[n] > least(n)]):
        widths[max(cut_ones, key=widths.__getitem__)] -= 1
        over -= 1


def _line(
    texts: Sequence[str],
    columns: Sequence[_Column],
    widths: Iterable[int],
    *,
    style: str = "",
    state: str = "",
) -> str:
    cells = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        shown = cut(text, width)
        blanks = " " * (width - width_of(shown))
        colour = state if column is _STATE else style
        cell = f"{colour}{shown}{_PLAIN}" if colour else shown
        cells.append(f"{blanks}{cell}" if column.is_number else f"{cell}{blanks}")
    return " ".join(cells).rstrip()


def cut(text: str, width: int) -> str:
    """Return as much of a text as there is room for, with a mark where something is missing."""
    if width_of(text) <= width:
        return text
    kept = text[: width - 1]
    while width_of(kept) > width - 1:
        kept = kept[:-1]
    return f"{kept}…"


def as_dict(job: JobInfo) -> dict[str, Any]:
    """Return a job's fields by name, with its handle as text."""
    values = {each.name: getattr(job, each.name) for each in fields(JobInfo)}
    if isinstance(job, NodeJob):
        handle = job.node_handle
        return {"node": job.node, "handle": None if handle is None else str(handle), **values}
    return {"handle": None if job.cookie is None else display.handle(job), **values}


def json_text(value: Any) -> str | None:
    """Return a value as JSON; times as PostgreSQL's to_json() writes them."""
    if value is None:
        return None
    return value_text(value.isoformat() if isinstance(value, datetime) else value)


def _plain(value: Any) -> str | None:
    if isinstance(value, list):
        return "{" + ",".join(str(item) for item in value) + "}"
    return None if value is None else str(value)
