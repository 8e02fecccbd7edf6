"""The tool that keeps the folders of the server side in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.check_layers import MOST_PARTS, ROOT_FILE, SOURCES, definitions, errors_in, read_parts

LOW = "cdef int find(int pid) noexcept nogil:\n    return pid\n"
HIGH = "cdef void launch() noexcept nogil:\n    find(1)\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two folders, of which the second calls the first."""
    write(tmp_path, {"shared/registry": LOW, "launch/launch": HIGH})
    return tmp_path


def write(tree: Path, parts: dict[str, str], included: Sequence[str] | None = None) -> None:
    """Write parts, by folder and name, and a root that includes them."""
    for name, text in parts.items():
        path = tree / "pg_background" / f"{name}.pyx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    lines = [f'include "pg_background/{name}.pyx"  # a part\n' for name in included or list(parts)]
    (tree / ROOT_FILE).write_text("".join(lines))


def test_the_server_side() -> None:
    assert list(errors_in(SOURCES)) == []


def test_functions_of_the_server_side_are_seen() -> None:
    """A tool that saw none would find no fault."""
    parts = read_parts(SOURCES)
    found = definitions(parts)
    assert {"pgbg_worker_main", "run_statement"} <= set(found)
    for part in parts:
        names = {name for name, where in found.items() if where == part}
        assert names or "cdef" not in part.code, part.path


def test_calls_of_an_earlier_folder(tree: Path) -> None:
    assert list(errors_in(tree)) == []


def test_calls_within_a_folder(tree: Path) -> None:
    write(
        tree,
        {"shared/registry": "cdef int size() noexcept nogil:\n    return find(1)\n", "shared/entries": LOW},
    )
    (tree / "pg_background" / "launch" / "launch.pyx").unlink()
    assert list(errors_in(tree)) == []


@pytest.mark.parametrize(
    "use",
    ["    launch()\n", "    callback = launch\n", "    return find(\n        launch())\n"],
    ids=["call", "pointer", "argument"],
)
def test_an_upward_call(tree: Path, use: str) -> None:
    (tree / "pg_background" / "shared" / "registry.pyx").write_text(
        LOW + "\n\ncdef int size() noexcept nogil:\n" + use
    )
    (error,) = errors_in(tree)
    assert error.startswith("pg_background/shared/registry.pyx:")
    assert error.endswith(": launch is of a later folder, in pg_background/launch/launch.pyx")


def test_a_function_with_a_head_of_several_lines(tree: Path) -> None:
    write(
        tree,
        {
            "shared/registry": "cdef int find(int pid) noexcept nogil:\n    return begin(pid,\n        0)\n",
            "launch/launch": "cdef int begin(int pid,\n        int cookie) noexcept nogil:\n    return 0\n",
        },
    )
    assert list(errors_in(tree)) == [
        "pg_background/shared/registry.pyx:2: begin is of a later folder, in pg_background/launch/launch.pyx"
    ]


def test_words_that_are_no_code(tree: Path) -> None:
    (tree / "pg_background" / "shared" / "registry.pyx").write_text(
        '"""What launch() needs."""\n' + LOW + '    # launch() comes later\n    report(b"launch()")\n'
    )
    assert list(errors_in(tree)) == []


def test_a_folder_in_two_places(tree: Path) -> None:
    write(
        tree,
        {"shared/entries": "", "shared/registry": LOW, "launch/launch": HIGH},
        ["shared/registry", "launch/launch", "shared/entries"],
    )
    assert list(errors_in(tree)) == [f"{ROOT_FILE}: the parts of shared are not side by side"]


def test_a_part_that_is_not_included(tree: Path) -> None:
    (tree / "pg_background" / "shared" / "lost.pyx").write_text("")
    assert list(errors_in(tree)) == [f"pg_background/shared/lost.pyx: not included by {ROOT_FILE}"]


def test_a_folder_with_too_many_parts(tree: Path) -> None:
    write(tree, {f"shared/part{number}": "" for number in range(MOST_PARTS + 1)} | {"launch/launch": ""})
    (tree / "pg_background" / "shared" / "registry.pyx").unlink()
    assert list(errors_in(tree)) == [
        f"pg_background/shared: {MOST_PARTS + 1} parts are more than {MOST_PARTS}: split the folder"
    ]
