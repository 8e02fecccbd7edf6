"""What `make bench` measures, in the order of its report."""

from __future__ import annotations

from . import calls, client, growth, imports, memory, sessions, shapes
from .context import Section

#: By the name that ONLY takes.
SECTIONS: dict[str, Section] = {
    "calls": calls,
    "sessions": sessions,
    "shapes": shapes,
    "client": client,
    "growth": growth,
    "memory": memory,
    "imports": imports,
}
