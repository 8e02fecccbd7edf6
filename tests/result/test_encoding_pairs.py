"""Jobs across encodings between which PostgreSQL has no conversion of its own."""

from __future__ import annotations

import pytest

from ..support.calls import Failure, failure, query, result_failure, value
from ..support.fix_db import Connection
from ..support.fix_encodings import OpenIn
from ..support.jobs import launch, result, start, wait
from ..support.waiting import DEADLINE

#: Of two encodings without a conversion, what both have, and what the second lacks.
PAIRS = [
    ("LATIN1", "LATIN9", "né", "né¤"),
    ("LATIN9", "LATIN1", "né", "né€"),
    ("LATIN1", "EUC_JP", "÷§", "½÷"),
    ("WIN1251", "LATIN1", "©", "я©"),
    ("EUC_JIS_2004", "LATIN1", "é", "か"),
    ("EUC_JIS_2004", "EUC_KR", "か", "か゚"),
]


#: A session in each database, and the texts.
Pair = tuple[Connection, Connection, str, str]


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]} to {pair[1]}")
def pair(request: pytest.FixtureRequest, open_in: OpenIn) -> Pair:
    source, target, both, lacking = request.param
    here, there = open_in(source), open_in(target)
    direct = (
        "SELECT conname FROM pg_conversion WHERE conforencoding = pg_char_to_encoding(%s)"
        " AND contoencoding = pg_char_to_encoding(%s)"
    )
    assert query(here, direct, source, target) == []
    return here, there, both, lacking


def messages(conn: Connection) -> list[str | None]:
    """Return the list to which the session's notices will be added."""
    found: list[str | None] = []
    conn.add_notice_handler(lambda diagnostic: found.append(diagnostic.message_primary))
    return found


def test_ascii_needs_no_conversion(pair: Pair) -> None:
    here, there, _, _ = pair
    handle = start(here, "SELECT 1 AS a, $1 AS b", params=["x"], label="y", database=there.info.dbname)
    assert result(here, handle, "a int, b text") == [(1, "x")]
    handle = launch(here, "SELECT 1 AS a, 'x' AS b")
    wait(here, handle)
    assert value(there, "SELECT j FROM pg_background_result_json(%s, %s) j", *handle) == {"a": 1, "b": "x"}


def test_texts_of_a_job_there(pair: Pair) -> None:
    here, there, both, _ = pair
    query(here, f"SET my.word = '{both}'")
    sql = f"SELECT '{both}' || $1 AS a, current_setting('my.word') AS \"{both}\""
    handle = start(here, sql, params=[both], label=both, database=there.info.dbname)
    wait(here, handle)
    shown = "SELECT label, sql_preview, pg_background_full_sql(pid, cookie) FROM pg_background_list"
    assert query(here, shown) == [(both, sql, sql)]
    assert value(here, "SELECT name FROM pg_background_describe(%s, %s) OFFSET 1", *handle) == both
    assert result(here, handle, "a text, b text") == [(both * 2, both)]
    handle = start(here, sql, params=[both], database=there.info.dbname)
    as_json = value(here, "SELECT j FROM pg_background_result_json(%s, %s) j", *handle)
    assert as_json == {"a": both * 2, both: both}


def test_the_channel_is_converted(pair: Pair) -> None:
    here, there, both, _ = pair
    query(here, f"SET pg_background.notify_channel = '{both}'")
    query(there, f'LISTEN "{both}"')
    handle = start(here, "SELECT 1", database=there.info.dbname)
    wait(here, handle)
    found = [notify.channel for notify in there.notifies(timeout=DEADLINE, stop_after=1)]
    assert found == [both]


def test_values_and_sql_that_the_encoding_lacks(pair: Pair) -> None:
    """They must be right, so it is an error, and one of PostgreSQL's own."""
    here, there, _, lacking = pair
    call = "SELECT pg_background_start(%s, %s, database => %s)"
    name = there.info.dbname
    assert failure(here, call, f"SELECT '{lacking}'", None, name).sqlstate == "22P05"
    assert failure(here, call, "SELECT $1", [lacking], name).sqlstate == "22P05"
    handle = launch(here, f"SELECT '{lacking}'")
    wait(here, handle)
    assert result_failure(there, handle).sqlstate == "22P05"


def test_what_is_shown_that_the_encoding_lacks(pair: Pair) -> None:
    """As much of it as there is."""
    here, there, both, lacking = pair
    job = f"DO $$ BEGIN RAISE NOTICE '{both}'; RAISE '{lacking}' USING HINT = '{both}'; END $$"
    handle = launch(here, job, label=lacking)
    wait(here, handle)
    jobs = "SELECT label, sql_preview FROM pg_background_jobs WHERE cookie = %s"
    ((label, preview),) = query(there, jobs, handle.cookie)
    assert "?" in label
    assert label.replace("?", "") == "".join(c for c in lacking if c in both)
    assert preview == job.replace(lacking, label)[: len(preview)]
    info = "SELECT message, hint FROM pg_background_error_info(%s, %s)"
    assert query(there, info, *handle) == [(label, both)]
    notices = messages(there)
    assert result_failure(there, handle) == Failure("P0001", label, None, both)
    assert notices == [both]
