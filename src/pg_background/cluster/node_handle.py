"""What identifies a job of a cluster, and how that is written."""

from __future__ import annotations

import re
from typing import NamedTuple

#: A node's name may have slashes and colons of its own.
_FORM = re.compile(r"(?P<node>.+)/(?P<pid>-?\d+):(?P<cookie>\d+)")


class NodeHandle(NamedTuple):
    """What identifies a job in a cluster, in every process and for every client of the same role.

    Its text is `NODE/PID:COOKIE`, which the command line prints and takes.
    """

    #: its name, or its number in pg_dist_node, as SQL's cluster_handle has it
    node: str | int
    pid: int
    cookie: int

    def __str__(self) -> str:
        return f"{self.node}/{self.pid}:{self.cookie}"

    @classmethod
    def parse(cls, text: str) -> NodeHandle:
        """Return the handle that a text is; its node is a name, also where that is a number.

        Raises:
            ValueError: it is none.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is not a handle with its node, which is NODE/PID:COOKIE")
        return cls(found["node"], int(found["pid"]), int(found["cookie"]))
