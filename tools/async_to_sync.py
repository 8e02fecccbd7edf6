"""Write the sync twins of the async sources.

`python -m tools.async_to_sync` writes them, `--check` only tells whether they are up to date.

Async and await go, names become those of the twin. A statement whose first line ends in `# async only` is
left out; a line that ends in `# sync: …` becomes what stands there.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Each makes the file beside it whose name lacks the `_async`.
INPUTS = (
    *(f"src/pg_background/backfill/{name}_async.py" for name in ("backfill", "planning", "runner")),
    *(f"src/pg_background/backfill/{name}_async.py" for name in ("shards", "state", "throttle")),
    "src/pg_background/client/_asking_async.py",
    "src/pg_background/client/_connections_async.py",
    "src/pg_background/client/_looking_async.py",
    "src/pg_background/client/many_async.py",
    "src/pg_background/client/_session_async.py",
    "src/pg_background/client/_source_async.py",
    "src/pg_background/client/_waits_async.py",
    "src/pg_background/client/choosing_async.py",
    "src/pg_background/client/_watch_async.py",
    "src/pg_background/client/client_async.py",
    "src/pg_background/client/job_async.py",
    "src/pg_background/client/launching_async.py",
    "src/pg_background/client/listed_async.py",
    "src/pg_background/client/reading_async.py",
    "src/pg_background/cluster/cluster_async.py",
    "src/pg_background/cluster/job_async.py",
    "src/pg_background/cluster/node_async.py",
    "src/pg_background/cluster/outcomes_async.py",
    "src/pg_background/ext/sqlalchemy/statement_job_async.py",
    "tests/backfill/test_backfill_async.py",
    "tests/backfill/test_backfill_state_async.py",
    "tests/backfill/test_backfill_stops_async.py",
    "tests/client/test_client_async.py",
    "tests/client/test_client_lists_async.py",
    "tests/client/test_client_pace_async.py",
    "tests/client/test_client_pooler_async.py",
    "tests/client/test_client_rows_async.py",
    "tests/client/test_client_standbys_async.py",
    "tests/client/test_client_sources_async.py",
    "tests/client/test_client_waiting_async.py",
    "tests/cluster/test_cluster_backfill_async.py",
    "tests/cluster/test_cluster_client_async.py",
    "tests/ext/test_sqlalchemy_async.py",
)

#: Beside the rules that `AsyncName` becomes `Name`, and `name_async` `name`.
NAMES = {
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AEvent": "Event",
    "AInterrupted": "Interrupted",
    "ALINGER": "LINGER",
    "ALock": "Lock",
    "ATask": "Task",
    "AYields": "Yields",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclient": "client",
    "acluster": "cluster",
    "aclose": "close",
    "__aiter__": "__iter__",
    "ajoin": "join",
    "alet_end": "let_end",
    "aloop": "loop",
    "anext": "next",
    "ashielded": "shielded",
    "aspawn": "spawn",
    "asynccontextmanager": "contextmanager",
    "asynchronous": "synchronous",
    "await_event": "wait_event",
    "create_async_engine": "create_engine",
    "enter_async_context": "enter_context",
    "pytest_asyncio": "pytest",
}

#: What no single name stands for.
PHRASES = {"sqlalchemy.ext.asyncio": "sqlalchemy"}

Edit = tuple[int, int, str]


def twin_of(path: Path) -> Path:
    """Return where the twin of a source is."""
    return path.with_name(path.name.replace("_async", ""))


def to_sync(source: str, name: str) -> str:
    """Return the twin of a source, not formatted yet."""
    source = re.sub(r"^( *).*  # sync: (.*)$", r"\1\2", source, flags=re.MULTILINE)
    source = _without_async_only(source)
    for phrase, twin in PHRASES.items():
        source = source.replace(phrase, twin)
    for start, end, text in sorted(_edits(source), reverse=True):
        source = source[:start] + text + source[end:]
    source = re.sub(r"\bimport (\w+) as \1\b", r"import \1", source)
    return f"# Made from {name} by tools/async_to_sync.py: edit that one.\n{source}"


def _without_async_only(source: str) -> str:
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and lines[node.lineno - 1].rstrip().endswith("# async only"):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            lines[first - 1 : node.end_lineno] = [""] * ((node.end_lineno or first) - first + 1)
    return "".join(lines)


def _edits(source: str) -> Iterator[Edit]:
    """Yield what to replace, by positions in the source."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))

    def span(token: tokenize.TokenInfo) -> tuple[int, int]:
        return starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]

    for token, following in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        start, end = span(token)
        if token.type == tokenize.NAME and token.string in ("async", "await"):
            yield start, span(following)[0], ""
        elif token.type == tokenize.NAME and token.string == "Awaitable" and following.string == "[":
            closing = _closing(tokens, tokens.index(following))
            yield start, span(following)[1], ""
            yield *span(closing), ""
        elif token.type not in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            text = re.sub(r"\w+", _renamed, source[start:end])
            if text != source[start:end]:
                yield start, end, text


def _closing(tokens: list[tokenize.TokenInfo], opening: int) -> tokenize.TokenInfo:
    depth = 0
    for token in tokens[opening:]:
        depth += {"[": 1, "]": -1}.get(token.string, 0)
        if depth == 0:
            return token
    raise ValueError("a bracket is not closed")


def _renamed(found: re.Match[str]) -> str:
    word = found[0]
    if word in NAMES:
        return NAMES[word]
    word = re.sub(r"^(_?)Async(?=[A-Z])", r"\1", word)
    return re.sub(r"(?<=\w)_async$", "", word)


def formatted(source: str, path: Path) -> str:
    """Return a source as the linters want it: what is needed no more without async goes."""
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    for arguments in (
        [
            "check",
            "--quiet",
            "--select",
            "I,F401,C416,SIM117,UP028",
            "--fix",
            "--unsafe-fixes",
            "--exit-zero",
        ],
        ["format", "--quiet"],
    ):
        done = subprocess.run(
            [*ruff, *arguments, "--stdin-filename", str(path), "-"],
            input=source,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=ROOT,
        )
        source = done.stdout
    return source


def main() -> None:
    """Write the twins, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a twin is not up to date"
    )
    check = parser.parse_args().check
    stale = [name for name in INPUTS if _is_stale(ROOT / name, write=not check)]
    unlisted = [
        str(path.relative_to(ROOT))
        for folder in ("src", "tests")
        for path in (ROOT / folder).rglob("*_async.py")
        if str(path.relative_to(ROOT)) not in INPUTS
    ]
    if unlisted:
        sys.exit(f"not listed in {Path(__file__).name}: {', '.join(unlisted)}")
    if check and stale:
        sys.exit(f"run python -m tools.async_to_sync: it makes other twins of {', '.join(stale)}")


def _is_stale(path: Path, *, write: bool) -> bool:
    twin = twin_of(path)
    text = formatted(to_sync(path.read_text(), path.name), twin)
    stale = not twin.exists() or twin.read_text() != text
    if stale and write:
        twin.write_text(text)
    return stale


if __name__ == "__main__":
    main()
