"""What callgrind writes for a stretch of a process's life: how many instructions, and in which functions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: `fn=(12) name` gives number 12 this name; later it is `fn=(12)`. A callee, `cfn`, has the same numbers.
_FUNCTION = re.compile(r"(c?)fn=\((\d+)\)(?: (.*))?")


@dataclass(frozen=True)
class Dump:
    """The counts of one process between two dumps."""

    total: int
    #: by function that was called: how often, and the instructions of these calls with all that they called
    calls: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def per_call(self, function: str) -> float:
        """Return the instructions of one call.

        Raises:
            KeyError: it was not called.
        """
        count, instructions = self.calls[function]
        return instructions / count


def parse(lines: Iterable[str]) -> Dump:
    """Read a file of callgrind's format.

    Raises:
        ValueError: it has no total, as one that is not whole.
    """
    names: dict[str, str] = {}
    calls: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    total: int | None = None
    callee = ""
    called = 0
    for line in lines:
        if called:
            # The line after `calls=` has the place of the call and its instructions.
            calls[callee][0] += called
            calls[callee][1] += int(line.split()[1])
            called = 0
        elif line.startswith("calls="):
            called = int(line[len("calls=") :].split()[0])
        elif function := _FUNCTION.match(line):
            is_callee, number, name = function.groups()
            names[number] = name or names[number]
            if is_callee:
                callee = names[number]
        elif line.startswith(("summary:", "totals:")):
            total = int(line.split()[1])
    if total is None:
        raise ValueError("a dump of callgrind has no total")
    return Dump(total, {name: (count, instructions) for name, (count, instructions) in calls.items()})
