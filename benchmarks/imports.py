"""How long the package takes to import: a section of `make bench`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .commands import take_turns
from .context import Bench
from .figures import Figure, of_rounds

TITLE = "Import"
NOTE = "A Python process that imports this and ends."

_ROUNDS = 20

_IMPORTS = {
    "nothing": "pass",
    "psycopg": "import psycopg",
    "pg_background": "import pg_background",
    "pg_background.connect": "from pg_background import connect",
}


def for_bench(bench: Bench) -> Sequence[Figure]:
    """See `Section`."""
    programs = {name: [sys.executable, "-c", program] for name, program in _IMPORTS.items()}
    bench.say("import")
    return of_rounds("import", take_turns(programs, bench.times(_ROUNDS)), TITLE)
