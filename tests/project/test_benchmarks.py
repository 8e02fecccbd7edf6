"""`make bench-quick` and `make bench`, as little of them as can be: that they measure, not what."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import printing, quick, starting
from benchmarks.figures import Figure, of_latencies, percentile
from benchmarks.latency import Samples
from benchmarks.memory import private_kb
from benchmarks.page import Part
from benchmarks.page import write as page_of
from benchmarks.sections import SECTIONS
from benchmarks.throughput import logged_seconds
from benchmarks.ways import ALL_WAYS
from pg_background.server import Installation, TemporaryServer

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.contrib("dblink")
def test_one_round(installation: Installation, tmp_path: Path) -> None:
    if not all((installation.bindir / name).exists() for name in ("pgbench", "psql")):
        pytest.skip("this PostgreSQL has no pgbench")
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.quick", "--pg-config", str(installation.pg_config)),
            *("--rounds", "1", "--json", str(file)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())["figures"]}
    taken = figures["launch + result, p50"]["values"]
    # On a machine that is busy with other tests warm workers may seem slow: it has to say so then.
    assert done.returncode == (taken["warm"] / taken["cold"] >= quick.MOST_OF_COLD), done.stderr
    said = done.stderr if done.returncode else done.stdout
    assert f"launch + result takes {taken['warm'] / taken['cold']:.2f} of the time" in said
    assert set(figures["launch + result, p50"]["values"]) == {
        "floor",
        "warm",
        "cold",
        "dblink async",
        "dblink call",
    }
    for name, figure in figures.items():
        assert all(value > 0 for value in figure["values"].values()), name
    for name in ("launch, p50", "wait, p99", "jobs, 1 session", "jobs, 4 sessions", "2M integers"):
        assert name in figures
        assert name in done.stdout


@pytest.mark.slow
@pytest.mark.contrib("dblink")
def test_little_of_everything(installation: Installation, tmp_path: Path) -> None:
    """The least of each section but one, which begins with ten thousand jobs whatever the scale.

    A server of ours, which speaks its SQL, stands for the C extension.
    """
    names = [name for name in SECTIONS if name != "growth"]
    with TemporaryServer(pg_config=installation.pg_config) as server:
        subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.bench", "--pg-config", str(installation.pg_config)),
                *("--scale", "0.001", "--folder", str(tmp_path), "--only", " ".join(names)),
            ],
            cwd=ROOT,
            env={**os.environ, "C_DSN": server.cluster.socket_dsn()},
            stdout=subprocess.DEVNULL,
            check=True,
        )
    found = json.loads((tmp_path / "bench.json").read_text())
    assert [section["name"] for section in found["sections"]] == names
    assert "too little to be quoted" in found["facts"]["scale"]
    figures = {figure["name"]: figure for section in found["sections"] for figure in section["figures"]}
    assert set(figures["launch + result, p95"]["values"]) == set(ALL_WAYS)
    assert set(figures["psycopg, 4 sessions, p99"]["values"]) == set(ALL_WAYS)
    assert set(figures["run, p50"]["times"]) == set(ALL_WAYS) - {"warm", "dblink async"}
    assert set(figures["2,000 integers, p50"]["values"]) == set(ALL_WAYS) - {"dblink async"}
    assert figures["an idle worker"]["values"]["warm"] > 0
    assert figures["1 unread results, job_memory"]["values"]["warm"] > 0
    page = (tmp_path / "bench.md").read_text()
    for name in names:
        assert f"## {SECTIONS[name].TITLE}\n" in page
    for chart in re.findall(r"!\[.*\]\((.*)\)", page):
        ElementTree.parse(tmp_path / chart)
    assert "calls-calls-of-one-session-p50.svg" in page


def test_slow_warm_workers_are_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    def judge(warm: float) -> None:
        quick.judge([Figure("launch + result, p50", "ms", {"warm": warm, "cold": 10})])

    judge(1.9)
    assert "launch + result takes 0.19 of the time" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="error: launch \\+ result takes 0.20 of the time"):
        judge(2)


def test_ratios_say_how_many_times_as_fast() -> None:
    assert Figure("time", "ms", {"warm": 1, "cold": 10}).ratios() == {"cold": 10}
    assert Figure("speed", "/s", {"warm": 10, "cold": 1}).ratios() == {"cold": 10}
    assert Figure("other", "ms", {"cold": 1}).ratios() == {}


def test_times_are_of_rounds() -> None:
    """The machine became twice as slow in the second round, for both."""
    figure = Figure("time", "ms", {"warm": 3, "floor": 1}, rounds={"warm": [2, 4, 9], "floor": [1, 2, 3]})
    assert figure.times() == {"floor": 2}
    assert Figure("time", "ms", {"warm": 3, "floor": 0}).times() == {}


def test_percentiles_of_rounds() -> None:
    rounds = [Samples(), Samples()]
    for samples, seconds in zip(rounds, ([0.001, 0.003], [0.005, 0.007, 0.009]), strict=True):
        for second in seconds:
            samples.add("warm", {"run": second})
    middle, last = of_latencies(rounds, ("p50", "p99"))
    assert (middle.name, middle.values, middle.rounds) == ("run, p50", {"warm": 5}, {"warm": [2, 7]})
    assert (last.name, last.values, last.rounds) == ("run, p99", {"warm": 9}, {"warm": [3, 9]})


def test_log_of_pgbench() -> None:
    log = "0 1 1500 0 1764288000 100\n1 2 250 0 1764288000 200\n"
    assert [*logged_seconds(log)] == [0.0015, 0.00025]


def test_private_memory() -> None:
    smaps = """\
