"""Put faults into the code on purpose, and see that the tests notice.

`python -m tools.mutate` tries all of tests/mutations/*.toml, `python -m tools.mutate NAME …` some; a name is
that of a fault or of a file of them. A fault is put into a copy of the checkout, and there the tests run that
must notice it. One that passes them all has survived: a test is missing. So has one whose place is gone.

`--together 10` puts up to ten faults into one build, which is much faster: such as have no test in common.
What survives that has survived; what is killed may have been so by another of the ten: alone it is certain.

`--check`, part of `make lint`, tries none: it says which have lost their place in the code, or their test.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FAULTS = ROOT / "tests" / "mutations"
COPIES = ROOT / "build" / "mutants"

#: Seconds that the tests of a fault, or of several together, may take. A hang is no test's word.
PATIENCE = 600


class Verdict(NamedTuple):
    """What became of a fault."""

    killed: bool
    #: the test that failed, or why there is nothing to say
    by: str


@dataclass(frozen=True)
class Mutation:
    """A fault."""

    name: str
    #: what is wrong with the code then
    fault: str
    #: of the checkout
    file: str
    #: stands there once
    find: str
    replace: str
    #: arguments of pytest; a test's folder needs no `tests/`
    tests: tuple[str, ...]

    def apply(self, checkout: Path) -> None:
        """Put it in.

        Raises:
            LookupError: the code that it changes is not there, or more than once.
        """
        text = self.code(checkout)
        (checkout / self.file).write_text(text.replace(self.find, self.replace))

    def code(self, checkout: Path) -> str:
        """Return the file that it changes.

        Raises:
            LookupError: the code that it changes is not there, or more than once.
        """
        path = checkout / self.file
        text = path.read_text() if path.is_file() else ""
        if (count := text.count(self.find)) != 1:
            raise LookupError(f"what it changes is {count} times in {self.file}")
        return text

    def arguments(self) -> list[str]:
        """Return what pytest is to run."""
        return [f"tests/{test}" for test in self.tests]

    def shares_tests(self, other: Mutation) -> bool:
        """Tell whether a test that fails could mean either."""
        return any(
            is_part(mine, theirs) or is_part(theirs, mine)
            for mine in self.arguments()
            for theirs in other.arguments()
        )

    def verdict(self, failed: Sequence[str]) -> Verdict:
        """Judge it by the tests that have failed."""
        by = [test for test in failed if any(is_part(test, mine) for mine in self.arguments())]
        return Verdict(bool(by), by[0].removeprefix("tests/") if by else "")


def is_part(test: str, of: str) -> bool:
    """Tell whether a test is this one, with parameters or not, or one of this file or folder."""
    return test == of or test.startswith((f"{of}[", f"{of}::", f"{of.rstrip('/')}/"))


def read_mutations(names: Sequence[str] = ()) -> list[Mutation]:
    """Return the faults of these names, or of the files of these names; all when there are none.

    Raises:
        LookupError: there is none of a name.
    """
    found: list[Mutation] = []
    known: set[str] = set()
    for path in sorted(FAULTS.glob("*.toml")):
        entries: Mapping[str, Mapping[str, object]] = tomllib.loads(path.read_text())
        known |= {path.stem, *entries}
        for name, entry in entries.items():
            if not names or name in names or path.stem in names:
                found.append(_mutation(name, entry))
    if unknown := set(names) - known:
        raise LookupError(f"there is no fault {', '.join(sorted(unknown))}")
    return found


def _mutation(name: str, entry: Mapping[str, object]) -> Mutation:
    texts = {key: str(entry[key]) for key in ("fault", "file", "find", "replace")}
    tests = entry["tests"]
    assert isinstance(tests, list)
    return Mutation(name=name, tests=tuple(map(str, tests)), **texts)


def faults_of_list(mutations: Sequence[Mutation], collected: Collection[str]) -> list[str]:
    """Return what is wrong with the list: a fault without its place, or with a test that there is not.

    Args:
        collected: the tests that there are.
    """
    wrong: list[str] = []
    for mutation in mutations:
        try:
            mutation.code(ROOT)
        except LookupError as error:
            wrong.append(f"{mutation.name}: {error}")
        wrong += [
            f"{mutation.name}: there is no {argument}"
            for argument in mutation.arguments()
            if not any(is_part(test, argument) for test in collected)
        ]
    return wrong


def collect(mutations: Sequence[Mutation]) -> list[str]:
    """Return all tests of the files that the faults name, as pytest names them.

    Raises:
        LookupError: it cannot.
    """
    files = {argument.partition("::")[0] for mutation in mutations for argument in mutation.arguments()}
    there = sorted(file for file in files if (ROOT / file).exists())
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *there]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        raise LookupError(f"pytest cannot collect the tests:\n{ended.stdout}")
    return [line for line in ended.stdout.splitlines() if line.startswith("tests/")]


def check(mutations: Sequence[Mutation]) -> None:
    """End with what is wrong with the list, if anything is."""
    try:
        wrong = faults_of_list(mutations, collect(mutations))
    except LookupError as error:
        sys.exit(f"error: {error}")
    if wrong:
        sys.exit("\n".join(["error: tests/mutations does not fit what it is about:", *wrong]))


def copy_checkout(to: Path) -> None:
    """Copy what git knows and what is new, and let the copy use the checkout's tools."""
    shutil.rmtree(to, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in os.fsdecode(listed.stdout).split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    (to / ".venv").symlink_to(ROOT / ".venv")


class Lane:
    """A copy of the checkout, in which one fault after the other is tried."""

    def __init__(self, number: int, server: str) -> None:
        # Not another run's.
        self._copy = COPIES / f"{os.getpid()}-{number}"
        self._server = server
        copy_checkout(self._copy)

    def run(self, command: Sequence[str], log: Path) -> int | None:
        """Run Python with these arguments in the copy; None when it took too long."""
        environment = {
            **os.environ,
            # Before the package as .venv has it.
            "PYTHONPATH": str(self._copy / "src"),
            "PG": self._server,
        }
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(ROOT / ".venv" / "bin" / "python"), *command],
                cwd=self._copy,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                return process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                # As by Ctrl-C: pytest stops its servers.
                process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            return None

    def build(self, log: Path) -> bool:
        """Make the twins and compile; True if that works."""
        return (
            self.run(["-m", "tools.async_to_sync"], log) == 0
            and self.run(["-m", "tools.build", self._server], log) == 0
        )

    def close(self) -> None:
        """Delete the copy."""
        shutil.rmtree(self._copy)

    def judge(self, batch: Sequence[Mutation]) -> dict[str, Verdict]:
        """Put them in, run their tests, take them out."""
        log = COPIES / f"{batch[0].name}.log"
        log.unlink(missing_ok=True)
        before = {mutation.file: (self._copy / mutation.file).read_text() for mutation in batch}
        try:
            for mutation in batch:
                mutation.apply(self._copy)
            if not self.build(log):
                return dict.fromkeys(names_of(batch), Verdict(False, f"it does not build, see {log}"))
            arguments = list(dict.fromkeys(test for mutation in batch for test in mutation.arguments()))
            # The first failure says all of one fault.
            first = ["-x"] if len(batch) == 1 else []
            # Each with its name as it ends: of a run that hangs there is no summary.
            options = ["-v", "--tb=short", "-p", "no:cacheprovider", *first]
            status = self.run(["-m", "pytest", *options, *arguments], log)
        except LookupError as error:
            return dict.fromkeys(names_of(batch), Verdict(False, str(error)))
        finally:
            for file, text in before.items():
                (self._copy / file).write_text(text)
        failed = failed_tests(log.read_text(errors="replace"))
        verdicts = {mutation.name: mutation.verdict(failed) for mutation in batch}
        # Only these two are pytest's word on all tests; else they hang, or could not be run.
        if status not in (0, 1):
            ended = {name: verdict for name, verdict in verdicts.items() if verdict.killed}
            return dict.fromkeys(verdicts, Verdict(False, f"the tests did not end, see {log}")) | ended
        return verdicts


