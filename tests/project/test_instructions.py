"""`make instructions`: reading what callgrind writes, comparing, and a short run where valgrind is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.instructions import __main__ as command
from benchmarks.instructions import baseline
from benchmarks.instructions.baseline import Line
from benchmarks.instructions.counting import Effort, count, medians, spread
from benchmarks.instructions.dumps import parse
from benchmarks.instructions.server import counted_server
from pg_background.server import Installation

#: A caller in one file calls two functions of another, one of them from two places.
DUMP = """\
# callgrind format
version: 1
pid: 4711
part: 3
positions: line
events: Ir
summary: 1060

ob=(1) /usr/bin/postgres
fl=(1) ???
fn=(1) exec_execute_message
0 100
cob=(2) pg_background.so
cfi=(2) launch.pyx
cfn=(2) pgbg_launch
calls=2 7
0 600
cfn=(3) pgbg_result
calls=1 9
0 250
cfn=(2)
calls=1 7
0 30

fn=(2)
7 630
fn=(3)
9 250

totals: 1060
"""


def test_dump() -> None:
    dump = parse(DUMP.splitlines())
    assert dump.total == 1060
    assert dump.calls == {"pgbg_launch": (3, 630), "pgbg_result": (1, 250)}
    assert dump.per_call("pgbg_launch") == 210
    with pytest.raises(KeyError):
        dump.per_call("pgbg_wait")


def test_torn_dump() -> None:
    with pytest.raises(ValueError, match="no total"):
        parse(["# callgrind format", "events: Ir"])


def test_medians_and_spread() -> None:
    samples = {"a": [100, 101, 140], "b": [5]}
    assert medians(samples) == {"a": 101, "b": 5}
    assert spread(samples) == pytest.approx(39 / 101)


@pytest.mark.parametrize(
    ("counted", "stored", "failure", "better"),
    [
        (105, 100, False, False),
        (106, 100, True, False),
        (95, 100, False, False),
        (94, 100, False, True),
        (100, None, False, False),
    ],
)
def test_line(counted: int, stored: int | None, failure: bool, better: bool) -> None:
    line = Line("launch", counted, stored)
    assert (line.is_failure, line.is_better) == (failure, better)


def test_more_than_the_baseline_fails(capsys: pytest.CaptureFixture[str]) -> None:
    command.judge(baseline.compare({"launch": 104, "run": 90, "new": 7}, {"launch": 100, "run": 100}))
    said = capsys.readouterr().out
    assert "No count is more than 5 % above" in said
    assert "Much less than stored: run." in said
    assert "Not stored yet: new." in said
    with pytest.raises(SystemExit, match="error: more than 5 % above the baseline: launch\n"):
        command.judge(baseline.compare({"launch": 106, "run": 100}, {"launch": 100, "run": 100}))


def test_store_keeps_other_machines(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    assert baseline.load("one", file) is None
    baseline.store("one", {"launch": 1}, file)
    baseline.store("two", {"launch": 2}, file)
    baseline.store("one", {"run": 3}, file)
    assert baseline.load("one", file) == {"run": 3}
    assert baseline.load("two", file) == {"launch": 2}


def test_machine_without_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told so, and how to get one; then it has one."""
    file = tmp_path / "baseline.json"
    command.conclude("new", {"launch": 100}, to_store=False, file=file)
    said = capsys.readouterr().out
    assert "There is no baseline for such a machine" in said
    assert "make instructions STORE=1" in said
    assert not file.exists()
    command.conclude("new", {"launch": 100}, to_store=True, file=file)
    command.conclude("new", {"launch": 103}, to_store=False, file=file)
    assert "No count is more than" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="above the baseline: launch"):
        command.conclude("new", {"launch": 110}, to_store=False, file=file)


def test_key_has_what_counts_depend_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = baseline.key("PostgreSQL 18.6 on x86_64", "valgrind-3.19.0")
    assert key.endswith("valgrind-3.19.0; PostgreSQL 18.6 on x86_64")
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\n[ "$1" = -dumpfullversion ] && echo 99.1.2 || echo "cc 99"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    assert "; gcc 99.1.2; " in baseline.key("PostgreSQL 18.6 on x86_64", "valgrind-3.19.0")


@pytest.mark.slow
def test_short_run(installation: Installation) -> None:
    """A few calls: that everything is counted, and what takes more than what."""
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    with counted_server(installation) as server:
        counts = medians(count(server, Effort(calls=8, repeats=1)))
    assert all(counts[name] > 0 for name in counts), counts
    assert counts["launch + result, session"] > counts["launch(), session"] > counts["result(), session"]
    assert counts["run, session"] > counts["empty statement, session"] > counts["row, session"]
    assert counts["launch + result, worker"] > counts["row, worker"]
