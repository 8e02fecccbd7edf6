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


#: By what actionlint has to say of it.
WRONG = {
    'undefined variable "matrx"': planted(command="echo ${{ matrx.pg }}"),
    'unexpected key "run-on"': planted().replace("runs-on", "run-on"),
    'unexpected key "groups"': planted().replace("group: planted", "groups: planted"),
    "unknown permission scope": planted().replace("permissions: {}", "permissions: {content: read}"),
    'job "two" which does not exist': planted().replace("    name: one", "    name: one\n    needs: two"),
    "could not parse": "jobs: [",
}


@pytest.fixture(scope="module")
def said_by_actionlint() -> list[str]:
    """Of all that is planted, and of one without a fault, in one go: it takes seconds to start."""
    workflows = {f"wrong{number}.yml": text for number, text in enumerate(WRONG.values())}
    return list(actionlint.errors_in({"first.yml": planted(), **workflows, "last.yml": planted()}))


@pytest.mark.parametrize(("number", "said"), list(enumerate(WRONG)))
def test_actionlint_finds(said_by_actionlint: list[str], number: int, said: str) -> None:
    """And says in which file."""
    pattern = rf"wrong{number}\.yml:\d+:\d+: .*{said}.*"
    assert any(re.fullmatch(pattern, error, re.DOTALL) for error in said_by_actionlint), said_by_actionlint


def test_actionlint_finds_nothing(said_by_actionlint: list[str]) -> None:
    assert {error.partition(":")[0] for error in said_by_actionlint} == {
        f"wrong{number}.yml" for number in range(len(WRONG))
    }


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
