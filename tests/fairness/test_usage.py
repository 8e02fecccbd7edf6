"""pg_background_usage: what each role and database uses, against its limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from psycopg import errors as e

from ..support.fix_fairness import MakeTenants, Tenants
from ..support.jobs import FOREVER, Connection, cancel, detach, launch, start, submit, wait


def usage(conn: Connection) -> dict[tuple[str, str | None], dict[str, Any]]:
    """By kind and name."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT * FROM pg_background_usage")
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {(row.pop("kind"), row.pop("name")): row for row in rows}


def test_of_roles_databases_and_the_server(make_tenants: MakeTenants) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 64})
    greedy = tenants.limit(
        "greedy", max_role_jobs=20, max_role_workers=2, max_role_memory="2MB", max_role_result_size="5MB"
    )
    handles = [start(greedy, FOREVER, on_full="queue") for _ in range(5)]
    unread = launch(tenants.other, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    assert wait(tenants.other, unread)
    seen = usage(tenants.superuser)
    of_greedy = seen["role", "greedy"]
    assert 0 < of_greedy.pop("memory_bytes") <= 2 * 1024**2
    assert of_greedy == {
        "jobs": 5,
        "max_jobs": 20,
        "workers": 2,
        "max_workers": 2,
        "queued": 3,
        "max_memory_bytes": 2 * 1024**2,
        "result_bytes": 0,
        "max_result_bytes": 5 * 1024**2,
    }
    of_other = seen["role", "other"]
    assert of_other["jobs"] == 1
    assert of_other["result_bytes"] > 500_000
    assert (of_other["max_jobs"], of_other["max_workers"], of_other["max_memory_bytes"]) == (None, None, None)
    assert seen["database", "postgres"]["jobs"] == 6
    assert seen["database", "postgres"]["workers"] == 2
    of_server = seen["server", None]
    assert (of_server["jobs"], of_server["max_jobs"], of_server["queued"]) == (6, 64, 3)
    assert (of_server["workers"], of_server["max_workers"]) == (2, 5)
    assert of_server["memory_bytes"] >= of_other["memory_bytes"]
    assert of_server["result_bytes"] == of_other["result_bytes"]
    assert of_server["max_result_bytes"] == 16 * 1024**3
    for handle in handles:
        cancel(greedy, handle)
        assert wait(greedy, handle)
        detach(greedy, handle)
    assert usage(tenants.superuser)["role", "greedy"]["jobs"] == 0
    assert usage(tenants.superuser)["role", "greedy"]["memory_bytes"] == 0


def test_a_role_sees_its_own(make_tenants: MakeTenants) -> None:
    tenants = make_tenants()
    launch(tenants.greedy, FOREVER)
    launch(tenants.other, FOREVER)
    assert set(usage(tenants.greedy)) == {("role", "greedy")}
    tenants.superuser.execute("GRANT pg_read_all_stats TO other")
    assert {kind for kind, _name in usage(tenants.other)} == {"role", "database", "server"}


def leave_history(tenants: Tenants) -> None:
    """Let others use its entry again."""
    assert wait(tenants.greedy, submit(tenants.greedy, "SELECT 1"))
    assert ("role", "greedy") in usage(tenants.superuser)
    for _ in range(16):
        assert wait(tenants.other, submit(tenants.other, "SELECT 1"))


def be_refused(tenants: Tenants) -> None:
    launch(tenants.other, FOREVER)
    with pytest.raises(e.ConfigurationLimitExceeded):
        launch(tenants.greedy, "SELECT 1")


def wait_for_several(tenants: Tenants) -> None:
    """For those of a role that it is a member of."""
    tenants.superuser.execute("GRANT other TO greedy")
    handle = launch(tenants.other, FOREVER)
    call = "SELECT pg_background_wait_any(ARRAY[(%s, %s)::pg_background_handle], 10)"
    assert tenants.greedy.execute(call, handle).fetchone() == (None,)


@pytest.mark.parametrize(
    "leave",
    [leave_history, be_refused, wait_for_several],
    ids=["history", "refused", "wait"],
)
def test_of_who_has_nothing_there_nothing_is_kept(
    make_tenants: MakeTenants, leave: Callable[[Tenants], None]
) -> None:
    tenants = make_tenants({"pg_background.max_jobs": 16, "pg_background.max_total_workers": 1})
    leave(tenants)
    seen = usage(tenants.superuser)
    assert ("role", "other") in seen
    assert ("role", "greedy") not in seen
