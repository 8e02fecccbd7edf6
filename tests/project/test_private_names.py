"""What begins with `_` stays in its package: modules are not imported, and names not used, by others.

The linter sees attributes of objects (SLF in pyproject.toml); this sees imports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"


def private_imports(text: str, module: str) -> Iterator[str]:
    """Yield the private names that a module imports from outside of its own package.

    Args:
        module: its full name.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level or None] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            imported = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in imported:
            owner = _owner_of_private(name)
            if owner is not None and not f"{module}.".startswith(f"{owner}."):
                yield f"{module} imports {name}"


def _owner_of_private(name: str) -> str | None:
    """Return the package or module that has the first private part of a name of ours."""
    parts = name.split(".")
    if parts[0] == "pg_background":
        for n, part in enumerate(parts):
            if part.startswith("_") and not part.startswith("__"):
                return ".".join(parts[:n])
    return None


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCES).with_suffix("").parts
    # A package is what its `__init__` is called here, so that its relative imports count from there.
    return ".".join(parts)


def test_no_private_name_is_imported_from_another_package() -> None:
    paths = sorted((SOURCES / "pg_background").rglob("*.py"))
    assert len(paths) > 100
    found = [line for path in paths for line in private_imports(path.read_text(), module_of(path))]
    assert found == []


def test_the_client_has_private_modules() -> None:
    """Without any the test above would prove nothing about it."""
    names = {path.stem for path in (SOURCES / "pg_background" / "client").glob("_*.py")}
    assert {"_session", "_session_async", "_connections", "_waits"} <= names


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pg_background.cli.reading", "from ..client._session import Session"),
        ("pg_background.cli.reading", "from ..client import _session"),
        ("pg_background.cli.reading", "import pg_background.client._session"),
        ("pg_background.cli.reading", "from pg_background.client._session import Session"),
        ("pg_background.cli.reading", "def f():\n    from ..client.reading import _in_utf8"),
        ("pg_background.ext.sqlalchemy.__init__", "from ...client._waits import Waits"),
        ("pg_background.client.job", "from .reading import _in_utf8"),
    ],
)
def test_private_imports_are_seen(module: str, text: str) -> None:
    assert len(list(private_imports(text, module))) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pg_background.client.job", "from ._session import Session"),
        ("pg_background.client.job", "from . import _session"),
        ("pg_background.client.frames.arrow", "from .._decimals import digits_of"),
        ("pg_background.cli.reading", "from __future__ import annotations"),
        ("pg_background.cli.reading", "from psycopg._compat import T"),
        ("pg_background.cli.reading", "from ..client.client import Client"),
        ("pg_background.client.__init__", "from ._session import Session"),
    ],
)
def test_other_imports_are_none(module: str, text: str) -> None:
    assert list(private_imports(text, module)) == []
