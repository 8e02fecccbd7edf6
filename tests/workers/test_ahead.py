"""Workers that are started ahead of need: when a launch asks for one, and the keeper starts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from ..support.calls import query
from ..support.fix_db import Connection
from ..support.jobs import FOREVER, launch
from ..support.points import Scene
from ..support.registry import registry
from ..support.waiting import wait_until

#: Where the keeper begins to serve whatever was asked of it.
LOOK = "keeper_before_look"

#: Processes pass a point that is set to this, and tell it.
PASSES = "passes"


@contextmanager
def session(scene: Scene, **settings: object) -> Iterator[Connection]:
    """A session on a server that may have some workers more, and with these settings."""
    names = {f"pg_background.{name}": setting for name, setting in settings.items()}
    with (
        scene.server.alter_system({"pg_background.max_total_workers": 6} | names),
        closing(scene.connect()) as conn,
    ):
        yield conn
        query(conn, "SELECT pg_background_cancel_all()")
        wait_until(lambda: registry(scene.watcher).live == 0)
    scene.assert_nothing_is_left()


def let_the_keeper_serve(scene: Scene) -> None:
    """Return once it has served all that it was asked for: when it looks again after one more look."""
    with scene.point(LOOK, PASSES):
        for _ in range(2):
            mark = scene.server.log.mark()
            scene.server.reload()
            scene.server.log.wait_for(f"at debug point {LOOK}: {PASSES}", mark)


def workers(scene: Scene) -> tuple[int, int]:
    """Return how many are busy, which those are too that have not come yet, and how many idle."""
    now = registry(scene.watcher)
    return now.busy_workers, now.idle_workers


def test_not_on_places_that_were_taken_since(scene: Scene) -> None:
    """The last two stay free, also when launches are faster than the keeper."""
    with session(scene, max_total_workers=4) as conn:
        with scene.point(LOOK) as look:
            for _ in range(2):
                launch(conn, FOREVER)
            look.reached()
        let_the_keeper_serve(scene)
        assert workers(scene) == (2, 0)


def test_not_while_another_one_is_idle(scene: Scene) -> None:
    with session(scene) as conn:
        for _ in range(2):
            launch(conn, FOREVER)
        wait_until(lambda: workers(scene) == (2, 1))
        query(conn, "SELECT pg_background_cancel_all()")
        wait_until(lambda: workers(scene) == (0, 3))
        launch(conn, FOREVER)
        let_the_keeper_serve(scene)
        assert workers(scene) == (1, 2)


@pytest.mark.parametrize(("idle_timeout", "processes"), [("1h", 2), (0, 1)])
def test_not_where_it_might_not_idle(scene: Scene, idle_timeout: object, processes: int) -> None:
    with session(scene, worker_idle_timeout=idle_timeout) as conn:
        mark = scene.server.log.mark()
        with scene.point("worker_before_checkin", PASSES):
            launch(conn, FOREVER)
            let_the_keeper_serve(scene)
            wait_until(lambda: workers(scene) == (1, processes - 1))
        assert scene.server.log.since(mark).count("at debug point worker_before_checkin") == processes