def names_of(batch: Sequence[Mutation]) -> list[str]:
    """Return the faults' names."""
    return [mutation.name for mutation in batch]


def failed_tests(output: str) -> list[str]:
    """Return the tests that pytest names as such, one after the other."""
    return re.findall(r"^(tests/.+?) (?:FAILED|ERROR)\b", output, re.MULTILINE)


def main() -> None:
    """Try the faults and tell what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults, or files of them [all]")
    parser.add_argument("--pg", default=os.environ.get("PG", "18"), help="server [env PG, default 18]")
    parser.add_argument("--at-once", type=int, default=1, help="copies used at the same time [%(default)s]")
    parser.add_argument("--together", type=int, default=1, help="faults in one build [%(default)s]")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--check", action="store_true", help="say what the list has wrong, and run nothing")
    arguments = parser.parse_args()
    try:
        mutations = read_mutations(arguments.names)
    except LookupError as error:
        sys.exit(f"error: {error}")
    if arguments.check:
        check(mutations)
        return
    if arguments.list:
        for mutation in mutations:
            print(f"{mutation.name}: {mutation.fault}")
        return
    COPIES.mkdir(parents=True, exist_ok=True)
    batches = into_batches(mutations, arguments.together)
    lanes = [Lane(number, arguments.pg) for number in range(min(arguments.at_once, len(batches)))]
    try:
        verdicts = try_all(batches, lanes)
    finally:
        for lane in lanes:
            lane.close()
    survived = [name for name, verdict in verdicts.items() if not verdict.killed]
    print(f"{len(verdicts) - len(survived)} killed, {len(survived)} survived: {' '.join(survived) or '-'}")
    sys.exit(1 if survived else 0)


def into_batches(mutations: Sequence[Mutation], size: int) -> list[list[Mutation]]:
    """Put faults together that are told apart by the tests that fail: no two of a batch share one."""
    batches: list[list[Mutation]] = []
    for mutation in mutations:
        for batch in batches:
            if len(batch) < size and not any(mutation.shares_tests(other) for other in batch):
                batch.append(mutation)
                break
        else:
            batches.append([mutation])
    return batches


def try_all(batches: Sequence[Sequence[Mutation]], lanes: Sequence[Lane]) -> dict[str, Verdict]:
    """Try each in whichever copy is free, and print what became of it."""
    free: SimpleQueue[Lane] = SimpleQueue()
    for lane in lanes:
        free.put(lane)
    printing = threading.Lock()
    verdicts: dict[str, Verdict] = {}

    def try_one(batch: Sequence[Mutation]) -> None:
        lane = free.get()
        try:
            found = lane.judge(batch)
        finally:
            free.put(lane)
        with printing:
            verdicts.update(found)
            for name, verdict in found.items():
                print(f"{'killed  ' if verdict.killed else 'SURVIVED'} {name}: {verdict.by}", flush=True)

    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(try_one, batches))
    return verdicts


if __name__ == "__main__":
    main()