55d0c8a00000-55d0c8b00000 r-xp 00000000 fe:01 42                         /usr/bin/postgres
Rss:                 900 kB
Shared_Clean:        700 kB
Private_Clean:         8 kB
Private_Dirty:       120 kB
7f0000000000-7f0008000000 rw-s 00000000 00:01 43                         /dev/zero (deleted)
Private_Clean:         0 kB
Private_Dirty:      5000 kB
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
Private_Dirty:        16 kB
"""
    assert private_kb(smaps) == 144


def test_page_has_columns_in_their_order(tmp_path: Path) -> None:
    figures = [
        Figure("launch", "ms", {"warm": 0.25, "floor": 0.125, "other": 12.3}),
        Figure("jobs", "/s", {"cold": 1234.5}),
    ]
    page = page_of(tmp_path, {"machine": "two cores"}, ["no pgbench"], [Part("x", "Title", "Note.", figures)])
    text = page.read_text()
    assert "| | floor | warm | cold | other |\n" in text
    assert "| launch (ms) | 0.125 | 0.250 |  | 12.3 |\n" in text
    assert "| jobs (/s) |  |  | 1,234 |  |\n" in text
    assert "| launch | 2.00 | 0.02 |\n" in text
    assert "- no pgbench\n" in text


def test_percentile() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50, 99, 7)


def test_printing(installation: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    if not (installation.bindir / "psql").exists():
        pytest.skip("this PostgreSQL has no psql")
    with TemporaryServer(pg_config=installation.pg_config) as server:
        taken = printing.measure(installation, server.dsn(), rows=2000, rounds=1)
    ratios = printing.report(taken)
    assert set(ratios) == {"--csv", "--jsonl", "--json", "table"}
    assert capsys.readouterr().out.count("times as long") == 4
    printing.judge({"--csv": 2.9, "--jsonl": 3.0})
    with pytest.raises(SystemExit, match="3 times as long as psql --csv: --jsonl"):
        printing.judge({"--csv": 2.9, "--jsonl": 3.1})


def test_starting(installation: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    with TemporaryServer(pg_config=installation.pg_config) as server:
        ratios = starting.report(starting.starts(server.dsn(), rounds=1))
    assert ratios["python -c pass"] == 1
    assert ratios["run 'select 1'"] > 0
    assert capsys.readouterr().out.count(" times python") == len(ratios)
