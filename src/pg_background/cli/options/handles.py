"""Handles of jobs as words of the command line: `PID:COOKIE`, or two words; with a node `NODE/PID:COOKIE`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

import typer

from ...client.model import Handle
from ...cluster.node_handle import NodeHandle
from ..output.console import note
from ..page import PlainCommand
from .given import Given

#: As printed here; as SQL prints a row; as columns of psql. A node's name may have slashes and colons.
_WHOLE = re.compile(
    r"\(?\s*(?:(?P<node>[^\s(].*?)\s*[/,|]\s*)?"
    r"(?P<pid>-?\d+)\s*[:,|]\s*(?P<cookie>0[xX][0-9a-fA-F]+|-?\d+)\s*\)?"
)
_PID = re.compile(r"-?\d+")
_COOKIE = re.compile(r"0[xX][0-9a-fA-F]+|\d+")

_HELP = "PID:COOKIE, or both as two words; of a job on one of several servers NODE/PID:COOKIE."

#: What int4 and int8 hold.
_MOST_PID = 2**31
_MOST_COOKIE = 2**63


class HandleCommand(PlainCommand):
    """A command with handles: the negative pid of a job that was queued is not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put a blank before such a pid, which `parse` skips."""
        return super().parse_args(ctx, [f" {word}" if re.match(r"-\d", word) else word for word in args])


class GivenHandle(NamedTuple):
    """A handle as it was given."""

    handle: Handle
    #: the name or number of its node; empty if none was said
    node: str = ""

    def __str__(self) -> str:
        return text_of(self.handle, self.node)


def text_of(handle: Handle, node: str = "") -> str:
    """Return the handle as it is printed, and as the commands take it.

    Args:
        node: of a job that is on one of several servers.
    """
    return str(NodeHandle(node, *handle)) if node else f"{handle.pid}:{handle.cookie}"


def parse(words: Sequence[str]) -> list[GivenHandle]:
    """Return the handles that the words are.

    Raises:
        typer.BadParameter: they are something else.
    """
    found: list[GivenHandle] = []
    left = [word.strip() for word in words]
    while left:
        word = left.pop(0)
        if whole := _WHOLE.fullmatch(word):
            found.append(_made(whole["pid"], whole["cookie"], whole["node"] or ""))
        elif _PID.fullmatch(word) and left and _COOKIE.fullmatch(left[0]):
            found.append(_made(word, left.pop(0)))
        elif left and (whole := _WHOLE.fullmatch(left[0])) and not whole["node"]:
            # The columns NODE and HANDLE of ps.
            left.pop(0)
            found.append(_made(whole["pid"], whole["cookie"], word))
        elif _PID.fullmatch(word):
            raise typer.BadParameter(
                f"the pid {word} alone is not a handle: its cookie is missing, PID:COOKIE"
            )
        else:
            raise typer.BadParameter(
                f"{word!r} is not a handle, which is PID:COOKIE, or NODE/PID:COOKIE on several servers"
            )
    return found


def _made(pid: str, cookie: str, node: str = "") -> GivenHandle:
    handle = Handle(int(pid), int(cookie, 0) if cookie[:2].lower() == "0x" else int(cookie))
    if not -_MOST_PID <= handle.pid < _MOST_PID or not 0 < handle.cookie < _MOST_COOKIE:
        raise typer.BadParameter(f"{text_of(handle)} is not a handle: no job has such numbers")
    return GivenHandle(handle, node)


@contextmanager
def going_on(handles: Sequence[GivenHandle]) -> Iterator[None]:
    """Say, when the block is interrupted, that the jobs are not."""
    try:
        yield
    except KeyboardInterrupt:
        if len(handles) == 1:
            note(f"job {handles[0]} goes on")
        else:
            note("the jobs go on")
        raise


def _one(
    handle: Annotated[list[str], typer.Argument(metavar="HANDLE", help=_HELP)],
) -> GivenHandle:
    handles = parse(handle)
    if len(handles) != 1:
        raise typer.BadParameter(f"one handle is needed, not {len(handles)}")
    return handles[0]


def _some(
    handles: Annotated[list[str], typer.Argument(metavar="HANDLE", help=f"Each is {_HELP}")],
) -> list[GivenHandle]:
    return parse(handles)


def _any(
    handles: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HANDLE]...", help=f"Each is {_HELP}", show_default=False),
    ] = None,
) -> list[GivenHandle]:
    return parse(handles or [])


HandleGiven = Annotated[GivenHandle, Given(_one)]
HandlesGiven = Annotated[list[GivenHandle], Given(_some)]
#: For a command that can be told otherwise which jobs are meant.
AnyHandlesGiven = Annotated[list[GivenHandle], Given(_any)]
