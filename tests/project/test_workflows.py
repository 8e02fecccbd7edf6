"""The workflows of GitHub: each job is a script that runs elsewhere too, and may do no more than it needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.servers import SOURCES

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: Those that are released: 19 is a candidate, which not every machine can fetch.
MAJORS = [int(name) for name in SOURCES if name.isdigit() and name != "19"]

#: The only form of a command: what decides anything is in the script.
JOB = re.compile(r'\.ci/run (?:"\$JOB"|(?P<name>[a-z]+))')
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
OWN = re.compile(r"uses: \./(?P<path>\.github/workflows/\w+\.yml)$")

# They are about no server.
pytestmark = pytest.mark.pg("== 18")

Found = dict[str, Any]


def jobs_of(path: Path) -> dict[str, Found]:
    found: dict[str, Found] = yaml.safe_load(path.read_text())["jobs"]
    return found


def jobs() -> list[tuple[str, Found]]:
    """All jobs, each with a name that says where it is; those that are other workflows are not among them."""
    return [
        (f"{path.name}: {name}", job)
        for path in WORKFLOWS
        for name, job in jobs_of(path).items()
        if "uses" not in job
    ]


def commands() -> list[tuple[str, Found, str]]:
    return [
        (where, job, line)
        for where, job in jobs()
        for step in job["steps"]
        for line in step.get("run", "").splitlines()
    ]


def called() -> set[str]:
    """The jobs of .ci/jobs that a workflow calls."""
    found = set()
    for _, job, line in commands():
        match = JOB.fullmatch(line)
        assert match, line
        found |= {match["name"]} if match["name"] else set(job["strategy"]["matrix"]["job"])
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".ci" / "run", *arguments], capture_output=True, text=True, check=False, cwd="/"
    )


def known() -> set[str]:
    """The jobs of .ci/jobs, as .ci/run names them."""
    done = run("nothing")
    assert done.returncode == 2
    return set(done.stderr.partition("there are: ")[2].split())


def test_there_are_workflows() -> None:
    assert {path.stem for path in WORKFLOWS} == {"check", "lint", "sanitizers", "wheels", "docs", "release"}


def test_each_command_is_a_job_that_also_runs_elsewhere() -> None:
    for where, _, line in commands():
        assert JOB.fullmatch(line), f"{where}: {line}"
    assert called() <= known()


def test_each_job_is_called() -> None:
    """But for `docs`, which `site` is more of."""
    assert known() - called() == {"docs"}


def test_what_jobs_call_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / ".ci" / "jobs").read_text()
    made = {
        target
        for line in re.findall(r"\bmake ([a-zA-Z _=-]+)", re.sub(r"#.*", "", text))
        for target in line.split()
        if "=" not in target
    }
    assert {"lint", "wheels", "sdist", "source", "deb", "sbom", "docs"} <= made <= targets
    scripts = re.findall(r"(?<![\w.])\.ci/[a-z-]+", text)
    assert all((ROOT / script).is_file() for script in scripts)
    assert all(
        (ROOT / f"{module.replace('.', '/')}.py").is_file() for module in re.findall(r"-m (tools\.\w+)", text)
    )
    folders = re.search(r"printf 'tests/%s ' (.*)", text)
    assert folders
    assert all((ROOT / "tests" / folder).is_dir() for folder in folders[1].split())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_action_is_pinned(path: Path) -> None:
    """By the hash of a commit, as a tag may be moved; the version beside it is for readers and Dependabot."""
    for line in path.read_text().splitlines():
        found = re.search(r"uses: .*", line)
        if found is None:
            continue
        own = OWN.fullmatch(found[0])
        assert own or PINNED.fullmatch(found[0]), line
        assert own is None or (ROOT / own["path"]).is_file(), line


def test_one_action_is_one_version() -> None:
    found = re.findall(r"uses: ([\w./-]+)@(\w+ # \S+)", "".join(path.read_text() for path in WORKFLOWS))
    assert len(dict(found)) == len(set(found))


def test_jobs_are_limited() -> None:
    """In what they may do, in time, and in that no step finds the token of the checkout."""
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {}
        assert workflow["concurrency"]["group"].startswith(f"{path.stem}-")
    for where, job in jobs():
        assert job["permissions"], where
        assert job["timeout-minutes"] <= 240, where
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}, where


def test_only_what_publishes_may_write() -> None:
    writing = {
        where: {name for name, may in job["permissions"].items() if may == "write"} for where, job in jobs()
    }
    assert {where: found for where, found in writing.items() if found} == {
        "docs.yml: publish": {"pages", "id-token"},
        "release.yml: attest": {"id-token", "attestations"},
        "release.yml: pypi": {"id-token"},
        "release.yml: github": {"contents"},
    }


def test_only_a_tag_is_published() -> None:
    release = jobs_of(ROOT / ".github" / "workflows" / "release.yml")
    for name in ("attest", "pypi", "github", "docs"):
        assert release[name]["if"] == "github.ref_type == 'tag'"
    assert release["build"]["needs"] == ["check", "lint"]


def test_the_suite_runs_on_each_server() -> None:
    suite = jobs_of(ROOT / ".github" / "workflows" / "check.yml")["suite"]
    assert suite["strategy"]["matrix"]["pg"] == MAJORS == [14, 15, 16, 17, 18]
    wheels = re.search(r"^WHEEL_PG \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert wheels
    assert [int(major) for major in wheels[1].split()] == MAJORS
    assert (ROOT / "packaging" / "debian" / "pgversions").read_text().strip() == f"{MAJORS[0]}+"


def test_what_needs_a_debian_is_in_one() -> None:
    """The oldest that has what it takes: libraries that are built there run everywhere else."""
    for where, job in jobs():
        runs = [step["run"] for step in job["steps"] if "run" in step]
        if runs and runs != [".ci/run publish"]:
            assert job["container"]["image"] == "buildpack-deps:bookworm-scm", where
