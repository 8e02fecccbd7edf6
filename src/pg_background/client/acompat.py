"""What threads and asyncio call by different names: each pair is one thing in the source and in its twin."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeAlias, TypeVar

AEvent = asyncio.Event
Event = threading.Event

ALock = asyncio.Lock
Lock = threading.Lock

ATask: TypeAlias = "asyncio.Task[None]"
Task: TypeAlias = threading.Thread

T = TypeVar("T")

#: What a generator function returns, which can be closed early.
AYields = AsyncGenerator[T, None]
Yields = Generator[T, None, None]

#: how a caller is told to stop
AInterrupted = asyncio.CancelledError
Interrupted = KeyboardInterrupt


#: Seconds that what serves others stays for the next one: a thread costs more to start than a task.
ALINGER = 0.0
LINGER = 5.0


def aloop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of the caller; threads have none."""
    return asyncio.get_running_loop()


def loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of the caller; threads have none."""
    return None


def aspawn(name: str, function: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """Run a function beside the caller."""
    return asyncio.create_task(function(), name=name)


def spawn(name: str, function: Callable[[], None]) -> threading.Thread:
    """Run a function beside the caller; the interpreter's end does not wait for it."""
    thread = threading.Thread(target=function, name=name, daemon=True)
    thread.start()
    return thread


#: Seconds after which a wait without a limit lets a signal's handler run.
LOOK_FOR_SIGNALS = 1.0


async def ajoin(task: asyncio.Task[Any]) -> None:
    """End what was spawned: a task is cancelled."""
    task.cancel()
    await asyncio.wait([task])


def join(thread: threading.Thread) -> None:
    """End what was spawned: a thread has been told to, and ends soon."""
    if thread is not threading.current_thread():
        thread.join()


async def await_event(event: asyncio.Event, timeout: float | None) -> bool:
    """Wait until the event is set, at most so many seconds; return whether it is."""
    if timeout is not None and timeout <= 0:
        return event.is_set()
    try:
        # Not wait_for, which in Python 3.11 swallows a cancellation that meets the event.
        async with asyncio.timeout(timeout):
            return await event.wait()
    except TimeoutError:
        return event.is_set()


def wait_event(event: threading.Event, timeout: float | None) -> bool:
    """Wait until the event is set, at most so many seconds; return whether it is."""
    if timeout is not None:
        return event.wait(max(timeout, 0))
    # A signal that comes just before the lock is waited for is not seen until that wait is over.
    while not event.wait(LOOK_FOR_SIGNALS):
        pass
    return True


async def ashielded(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it to its end even if the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(function())
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            interruption = error
    if interruption is not None:
        # What has become of it is of less weight, and is looked at so that asyncio does not complain.
        _ = task.cancelled() or task.exception()
        raise interruption
    task.result()


def shielded(function: Callable[[], None]) -> None:
    """Run it: threads are not cancelled."""
    function()


async def alet_end(function: Callable[[], Coroutine[Any, Any, object]], seconds: float) -> None:
    """Run it; if the caller is cancelled meanwhile, it still has so many seconds to end by itself."""
    # A cancel of the caller ends a future of its own: shield() needs one turn of the loop more for that.
    ended = asyncio.get_running_loop().create_future()

    async def run() -> object:
        try:
            return await function()
        finally:
            if not ended.done():
                ended.set_result(None)

    task = asyncio.ensure_future(run())
    try:
        await ended
    except asyncio.CancelledError:
        await ashielded(lambda: _end_in_time(task, seconds))
        # What it raised is of less weight, and is looked at so that asyncio does not complain.
        _ = task.cancelled() or task.exception()
        raise
    # It has set the future in its last turn.
    task.result()


async def _end_in_time(task: asyncio.Task[object], seconds: float) -> None:
    _, late = await asyncio.wait([task], timeout=seconds)
    if late:
        await ajoin(task)


def let_end(function: Callable[[], object], seconds: float) -> None:
    """Run it: threads are not cancelled, and a signal ends it as it ends psycopg's own calls."""
    del seconds
    function()
