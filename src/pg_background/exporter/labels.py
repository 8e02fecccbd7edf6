"""Which labels of jobs may be labels of metrics: as few as were named, whatever jobs are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: What the pattern language of SQL's LIKE has for that of file names, and what means itself there.
_LIKE = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}


@dataclass(frozen=True)
class Labels:
    """Patterns as of file names. A metric has the pattern for its label, not what matches it."""

    globs: Sequence[str] = ()

    @property
    def parameters(self) -> Mapping[str, Sequence[str]]:
        """For the query: the patterns, and the same for LIKE."""
        return {"names": list(self.globs), "patterns": [_as_like(glob) for glob in self.globs]}


def _as_like(glob: str) -> str:
    return "".join(_LIKE.get(character, character) for character in glob)
