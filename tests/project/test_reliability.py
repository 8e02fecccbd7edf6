"""The reliability suite itself: what breaks a promise is found."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from ..reliability.kinds import KINDS
from ..reliability.ledger import Job, Ledger
from ..reliability.operations import OPERATIONS
from ..reliability.pairs import Pair, wrong
from ..reliability.tally import Tally
from ..support.fix_db import Connection
from ..support.jobs import Handle
from ..support.proxy import Proxy
from ..support.waiting import DEADLINE

KIND = {kind.name: kind for kind in KINDS}
OPERATION = {operation.name: operation for operation in OPERATIONS}


@pytest.mark.parametrize(
    ("kind", "state", "refused", "disturbed", "allowed"),
    [
        ("insert", "stopped", False, True, {1}),
        ("insert", "lost", False, True, {0}),
        ("insert", "canceled", False, True, {0}),
        ("insert", None, True, True, {0}),
        ("insert", None, False, True, {0, 1}),
        ("insert", None, False, False, {1}),
        ("each statement", "lost", False, True, {0, 1, 2}),
    ],
)
def test_effects_that_a_job_may_have(
    conn: Connection, kind: str, state: str | None, refused: bool, disturbed: bool, allowed: set[int]
) -> None:
    """Any other number of them is found, and so is another role."""
    conn.execute("CREATE TABLE effects (job bigint, who name)")
    job = Job(1, KIND[kind], "first", 0, Handle(1, 1), refused, state, disturbed)
    ledger = Ledger([job])
    for count in range(4):
        if count in allowed:
            ledger.check_effects(conn, Tally())
        else:
            with pytest.raises(AssertionError, match=f"{count} effects"):
                ledger.check_effects(conn, Tally())
        conn.execute("INSERT INTO effects VALUES (1, 'first')")
    conn.execute("UPDATE effects SET who = 'second'")
    with pytest.raises(AssertionError, match="as second"):
        ledger.check_effects(conn, Tally())


def test_effects_that_nobody_asked_for(conn: Connection) -> None:
    conn.execute("CREATE TABLE effects (job bigint, who name)")
    conn.execute("INSERT INTO effects VALUES (7, 'first')")
    with pytest.raises(AssertionError, match="nobody asked"):
        Ledger().check_effects(conn, Tally())


def test_a_job_with_two_ends() -> None:
    job = Job(1, KIND["insert"], "first", 0)
    job.tell("stopped")
    job.tell("stopped")
    with pytest.raises(AssertionError, match="told before"):
        job.tell("canceled")


@pytest.mark.parametrize(
    ("first", "second", "beginning", "answers", "is_wrong"),
    [
        ("result", "result", "stopped", ("rows", "unknown"), False),
        ("result", "result", "stopped", ("rows", "busy"), False),
        ("result", "result", "stopped", ("rows", "rows"), True),
        ("result", "wait", "stopped", ("rows", "not yet"), True),
        ("detach", "detach", "running", ("done", "done"), True),
        ("detach", "result", "stopped", ("done", "rows"), False),
        ("cancel", "outcome", "running", ("done", "canceled"), False),
        ("wait", "outcome", "running", ("not yet", "canceled"), True),
        ("cancel", "outcome", "stopped", ("done", "canceled"), True),
        ("wait", "poll", "running", ("not yet", "ended"), True),
        ("wait", "poll", "ending", ("not yet", "ended"), False),
        ("purge", "detach", "stopped", ("1", "done"), True),
    ],
)
def test_answers_that_can_not_be_true_together(
    first: str, second: str, beginning: str, answers: tuple[str, str], is_wrong: bool
) -> None:
    pair = Pair(OPERATION[first], OPERATION[second], beginning)
    assert (wrong(pair, *answers) is not None) is is_wrong


def test_the_proxy_passes_on_splits_and_cuts(open_tmp_path: Path) -> None:
    """Each connection gets a beginning of what was sent; without troubles all of it."""
    address = str(open_tmp_path / "echo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()

        def echo() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                # The proxy may reset it.
                with peer, suppress(OSError):
                    while data := peer.recv(1000):
                        peer.sendall(data)

        threading.Thread(target=echo, daemon=True).start()
        proxy = Proxy(address, random.Random(1))
        sent = bytes(range(256)) * 20
        try:
            for troubles in (True, False):
                proxy.troubles = troubles
                for _ in range(30):
                    got = through(proxy, sent)
                    assert sent.startswith(got)
                    assert troubles or got == sent
            assert proxy.cuts > 0
            assert proxy.done["pieces"] > 0
        finally:
            proxy.close()
            listener.shutdown(socket.SHUT_RDWR)


def through(proxy: Proxy, sent: bytes) -> bytes:
    """Send something through the proxy, and return what of it came back."""
    got = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", proxy.port), timeout=DEADLINE) as conn:
        conn.sendall(sent)
        while len(got) < len(sent) and (data := conn.recv(1000)):
            got += data
    return got
