"""Django's settings, and tasks for tests of its backend; both stay as they are while the process lives."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from psycopg import sql

BACKEND = "pg_background.ext.django.PgBackgroundBackend"

settings.configure(
    SECRET_KEY="of the tests",
    USE_TZ=True,
    TIME_ZONE="UTC",
    # Where it is, tests say.
    DATABASES={
        "default": {"ENGINE": "django.db.backends.postgresql", "NAME": "unknown"},
        "lite": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    },
    TASKS={
        "default": {"BACKEND": BACKEND, "QUEUES": ["default", "reports"]},
        "limited": {"BACKEND": BACKEND, "OPTIONS": {"timeout": 0.1, "on_full": "error"}},
        "lite": {"BACKEND": BACKEND, "OPTIONS": {"database": "lite"}},
        "nowhere": {"BACKEND": BACKEND, "OPTIONS": {"database": "no such"}},
    },
)

django.setup()

try:
    from django.tasks import TaskContext, task
except ImportError:
    from django_tasks import TaskContext, task


@task
def add_stock(item: str, *, amount: int) -> tuple[str, list[Any]]:
    # A comment at the end, without a line break after it, must not swallow what follows.
    return "INSERT INTO stock SELECT %s, n FROM generate_series(1, %s) AS n -- 100%%", [item, amount]


@task
def clear_stock() -> sql.Composable:
    return sql.SQL("DELETE FROM {} WHERE item = '/* not a comment */'; DELETE FROM stock").format(
        sql.Identifier("stock")
    )


@task
def fail_check() -> str:
    return "INSERT INTO stock VALUES ('a', -1)"


@task
def wait_for_lock() -> str:
    return "SELECT pg_advisory_xact_lock(hashtext(current_schema()))"


@task(backend="limited")
def sleep_long() -> str:
    return "SELECT pg_sleep(3600)"


@task
def return_nothing() -> None:
    return None


@task
def another_stock() -> str:
    return "SELECT 1"


def context_in(context: TaskContext) -> str:
    return "SELECT 1"


async def in_a_coroutine() -> str:
    return "SELECT 1"
