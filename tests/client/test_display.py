"""Jobs in few characters, and handles as words."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
import typer

from pg_background import NodeHandle, display
from pg_background.cli.options.handles import parse, text_of
from pg_background.cli.output.listing import Listing, lines_of_jobs
from pg_background.client.model import Handle, JobError
from pg_background.job_fields import error_fields, job_fields
from pg_background.top.columns import STATE, layout
from pg_background.watching import matches

from ..support.screens import BLANK, NOW, job


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (3599.6, "1h00m"),
        (86399, "23h59m"),
        (90_000, "1d01h"),
        (9e6, "104d04h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert display.duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, ""),
        (0, ""),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (10_240, "10 kB"),
        (1_048_576, "1.0 MB"),
        (2**50, "1024 TB"),
    ],
)
def test_sizes(amount: int | None, text: str) -> None:
    assert display.size(amount) == text


@pytest.mark.parametrize(
    ("rows", "text"),
    [(None, ""), (0, "0"), (99_999, "99999"), (123_456, "123k"), (1_234_567, "1.2M"), (10**15, "1000T")],
)
def test_counts(rows: int | None, text: str) -> None:
    assert display.count(rows) == text


def test_bars() -> None:
    assert display.bar(None, 10) == ""
    assert [display.bar(percent, 10) for percent in (0, 10, 50, 99, 100)] == [
        "─────   0%",
        "▌────  10%",
        "██▌──  50%",
        "█████  99%",
        "█████ 100%",
    ]


def test_times() -> None:
    assert display.time_of(job(1, "running", 90), NOW) == timedelta(seconds=90)
    assert display.time_of(job(1, "queued", 90), NOW + timedelta(seconds=1)) == timedelta(seconds=91)
    assert display.time_of(job(1, "stopped", 90), NOW + timedelta(days=1)) == timedelta(seconds=90)
    # What it waited for its worker is no time of its own.
    queued = NOW - timedelta(seconds=300)
    assert display.time_of(job(1, "running", 90, queued_at=queued), NOW) == timedelta(seconds=90)
    # A clock that was set back.
    assert display.time_of(job(1, "running", -90), NOW) == timedelta()


def test_a_job_that_one_may_not_look_at() -> None:
    """Its process is shown, and nothing stands for what is not known."""
    hidden = replace(BLANK, pid=7, cookie=None, worker_pid=7, state=None, queued_at=None, blocked_by=None)
    assert (display.handle(hidden), display.state(hidden), display.is_live(hidden)) == ("7:?", "", True)
    assert display.duration(display.time_of(hidden, NOW)) == ""
    assert (display.rows(hidden), display.blockers(hidden), display.held_up(hidden)) == ("", "", "")
    columns = [column for width in (0, 120, 180) for column, _ in layout(width)]
    shown = {column.title: column.cell(hidden, NOW, 10)[0].strip() for column in columns}
    assert {title: text for title, text in shown.items() if text} == {
        "PID": "7",
        "ROLE": "app",
        "DATABASE": "shop",
        "JOB": "SELECT 1",
    }
    assert STATE.sort(hidden, NOW) is None
    assert dict(job_fields(hidden, NOW))["process"] == "7"
    assert matches(hidden, "shop")


def test_text_of_others_does_nothing_to_a_terminal() -> None:
    evil = "a\x1b]0;title\x07b\r\x9b2Jc\x7f"
    shown = job(1, "error", label=evil, sql_preview=evil, error_message=evil, progress_msg=evil, role=evil)
    texts = lines_of_jobs(Listing([shown], NOW), None)
    texts += [column.cell(shown, NOW, 100)[0] for column, _ in layout(200)]
    assert not re.search("[\x00-\x1f\x7f-\x9f]", "".join(texts))
    assert r"a\x1B]0;title\x07b" in "".join(texts)
    # What is no terminal gets the text as it is.
    known = [
        *job_fields(shown, NOW),
        *error_fields(shown, JobError("22000", evil, detail=evil, hint="two\nlines")),
    ]
    assert {"label": evil, "role": evil, "detail": evil, "hint": "two\nlines"}.items() <= dict(known).items()


@pytest.mark.parametrize("width", [20, 79, 80, 119, 120, 179, 180, 200, 400])
def test_columns_fill_the_width(width: int) -> None:
    total = sum(cells + 1 for _, cells in layout(width))
    assert total == width if width >= 79 else total > width


def test_handles_with_their_node() -> None:
    handle = Handle(-4, 7)
    for node in ("two", "db1:5432", "/run/pg:5432", "db1:5432/shop", "3", "::1:5432"):
        text = text_of(handle, node)
        assert text == f"{node}/-4:7"
        assert parse([text]) == [(handle, node)]
        assert NodeHandle.parse(text) == NodeHandle(node, -4, 7)
        assert str(NodeHandle.parse(text)) == text
        # As two columns of `ps`.
        assert parse([node, "-4:7", "1:2"]) == [(handle, node), (Handle(1, 2), "")]
    # As SQL prints a cluster_handle, and as three columns of psql.
    assert parse(["(3,-4,7)", "3|-4|7"]) == [(handle, "3")] * 2
    for words in (["two/1"], ["two/1:x"], ["/1:2"], ["two", "1"], ["two/", "three/1:2"], ["a:b:1:2"]):
        with pytest.raises(typer.BadParameter):
            parse(words)
    for text in ("1:2", "two/1", "two/1:2:3", "/1:2", ""):
        with pytest.raises(ValueError, match="NODE/PID:COOKIE"):
            NodeHandle.parse(text)


def test_handles() -> None:
    found = parse(["1:2", "-3", "0xff", "(4,5)", "6|7"])
    assert [given.handle for given in found] == [(1, 2), (-3, 255), (4, 5), (6, 7)]
    assert {given.node for given in found} == {""}
    assert parse([text_of(Handle(-3, 2**63 - 1))]) == [(Handle(-3, 2**63 - 1), "")]
    for words in (
        ["1"],
        ["1", "-2"],
        ["1:0"],
        ["1:-1"],
        [f"1:{2**63}"],
        [f"{2**31}:1"],
        ["0x1:2"],
        ["1 2"],
        [""],
    ):
        with pytest.raises(typer.BadParameter):
            parse(words)
