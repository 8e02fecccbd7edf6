# The tasks of Django 6 and the package for earlier versions exclude each other: one is never found.
# pyright: reportMissingImports=false

"""A backend of Django's tasks whose tasks run in the database; docs/frameworks.md is the guide.

A task is a function that returns SQL. It is called when the task is enqueued; what it returns runs as a job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from django.conf import settings
from django.core import checks, signing
from django.db import connections
from django.utils import timezone
from django.utils.module_loading import import_string
from psycopg import sql
from psycopg.rows import dict_row

from ..client.client import Client
from ..client.errors import JobLost
from ..client.handles import telling_unknown
from ..client.model import Handle, Outcome, statusmessage
from ..client.query import Params
from ..client.reading import without_rows

try:
    from django.tasks import Task, TaskResult, TaskResultStatus
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import TaskError
    from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist
    from django.tasks.signals import task_enqueued
except ImportError:
    # Before Django 6 they are a package.
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task, TaskError, TaskResult, TaskResultStatus
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist
    from django_tasks.signals import task_enqueued

_STATUS = {
    "queued": TaskResultStatus.READY,
    "starting": TaskResultStatus.READY,
    "running": TaskResultStatus.RUNNING,
    "stopped": TaskResultStatus.SUCCESSFUL,
}

#: What the server knows of a task beside its SQL: it follows that as a comment. Signed, as it names what is
#: imported and the SQL of any job could say so.
_NOTE = re.compile(r"\n/\* task: ([\w:.-]+) \*/$")
_SALT = "pg_background.ext.django"

_LABEL_LENGTH = 64


class PgBackgroundBackend(BaseTaskBackend):  # type: ignore[misc]
    """Runs the SQL that tasks return, in the database that Django is connected to.

    Options in TASKS: `database`, an alias of DATABASES, by default "default"; `timeout`, the jobs' time limit
    in seconds, by default the server's; `on_full`, what to do when no worker is free: "queue" (the default),
    "error" or "wait".

    The return value of a task is a dict: its `statusmessage`, such as "UPDATE 3", and its `rowcount`.
    """

    supports_get_result = True
    supports_defer = False
    supports_async_task = False
    supports_priority = False

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._database: str = self.options.get("database", "default")
        self._launch = {
            "timeout": self.options.get("timeout"),
            "on_full": self.options.get("on_full", "queue"),
        }

    def validate_task(self, task: Task) -> None:
        """See BaseTaskBackend.

        Raises:
            InvalidTask: it asks for what a job can't do.
        """
        super().validate_task(task)
        if task.takes_context:
            raise InvalidTask(
                "Backend does not support takes_context: the function is called before its task is."
            )

    def enqueue(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult:
        """Call the task's function, and launch what it returns: SQL, or SQL and its parameters.

        Raises:
            InvalidTask: as `validate_task`.
            TypeError: the function returned something else, or the arguments are not JSON.
            psycopg.Error: the server refused the launch; an open transaction can go on.
        """
        self.validate_task(task)
        # It makes JSON of the arguments, or fails, before anything is launched.
        result = self._result(task, args, kwargs, id="", enqueued_at=timezone.now())
        query, params = _statement(task, task.call(*args, **kwargs))
        note = signing.dumps([task.module_path, result.args, result.kwargs, task.queue_name], salt=_SALT)
        # What is signed is base64, which can't end a comment.
        comment: Any = f"\n/* task: {note} */"
        noted = query + sql.SQL(comment) if isinstance(query, sql.Composable) else query + comment
        job = self._client().submit(noted, params, label=task.name[:_LABEL_LENGTH], **self._launch)
        object.__setattr__(result, "id", f"{job.pid}.{job.cookie}")
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult:
        """Ask the server how far a task is, or how it ended.

        Raises:
            TaskResultDoesNotExist: the server does not know it, or not any more, or its role may not see it.
        """
        client = self._client()
        row = _job_of(client, result_id)
        found = _NOTE.search(row["full_sql"] or "")
        try:
            path, args, kwargs, queue_name = signing.loads(found[1] if found else "", salt=_SALT)
            task = import_string(path)
        except (signing.BadSignature, ImportError) as error:
            raise TaskResultDoesNotExist(result_id) from error
        if not isinstance(task, Task):
            raise TaskResultDoesNotExist(result_id)
        state, worker, started_at = row["state"], row["worker_pid"], _local(row["started_at"])
        result = self._result(
            task.using(queue_name=queue_name, backend=self.alias),
            args,
            kwargs,
            id=result_id,
            status=_STATUS.get(state, TaskResultStatus.FAILED),
            enqueued_at=_local(row["queued_at"]) or started_at,
            started_at=started_at,
            last_attempted_at=started_at,
            finished_at=_local(row["finished_at"]),
            worker_ids=[] if started_at is None else [str(worker or row["pid"])],
        )
        if state == "stopped":
            tag, rows = row["command_tag"], row["row_count"]
            value = {"statusmessage": statusmessage(tag, rows), "rowcount": rows or 0}
            object.__setattr__(result, "_return_value", value)
        elif result.status == TaskResultStatus.FAILED:
            result.errors.append(_error(client, row))
        return result

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Tell whether the database can be one for this backend; it is not connected to."""
        if self._database not in connections:
            return [
                checks.Error(
                    f"TASKS {self.alias!r}: there is no database {self._database!r}", id="pg_background.E001"
                )
            ]
        if connections[self._database].vendor != "postgresql" or not _has_psycopg_3():
            hint = "Its ENGINE must be django.db.backends.postgresql, with psycopg 3 installed."
            message = (
                f"TASKS {self.alias!r}: the database {self._database!r} is not PostgreSQL through psycopg 3"
            )
            return [checks.Error(message, hint=hint, id="pg_background.E002")]
        return []

    def _client(self) -> Client[Any]:
        """Return one on Django's connection, whose role and settings jobs get."""
        wrapper = connections[self._database]
        wrapper.ensure_connection()
        return Client(wrapper.connection)

    def _result(
        self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any], **fields: Any
    ) -> TaskResult:
        unknown = dict.fromkeys(("started_at", "last_attempted_at", "finished_at"))
        start = {"status": TaskResultStatus.READY, "errors": [], "worker_ids": [], **unknown}
        return TaskResult(
            task=task, args=list(args), kwargs=dict(kwargs), backend=self.alias, **{**start, **fields}
        )


