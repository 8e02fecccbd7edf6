"""Whatever sessions do in whatever order, the server and a model of it agree."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from ..support.fix_server import FreshServer
from ..support.machine import RESTARTS, Machine, set_up
from ..support.model import KINDS


@pytest.fixture
def machine(fresh_server: FreshServer) -> type[Machine]:
    """The machine of a server of its own, which it restarts."""
    made = fresh_server()
    set_up(made)

    class Bound(Machine):
        server = made

    return Bound


@pytest.mark.slow
def test_sessions_at_random(machine: type[Machine]) -> None:
    run_state_machine_as_test(machine, settings=settings())


def check(machine: Machine) -> None:
    """Compare as after each step."""
    machine.sessions_see_their_jobs()
    machine.the_server_counts_all()


def test_a_restart_amid_all_kinds(machine: type[Machine]) -> None:
    one = machine()
    started = [one.start(slot, kind, "queue") for slot in range(3) for kind in KINDS]
    check(one)
    one.open_gate(started[2])
    check(one)
    one.restart(RESTARTS)
    check(one)
    for job in started:
        one.outcome(0, job)
        one.read(1, job, False)
    one.start(0, "insert; error", "start")
    check(one)
    one.teardown()


def test_the_queue_of_a_session_that_has_gone(machine: type[Machine]) -> None:
    """Its limit holds on: each that ends lets one other begin."""
    one = machine()
    gates = [one.start_gate(1, "queue") for _ in range(4)]
    one.start(1, "insert", "queue")
    one.disconnect(1)
    check(one)
    one.cancel(0, gates[0])
    check(one)
    one.kill_worker(gates[1])
    check(one)
    one.detach(2, gates[3])
    one.open_gate(gates[2])
    check(one)
    one.open_gate(gates[3])
    check(one)
    assert len(one.model.inserted) == 1
    one.teardown()
