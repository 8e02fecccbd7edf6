"""Django's tasks: what its own interface says of tasks that run in the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core import signing
from django.db import connections, transaction
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from ..support import shop_tasks
from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.waiting import wait_until

try:
    from django.tasks import task, task_backends
    from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist, TaskResultMismatch
    from django.tasks.signals import task_enqueued
except ImportError:
    from django_tasks import task, task_backends
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
    from django_tasks.signals import task_enqueued


@pytest.fixture(autouse=True)
def database(place: Place) -> Iterator[Any]:
    """Django's connection, on the test's schema."""
    parts = conninfo_to_dict(place.dsn())
    wrapper = connections["default"]
    wrapper.close()
    wrapper.settings_dict.update(
        NAME=parts.pop("dbname"),
        USER=parts.pop("user"),
        PASSWORD=parts.pop("password", ""),
        HOST=parts.pop("host"),
        PORT=str(parts.pop("port")),
        OPTIONS=parts,
    )
    with wrapper.cursor() as cursor:
        cursor.execute("CREATE TABLE stock (item text, amount int CONSTRAINT in_stock CHECK (amount >= 0))")
    yield wrapper
    wrapper.close()


def finished(result: Any) -> Any:
    """Return it when it has ended."""

    def is_finished() -> bool:
        result.refresh()
        return bool(result.is_finished)

    wait_until(is_finished, what="the task")
    return result


def test_a_task_that_succeeds(side: Connection) -> None:
    seen = []

    def see(task_result: Any, **_: Any) -> None:
        seen.append(task_result.id)

    task_enqueued.connect(see)
    try:
        result = shop_tasks.add_stock.enqueue("apple */ %s", amount=3)
    finally:
        task_enqueued.disconnect(see)
    assert (result.status, result.attempts, seen) == ("READY", 0, [result.id])
    finished(result)
    assert (result.status, result.errors, result.attempts) == ("SUCCESSFUL", [], 1)
    assert result.return_value == {"statusmessage": "INSERT 0 3", "rowcount": 3}
    assert side.execute("SELECT DISTINCT item, count(*) OVER () FROM stock").fetchall() == [
        ("apple */ %s", 3)
    ]
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert timezone.is_aware(result.finished_at)


def test_a_result_by_its_id_in_another_connection(database: Any) -> None:
    id_ = finished(shop_tasks.add_stock.using(queue_name="reports").enqueue("pear", amount=1)).id
    database.close()
    for _ in range(2):
        result = shop_tasks.add_stock.get_result(id_)
        assert (result.args, result.kwargs, result.status) == (["pear"], {"amount": 1}, "SUCCESSFUL")
        assert (result.task.func, result.task.queue_name) == (shop_tasks.add_stock.func, "reports")
    with pytest.raises(TaskResultMismatch):
        shop_tasks.another_stock.get_result(id_)


def test_several_statements_are_one_transaction(side: Connection) -> None:
    finished(shop_tasks.add_stock.enqueue("apple", amount=3))
    result = finished(shop_tasks.clear_stock.enqueue())
    assert result.return_value == {"statusmessage": "DELETE 3", "rowcount": 3}
    assert side.execute("SELECT count(*) FROM stock").fetchone() == (0,)


def test_a_task_that_fails() -> None:
    result = finished(shop_tasks.fail_check.enqueue())
    assert result.status == "FAILED"
    (error,) = result.errors
    assert error.exception_class is psycopg.errors.CheckViolation
    assert 'violates check constraint "in_stock"\nDETAIL:  Failing row contains (a, -1).' in error.traceback
    with pytest.raises(ValueError, match="Task failed"):
        result.return_value  # noqa: B018


def test_a_task_on_its_way_and_canceled(place: Place, side: Connection) -> None:
    side.execute("SELECT pg_advisory_lock(hashtext(current_schema()))")
    result = shop_tasks.wait_for_lock.enqueue()
    wait_until(lambda: result.refresh() or result.status == "RUNNING", what="running")
    assert (result.is_finished, result.finished_at, len(result.worker_ids)) == (False, None, 1)
    with pytest.raises(ValueError, match="not finished"):
        result.return_value  # noqa: B018
    side.execute("SELECT pg_background_cancel(%s, %s)", [int(part) for part in result.id.split(".")])
    (error,) = finished(result).errors
    assert (result.status, error.exception_class.__name__) == ("FAILED", "JobCancelled")
    side.execute("SELECT pg_advisory_unlock_all()")


def test_the_time_limit_of_the_backend() -> None:
    (error,) = finished(shop_tasks.sleep_long.enqueue()).errors
    assert error.exception_class.__name__ == "JobTimeout"


def test_the_transaction_of_the_caller_goes_on(side: Connection) -> None:
    with transaction.atomic():
        with pytest.raises(TypeError, match="return_nothing must return SQL"):
            shop_tasks.return_nothing.enqueue()
        result = shop_tasks.add_stock.enqueue("kept", amount=1)
        with connections["default"].cursor() as cursor:
            cursor.execute("INSERT INTO stock VALUES ('rolled back', 1)")
        transaction.set_rollback(True)
    finished(result)
    assert side.execute("SELECT item FROM stock").fetchall() == [("kept",)]


def test_arguments_that_are_not_json_launch_nothing(side: Connection) -> None:
    with pytest.raises(TypeError):
        shop_tasks.add_stock.enqueue(object(), amount=1)
    assert side.execute("SELECT count(*) FROM stock").fetchone() == (0,)


async def test_asynchronously(database: Any) -> None:
    result = await shop_tasks.another_stock.aenqueue()
    for _ in range(1000):
        await result.arefresh()
        if result.is_finished:
            break
    assert (await shop_tasks.another_stock.aget_result(result.id)).status == "SUCCESSFUL"


@pytest.mark.parametrize("id_", ["", "x", "1.1", "1.99999999999999999999", "99999999999.1", "-1.1"])
def test_an_unknown_id(id_: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(id_)


@pytest.mark.parametrize("path", [None, "os.system", "no_such_module.f", "tests.support.shop_tasks.BACKEND"])
def test_a_job_that_is_not_a_task(path: str | None, side: Connection) -> None:
    note = (
        "forged:a:b"
        if path is None
        else signing.dumps([path, [], {}, "default"], salt="pg_background.ext.django")
    )
    row = side.execute("SELECT * FROM pg_background_launch(%s)", [f"SELECT 1\n/* task: {note} */"]).fetchone()
    assert row is not None
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(f"{row[0]}.{row[1]}")
    side.execute("SELECT pg_background_detach(%s, %s)", row)


def test_what_a_job_can_not_do() -> None:
    for change in (
        {"priority": 1},
        {"run_after": timezone.now() + timedelta(days=1)},
        {"queue_name": "no such"},
    ):
        with pytest.raises(InvalidTask):
            shop_tasks.add_stock.using(**change)
    with pytest.raises(InvalidTask, match="takes_context"):
        task(takes_context=True)(shop_tasks.context_in)
    with pytest.raises(InvalidTask, match="async"):
        task(shop_tasks.in_a_coroutine)


def test_the_system_check() -> None:
    assert task_backends["default"].check() == []
    (lite,) = task_backends["lite"].check()
    (nowhere,) = task_backends["nowhere"].check()
    assert (lite.id, nowhere.id) == ("pg_background.E002", "pg_background.E001")