def _has_psycopg_3() -> bool:
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


def _statement(task: Task, made: Any) -> tuple[str | sql.Composable, Params | None]:
    query, params = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(query, str | sql.Composable):
        raise TypeError(
            f"the task {task.name} must return SQL, or SQL and its parameters, not {type(made).__name__}"
        )
    return query, params


def _job_of(client: Client[Any], result_id: str) -> dict[str, Any]:
    if not (found := re.fullmatch(r"(-?\d{1,10})\.(-?\d{1,19})", result_id)):
        raise TaskResultDoesNotExist(result_id)
    handle = Handle(int(found[1]), int(found[2]))
    try:
        # It may go in between: it is in the view, and its SQL can't be had.
        with client.session.connection() as connection, telling_unknown(handle):
            cursor = psycopg.Cursor(connection, row_factory=dict_row)
            row = cursor.execute(client.session.statements.job_and_sql, handle).fetchone()
    except JobLost as error:
        raise TaskResultDoesNotExist(result_id) from error
    if row is None:
        raise TaskResultDoesNotExist(result_id)
    return row


def _error(client: Client[Any], row: dict[str, Any]) -> TaskError:
    """Return what the job ended with. There is no traceback: the message has the server's detail and hint."""
    handle = Handle(row["pid"], row["cookie"])
    fields = (row[name] for name in ("state", "row_count", "command_tag", "sqlstate", "error_message"))
    error: Any = without_rows(client.session, Outcome(handle, *fields))
    kind = type(error)
    return TaskError(exception_class_path=f"{kind.__module__}.{kind.__qualname__}", traceback=str(error))


def _local(moment: datetime | None) -> datetime | None:
    """Return it as Django has its times."""
    if moment is None or settings.USE_TZ:
        return moment
    return timezone.make_naive(moment) if timezone.is_aware(moment) else moment
