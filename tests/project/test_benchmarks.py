"""`make bench-quick`, one round of it: that it measures, not what."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import printing, quick, starting
from benchmarks.figures import Figure, percentile
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
