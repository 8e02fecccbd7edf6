"""The tool that puts faults into the code."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tools.mutate import (
    ROOT,
    Mutation,
    collect,
    failed_tests,
    faults_of_list,
    into_batches,
    is_part,
    names_of,
    read_mutations,
)


def fault(name: str, *tests: str, find: str = "old") -> Mutation:
    return Mutation(name=name, fault="", file="code", find=find, replace="new", tests=tests)


def test_the_faults_that_there_are() -> None:
    """Each has a name of its own, and is said in words; `make lint` looks for their places and tests."""
    mutations = read_mutations()
    assert len(mutations) > 100
    assert len({mutation.name for mutation in mutations}) == len(mutations)
    for mutation in mutations:
        assert mutation.fault
        assert mutation.tests
        assert mutation.find != mutation.replace


def test_what_is_wrong_with_the_list() -> None:
    code, this = "tools/mutate.py", "project/test_mutate.py"
    name = test_what_is_wrong_with_the_list.__name__
    good = replace(fault("good", f"{this}::{name}"), file=code, find="ROOT = Path(__file__)")
    lost = replace(good, name="lost", find="no such place")
    gone = replace(good, name="gone", file="tools/none.py")
    more = replace(good, name="more", find="import")
    tests = replace(good, name="tests", tests=(this, f"{this}::test_none", f"{this}::{name}[1]", "none.py"))
    faults = [good, lost, gone, more, tests]
    wrong = faults_of_list(faults, collect(faults))
    assert [re.sub(r"[1-9]\d* times", "many times", line) for line in wrong] == [
        f"lost: what it changes is 0 times in {code}",
        "gone: what it changes is 0 times in tools/none.py",
        f"more: what it changes is many times in {code}",
        f"tests: there is no tests/{this}::test_none",
        f"tests: there is no tests/{this}::{name}[1]",
        "tests: there is no tests/none.py",
    ]


def test_faults_by_name_and_by_file() -> None:
    one, *others = read_mutations()
    assert read_mutations([one.name]) == [one]
    files = [path.stem for path in (ROOT / "tests" / "mutations").glob("*.toml")]
    assert len(read_mutations(files)) == 1 + len(others)
    with pytest.raises(LookupError, match="there is no fault none-such"):
        read_mutations([one.name, "none-such"])


def test_a_fault_is_put_in_where_its_place_is(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.write_text("the old code")
    fault("one").apply(tmp_path)
    assert code.read_text() == "the new code"
    for text in ("the code", "old and old"):
        code.write_text(text)
        with pytest.raises(LookupError, match=r"what it changes is \d times in code"):
            fault("one").apply(tmp_path)
        assert code.read_text() == text


@pytest.mark.parametrize(
    ("test", "of", "part"),
    [
        ("tests/a/test_b.py::test_c", "tests/a/test_b.py::test_c", True),
        ("tests/a/test_b.py::test_c[x]", "tests/a/test_b.py::test_c", True),
        ("tests/a/test_b.py::test_c[x]", "tests/a/test_b.py", True),
        ("tests/a/test_b.py::test_c", "tests/a/", True),
        ("tests/a/test_b.py::test_cd", "tests/a/test_b.py::test_c", False),
        ("tests/a/test_b.py::test_c", "tests/a/test_b.py::test_c[x]", False),
        ("tests/ab/test_b.py::test_c", "tests/a", False),
    ],
)
def test_which_test_is_part_of_what(test: str, of: str, part: bool) -> None:
    assert is_part(test, of) is part


def test_only_faults_that_share_no_test_go_together() -> None:
    faults = [
        fault("1", "a.py"),
        fault("2", "b.py"),
        fault("3", "a.py::x"),
        fault("4", "c.py"),
        fault("5", "d.py"),
    ]
    batches = [names_of(batch) for batch in into_batches(faults, 3)]
    assert batches == [["1", "2", "4"], ["3", "5"]]
    assert [names_of(batch) for batch in into_batches(faults, 1)] == [["1"], ["2"], ["3"], ["4"], ["5"]]


def test_a_verdict() -> None:
    output = (
        "tests/a.py::x[1 b] FAILED [ 1%]\ntests/a.py::z PASSED\ntests/b.py::y ERROR [ 9%]\ntests/c.py::u "
    )
    failed = failed_tests(output)
    assert failed == ["tests/a.py::x[1 b]", "tests/b.py::y"]
    assert fault("1", "a.py::x").verdict(failed) == (True, "a.py::x[1 b]")
    assert fault("2", "b.py").verdict(failed) == (True, "b.py::y")
    assert fault("3", "c.py").verdict(failed) == (False, "")
