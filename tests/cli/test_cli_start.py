"""How the command line starts and ends: what it loads, its help, Ctrl-C at any moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

import pg_background
from pg_background.cli.commands.variables import found
from pg_background.cli.group import COMMANDS, load

from ..support.fix_cli import Cli, OnPlace

HEAVY = (
    "psycopg",
    "rich",
    "textual",
    "asyncio",
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
    "words", [("--help",), ("--version",), ("run", "--help"), ("top", "--help"), ("variables",)]
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
