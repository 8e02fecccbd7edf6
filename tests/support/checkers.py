"""Ways to run the servers under something that looks at what they do with memory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pg_background.server import Installation

#: Suppressions for what the server itself does, which is no work of the extension.
_SUPPRESSIONS = Path(__file__).with_name("valgrind.supp")

_VALGRIND = (
    "valgrind --quiet --trace-children=yes --leak-check=no --track-origins=yes --error-limit=no"
    f" --num-callers=30 --read-var-info=no --suppressions={_SUPPRESSIONS}"
)

#: Set where a program that is wrapped is to run under valgrind.
_WRAPPED = "RUN_UNDER_VALGRIND"

_WRAPPER = f"""#!/bin/sh
if [ -n "${_WRAPPED}" ]; then
    unset {_WRAPPED}
    exec {_VALGRIND} "$0.checked" "$@"
fi
exec "$0.checked" "$@"
"""


@dataclass(frozen=True)
class Checker:
    """What checks, and how servers are made for it."""

    #: for `build`
    build_options: Mapping[str, str] | None = None
    #: of the server's configuration
    settings: Mapping[str, object] = field(default_factory=dict)
    #: of the postmaster
    environment: Mapping[str, str] = field(default_factory=dict)
    #: whether the program `postgres` is replaced by one that runs it under valgrind
    wraps: bool = False

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Servers that are started in the block are checked; other programs are slow enough without it."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield

    def wrap(self, installation: Installation) -> None:
        """Make an installation that is a copy run its server under the checker.

        Raises:
            UsageError: it is no copy, as of 18, which finds the extension in another way.
        """
        if not self.wraps:
            return
        program = installation.program("postgres")
        checked = program.with_name("postgres.checked")
        if checked.exists():
            return
        if installation.major >= 18:
            raise pytest.UsageError("CHECK=valgrind is for servers before 18, best for PG=15-assert")
        program.rename(checked)
        program.write_text(_WRAPPER)
        program.chmod(0o755)


def _sanitizers() -> Checker:
    return Checker(
        build_options={
            "b_sanitize": "address,undefined",
            "debug": "true",
            "optimization": "1",
            # What surrounds a global keeps CPython's in the library, which then does not load.
            "c_args": "--param asan-globals=0",
        },
        environment={
            # Both, before the server moves its environment, where the options are.
            "LD_PRELOAD": f"{_library('libasan.so')} {_library('libubsan.so')}",
            # The server measures its stack, which must be one, and keeps memory until it ends.
            "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
    )


def _valgrind() -> Checker:
    if shutil.which("valgrind") is None:
        raise pytest.UsageError("CHECK=valgrind needs valgrind: apt install valgrind")
    return Checker(
        build_options={"debug": "true", "optimization": "1"},
        environment={_WRAPPED: "1"},
        wraps=True,
    )


def _caches() -> Checker:
    """Each look-up in a cache of the catalogues is made anew, so that what is kept too long is gone."""
    return Checker(settings={"debug_discard_caches": 1})


CHECKERS = {"": Checker, "sanitizers": _sanitizers, "valgrind": _valgrind, "caches": _caches}


def _library(name: str) -> str:
    compiler = os.environ.get("CC", "cc")
    done = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return str(Path(done.stdout.strip()).resolve())


#: A report of the sanitizers; one of valgrind is a paragraph, and counts if a frame of it is the extension's.
_SANITIZER = re.compile(r"ERROR: AddressSanitizer|: runtime error: ")
_VALGRIND_LINE = re.compile(r"^==(\d+)== (.*)$", re.MULTILINE)
_OURS = re.compile(r"\.pyx:\d+\)|\.pxi:\d+\)|pg_background\.so\)|\(shim/|__pyx_f_")


def defects(log: str) -> list[str]:
    """Return what a log has of the checkers' reports."""
    found = [line for line in log.splitlines() if _SANITIZER.search(line)]
    reports: dict[str, list[str]] = {}
    for pid, text in _VALGRIND_LINE.findall(log):
        if text.strip():
            reports.setdefault(pid, []).append(text)
        elif report := reports.pop(pid, None):
            found += _as_defect(report)
    for report in reports.values():
        found += _as_defect(report)
    return found


def _as_defect(report: list[str]) -> list[str]:
    text = "\n".join(report)
    return [text] if _OURS.search(text) else []
