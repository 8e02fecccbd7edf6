"""How the command line starts and ends: what it loads, its help, Ctrl-C at any moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

import pg_background
from pg_background.cli.commands.variables import found
from pg_background.cli.errors.failures import told
from pg_background.cli.group import COMMANDS, load

from ..support.fix_cli import Cli, OnPlace

HEAVY = (
    "psycopg",
    "rich",
    "textual",
    "asyncio",
    "prometheus_client",
    "pg_background.server.cluster",
    "pg_background.client.client",
)


def loaded(*words: str, **environment: str) -> set[str]:
    """Return what of HEAVY the command line has loaded at its end."""
    code = (
        "import sys\n"
        "from pg_background.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print('loaded', *[m for m in {HEAVY} if sys.modules.get(m)], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, env=environment
    )
    assert "Traceback" not in done.stderr
    return set(done.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("--version",),
        ("run", "--help"),
        ("top", "--help"),
        ("variables",),
        ("exporter", "--print", "rules"),
    ],
)
def test_help_loads_little(words: tuple[str, ...]) -> None:
    assert loaded(*words) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_loads_little(shell: str) -> None:
    words = {
        "COMP_WORDS": "pg-background run --",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": "pg-background run --",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": "--",
    }
    assert loaded(_PG_BACKGROUND_COMPLETE=f"complete_{shell}", **words) == set()


def test_run_loads_what_it_needs(bg: OnPlace, place) -> None:  # type: ignore[no-untyped-def]
    assert (
        loaded("run", "-d", place.dsn(), "SELECT 1") & {"rich", "textual", "pg_background.server.cluster"}
        == set()
    )


def test_version(cli: Cli) -> None:
    for option in ("--version", "-V"):
        done = cli(option)
        assert (done.returncode, done.stdout) == (0, f"pg-background {pg_background.__version__}\n")
    assert pg_background.__version__.startswith("3.")


@pytest.mark.parametrize("module", ["typer", "psycopg"])
def test_interrupted_while_it_loads(cli: Cli, tmp_path: Path, module: str) -> None:
    """As by Ctrl-C in the first moment."""
    (tmp_path / f"{module}.py").write_text("raise KeyboardInterrupt")
    done = cli("run", "SELECT 1", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


#: At each third import that the command line makes, a copy of the process gets a Ctrl-C.
INTERRUPTS = """
import os, signal, sys

class Finder:
    begun = False
    seen = 0

    def find_spec(self, name, path=None, target=None):
        self.begun = self.begun or name == "pg_background.cli.process"
        self.seen += self.begun
        if self.seen % 3 != 1:
            return None
        pid = os.fork()
        if pid == 0:
            sys.meta_path.remove(self)
            signal.alarm(30)
            said = os.open("said", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(said, 1)
            os.dup2(said, 2)
            os.kill(os.getpid(), signal.SIGINT)
            return None
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with open("said", "rb") as said, open("ends", "ab") as ends:
            ends.write(b"%s: %d %s\\n" % (name.encode(), code, said.read().strip()))
        return None

sys.meta_path.insert(0, Finder())
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


@pytest.mark.parametrize("words", [("--help",), ("run", "SELECT 1")])
def test_interrupted_at_any_import(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    monkeypatch.chdir(tmp_path)
    cli(*words, PYTHONPATH=str(tmp_path), PGHOST=str(tmp_path))
    ends = (tmp_path / "ends").read_text().splitlines()
    assert len(ends) > 15
    assert [end for end in ends if not end.endswith(": 130 interrupted")] == []


def test_interrupted_while_a_class_is_made() -> None:
    def fail() -> None:
        with told():
            raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    with pytest.raises(typer.Exit) as ended:
        fail()
    assert ended.value.exit_code == 130


def test_ignored_interrupts_stay_ignored() -> None:
    """As in the background of a script."""
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from pg_background.cli import main\n"
        "try:\n    main()\nfinally:\n    signal.raise_signal(signal.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_list_of_commands_says_what_their_help_says() -> None:
    for commands in COMMANDS.values():
        for name, summary in commands.items():
            assert load(name).help.splitlines()[0] == summary, name


def test_help_has_examples_and_no_variables(cli: Cli) -> None:
    for commands in COMMANDS.values():
        for name in commands:
            done = cli.inside(name, "--help")
            assert done.code == 0
            assert "PG_BACKGROUND_" not in done.output
            if name not in ("server", "variables"):
                assert f"Examples:\n  pg-background {name}" in done.output, name
                assert max(map(len, done.output.partition("Examples:")[0].splitlines())) <= 80


def test_examples_of_the_help_are_understood() -> None:
    """Each is a line that the command takes."""
    import shlex

    for commands in COMMANDS.values():
        for name in commands:
            made = load(name)
            for example in getattr(made, "examples", ()):
                first, *words = shlex.split(example)
                assert first == name
                context = typer.Context(made, info_name=name)
                made.parse_args(context, words)


def test_variables(cli: Cli) -> None:
    printed = cli.inside("variables").output
    for variable in found():
        assert f"{variable} " in printed
    assert "--dbname of" in printed


def test_typed_option_wins_over_the_file_of_the_environment(bg: OnPlace, tmp_path: Path) -> None:
    script = tmp_path / "script.sql"
    script.write_text("SELECT 'file' AS x")
    variable = {"PG_BACKGROUND_FILE": str(script)}
    assert bg("run", "--csv", **variable).output == "x\nfile\n"
    assert bg("run", "--csv", "SELECT 'typed' AS x", **variable).output == "x\ntyped\n"
    assert bg("run", "--csv", "-c", "SELECT 'command' AS x", **variable).output == "x\ncommand\n"
    assert bg("run", "-c", "SELECT 1", "SELECT 2").code == 2


def test_hints_where_the_server_has_none(bg: OnPlace, place, make_role) -> None:  # type: ignore[no-untyped-def]
    done = bg("run", "BEGIN; SELECT 1")
    assert done.code == 1
    assert "HINT:  Leave out BEGIN and COMMIT" in done.errors
    assert "--each-statement" in done.errors
    done = bg("run", "-d", place.dsn(user=make_role()), "SELECT 1")
    assert done.code == 6
    assert "GRANT pgbackground_role TO" in done.errors
