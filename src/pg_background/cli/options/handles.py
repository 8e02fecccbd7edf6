"""Handles of jobs as words of the command line: `PID:COOKIE`, or two words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from ...client.model import Handle
from ..output.console import note
from ..page import PlainCommand
from .given import Given

#: As printed here; as SQL prints a row; as two columns of psql.
_WHOLE = re.compile(r"\(?\s*(-?\d+)\s*[:,|]\s*(0[xX][0-9a-fA-F]+|-?\d+)\s*\)?")
_PID = re.compile(r"-?\d+")
_COOKIE = re.compile(r"0[xX][0-9a-fA-F]+|\d+")

#: What int4 and int8 hold.
_MOST_PID = 2**31
_MOST_COOKIE = 2**63


class HandleCommand(PlainCommand):
    """A command with handles: the negative pid of a job that was queued is not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put a blank before such a pid, which `parse` skips."""
        return super().parse_args(ctx, [f" {word}" if re.match(r"-\d", word) else word for word in args])


def text_of(handle: Handle) -> str:
    """Return the handle as it is printed, and as the commands take it."""
    return f"{handle.pid}:{handle.cookie}"


def parse(words: Sequence[str]) -> list[Handle]:
    """Return the handles that the words are.

    Raises:
        typer.BadParameter: they are something else.
    """
    found: list[Handle] = []
    left = [word.strip() for word in words]
    while left:
        word = left.pop(0)
        if whole := _WHOLE.fullmatch(word):
            pid, cookie = whole[1], whole[2]
        elif not _PID.fullmatch(word):
            raise typer.BadParameter(f"{word!r} is not a handle, which is PID:COOKIE")
        elif left and _COOKIE.fullmatch(left[0]):
            pid, cookie = word, left.pop(0)
        else:
            raise typer.BadParameter(
                f"the pid {word} alone is not a handle: its cookie is missing, PID:COOKIE"
            )
        handle = Handle(int(pid), int(cookie, 0) if cookie[:2].lower() == "0x" else int(cookie))
        if not -_MOST_PID <= handle.pid < _MOST_PID or not 0 < handle.cookie < _MOST_COOKIE:
            raise typer.BadParameter(f"{text_of(handle)} is not a handle: no job has such numbers")
        found.append(handle)
    return found


@contextmanager
def going_on(handles: Sequence[Handle]) -> Iterator[None]:
    """Say, when the block is interrupted, that the jobs are not."""
    try:
        yield
    except KeyboardInterrupt:
        if len(handles) == 1:
            note(f"job {text_of(handles[0])} goes on")
        else:
            note("the jobs go on")
        raise


def _one(
    handle: Annotated[list[str], typer.Argument(metavar="HANDLE", help="PID:COOKIE, or both as two words.")],
) -> Handle:
    handles = parse(handle)
    if len(handles) != 1:
        raise typer.BadParameter(f"one handle is needed, not {len(handles)}")
    return handles[0]


def _some(
    handles: Annotated[
        list[str], typer.Argument(metavar="HANDLE", help="Each is PID:COOKIE, or both as two words.")
    ],
) -> list[Handle]:
    return parse(handles)


def _any(
    handles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HANDLE]...", help="Each is PID:COOKIE, or both as two words.", show_default=False
        ),
    ] = None,
) -> list[Handle]:
    return parse(handles or [])


HandleGiven = Annotated[Handle, Given(_one)]
HandlesGiven = Annotated[list[Handle], Given(_some)]
#: For a command that can be told otherwise which jobs are meant.
AnyHandlesGiven = Annotated[list[Handle], Given(_any)]
