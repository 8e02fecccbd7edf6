"""The commands about jobs that run by themselves: a handle goes from one to the other."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest

from ..support.fix_cli import OnPlace
from ..support.fix_client import Place
from ..support.fix_db import Connection, MakeRole
from ..support.jobs import FOREVER, launch, wait, wait_until_asleep
from ..support.server import Server
from ..support.waiting import wait_until_sql
from ..support.workers import launch_counting

UNKNOWN = "4711:12345"

STATE = "SELECT state FROM pg_background_jobs WHERE cookie = %s"


def cookie(handle: str) -> int:
    return int(handle.partition(":")[2])


def test_from_launch_to_result(bg: OnPlace) -> None:
    handle = bg.handle("launch", "--label", "answer", "-P", "40", "SELECT %s + 2 AS answer")
    assert bg("wait", handle).output == f"{handle} done\n"
    done = bg("show", handle)
    assert done.code == 0
    shown = dict(line.split(maxsplit=1) for line in done.output.splitlines())
    assert shown["handle"] == handle
    assert shown["state"] == "done"
    assert shown["label"] == "answer"
    assert shown["rows"] == "1"
    assert shown["columns"] == "answer integer"
    assert shown["sql"] == "SELECT $1 + 2 AS answer"
    assert bg("result", "--csv", handle).output == "answer\n42\n"
    done = bg("result", handle)
    assert (done.code, done.output) == (5, "")
    assert "was read or detached already: its rows are gone" in done.errors
    done = bg("show", handle)
    assert done.code == 0
    assert "columns" not in done.output
    assert "it was read or detached" in done.errors


def test_handle_in_each_form_that_is_printed_anywhere(bg: OnPlace) -> None:
    for form in ("{0}:{1}", "({0},{1})", "{0}|{1}", "{0}:0x{1:x}", " {0}:{1} "):
        pid, number = bg.handle("launch", "SELECT 1").split(":")
        assert bg("detach", form.format(int(pid), int(number))).code == 0
    pid, number = bg.handle("launch", "SELECT 1").split(":")
    assert bg("wait", pid, number).code == 0
    assert bg("detach", "--", pid, hex(int(number))).code == 0


@pytest.mark.parametrize("command", ["show", "wait", "result", "cancel", "detach"])
def test_words_that_are_no_handle(bg: OnPlace, command: str) -> None:
    for words in (
        (),
        ("12",),
        ("x:1",),
        ("1:x",),
        ("1:0",),
        ("1:99999999999999999999",),
        ("--nosuch", "1:2"),
    ):
        done = bg(command, *words)
        assert (done.code, done.output) == (2, ""), words
    done = bg(command, UNKNOWN)
    assert (done.code, done.output) == (5, "")
    assert "PID 4711" in done.errors


def test_several_handles(bg: OnPlace) -> None:
    good, bad = bg.handle("launch", "SELECT 1"), bg.handle("submit", "SELECT 1/0")
    endless = bg.handle("launch", FOREVER)
    assert bg("wait", good, bad).code == 1
    assert bg("wait", *good.split(":")).code == 0
    done = bg("wait", "--timeout", "0.05", good, bad, *endless.split(":"))
    assert done.code == 1
    assert done.output == f"{good} done\n{bad} error\n"
    assert "1 of 3 jobs have not ended in 0.05 s" in done.errors
    assert bg("wait", "--timeout", "0.05", good, endless).code == 4
    assert bg("wait", "--any", endless, good).output == f"{good} done\n"
    done = bg("wait", "--any", endless, "--timeout", "0.05")
    assert (done.code, done.output) == (4, "")
    assert bg("wait", good, UNKNOWN).code == 5
    done = bg("cancel", UNKNOWN, endless)
    assert done.code == 5
    assert bg("wait", endless).output == f"{endless} canceled\n"
    assert bg("detach", good, endless, bad).code == 0


def test_the_exit_code_is_that_of_the_worst(bg: OnPlace, place: Place, make_role: MakeRole) -> None:
    """In whatever order they are named."""
    live, failed = bg.handle("launch", FOREVER), bg.handle("submit", "SELECT 1/0")
    stranger = ("-d", place.dsn(user=make_role(member_of=("pgbackground_role",))))
    for command in ("cancel", "detach"):
        for handles in ((live, UNKNOWN), (UNKNOWN, live)):
            assert bg(command, *handles, *stranger).code == 6
        for handles in ((failed, UNKNOWN), (UNKNOWN, failed)):
            assert bg("cancel", *handles).code == 5
    for handles in ((failed, UNKNOWN), (UNKNOWN, failed)):
        assert bg("wait", *handles).code == 5
    for handles in ((failed, live), (live, failed)):
        assert bg("wait", "--timeout", "0.05", *handles).code == 1
    for handles in ((live, UNKNOWN), (UNKNOWN, live)):
        assert bg("wait", *handles, *stranger).code == 5
    assert bg("cancel", live).code == 0


def test_a_job_whose_process_died(bg: OnPlace, side: Connection) -> None:
    """It is known, and has failed."""
    handle = bg.handle("launch", FOREVER)
    pid = int(handle.partition(":")[0])
    wait_until_asleep(side, pid)
    side.execute("SELECT pg_terminate_backend(%s)", [pid])
    done = bg("wait", handle)
    assert (done.code, done.output) == (1, f"{handle} lost\n")
    done = bg("result", handle)
    assert (done.code, done.output) == (1, "")
    assert f"lost connection to worker process with PID {pid}" in done.errors


def test_grace_is_in_seconds(bg: OnPlace, side: Connection) -> None:
    job = launch_counting(side)
    began = time.monotonic()
    assert bg("cancel", "--grace", "2", f"{job.pid}:{job.cookie}").code == 0
    assert time.monotonic() - began > 1.8
    assert side.execute(STATE, [job.cookie]).fetchone() == ("canceled",)


def test_submitted_job_that_failed(bg: OnPlace) -> None:
    handle = bg.handle("submit", "SELECT 1/0")
    done = bg("result", handle)
    assert (done.code, done.output) == (1, "")
    assert done.errors.startswith("error: division by zero (SQLSTATE 22012)\n")
    shown = bg("show", "--json", handle)
    (job,) = json.loads(shown.output)
    assert job["state"] == "error"
    assert job["sql"] == "SELECT 1/0"
    assert job["error"]["sqlstate"] == "22012"
    assert job["columns"] == []


def test_submitted_job_without_rows_to_read(bg: OnPlace) -> None:
    handle = bg.handle("submit", "SELECT generate_series(1, 3)")
    assert bg("result", handle).output == "SELECT 3\n"


def test_limits_of_time(bg: OnPlace) -> None:
    handle = bg.handle("launch", "--timeout", "0.05", FOREVER)
    assert bg("wait", handle).output == f"{handle} timed_out\n"
    assert bg("result", handle).code == 4
    handle = bg.handle("launch", FOREVER)
    done = bg("result", handle, "--timeout", "0.05")
    assert (done.code, done.output) == (4, "")
    assert f"job {handle} has not ended in 0.05 s, and goes on" in done.errors
    assert bg("cancel", "--grace", "10", handle).code == 0
    assert bg("wait", handle).output == f"{handle} canceled\n"
    assert bg("result", handle).code == 1


def test_queued_job_has_a_negative_pid(bg: OnPlace, server: Server) -> None:
    with server.alter_system({"pg_background.max_total_workers": 1}):
        busy = []
        # Idle processes that are there already take one job each.
        while not (handle := bg.handle("launch", "--on-full", "queue", FOREVER)).startswith("-"):
            busy.append(handle)
        queued = bg.handle("launch", "--on-full", "queue", "SELECT 2 AS x")
        for words in ([queued], queued.split(":")):
            assert "queued" in bg("show", *words).output
            assert bg("wait", "--timeout", "0.01", *words).code == 4
        assert queued in bg("ps").output
        assert bg("cancel", *handle.split(":"), "-w").code == 0
        assert bg("wait", handle).output == f"{handle} canceled\n"
        assert bg("cancel", *busy).code == 0
        assert bg("result", queued, "--csv").output == "x\n2\n"
        assert bg("detach", handle, *busy).code == 0


@pytest.mark.parametrize("command", ["result", "wait"])
def test_interrupted_wait_leaves_the_job(bg: OnPlace, side: Connection, command: str) -> None:
    handle = bg.handle("launch", FOREVER)
    process = bg.start(command, handle, PGAPPNAME=f"waits by {command}")
    wait_until_sql(
        side,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND query LIKE '%%outcome%%'",
        [f"waits by {command}"],
        expected=1,
    )
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "")
    assert "Traceback" not in errors
    assert errors == f"job {handle} goes on\ninterrupted\n"
    assert side.execute(STATE, [cookie(handle)]).fetchone() == ("running",)
    assert bg("cancel", handle).code == 0


def test_ps(bg: OnPlace, side: Connection) -> None:
    running = bg.handle("launch", "--label", "a [b]label[/b]", FOREVER)
    ended = bg.handle("launch", "SELECT 1/0")
    bg("wait", ended)
    done = bg("ps")
    assert done.code == 0
    header, *lines = done.output.splitlines()
    assert header.split()[:3] == ["HANDLE", "STATE", "TIME"]
    (line,) = [line for line in lines if line.startswith(running)]
    assert line.split()[1] == "running"
    assert "Timeout: PgSleep" in line
    assert "a [b]label[/b]" in line
    assert line.rstrip().endswith(FOREVER)
    assert ended not in done.output
    for words in (["--all"], ["--state", "error"], ["--state", "running", "--state", "error"]):
        assert ended in bg("ps", *words).output
    assert running not in bg("ps", "--state", "error", "--csv").output
    (job,) = [job for job in json.loads(bg("ps", "--json").output) if job["handle"] == running]
    assert job["sql_preview"] == FOREVER
    assert job["wait_event"] == "PgSleep"
    assert bg("ps", "--state", "asleep").code == 2
    assert bg("cancel", running).code == 0


def test_ps_of_others(bg: OnPlace, place: Place, make_role: MakeRole) -> None:
    """Who may look but not cancel is shown no cookie."""
    handle = bg.handle("launch", FOREVER)
    role = make_role(member_of=("pg_read_all_stats", "pgbackground_role"))
    done = bg("ps", "-d", place.dsn(user=role))
    assert f"{handle.partition(':')[0]}:? " in done.output
    assert bg("cancel", "-d", place.dsn(user=role), handle).code == 6
    assert bg("cancel", handle).code == 0


def test_ps_of_strangers(bg: OnPlace, place: Place, make_role: MakeRole) -> None:
    """Of their jobs there is the process; no more in any format."""
    handle = bg.handle("launch", f"{FOREVER}, 'secret'", "--label", "secret")
    pid = handle.partition(":")[0]
    stranger = ("-d", place.dsn(user=make_role(member_of=("pgbackground_role",))))
    table = bg("ps", *stranger).output
    assert f"{pid}:? " in table
    assert "<insufficient privilege>" in table
    (job,) = (
        one for one in json.loads(bg("ps", *stranger, "--json").output) if one["worker_pid"] == int(pid)
    )
    told = {name for name, value in job.items() if value is not None}
    assert told == {"pid", "worker_pid", "database", "role", "sql_preview"}
    assert "secret" not in table + str(job)
    assert bg("cancel", handle).code == 0


def test_show_to_who_may_only_look_and_cancel(
    bg: OnPlace, place: Place, side: Connection, make_role: MakeRole
) -> None:
    """How it stands and the beginning of the SQL; what may have data of rows in it is not shown."""
    side.execute(f"SET ROLE {make_role(member_of=('pgbackground_role',))}".encode())
    job = launch(side, "SELECT 'secret'::int")
    side.execute("RESET ROLE")
    assert wait(side, job)
    theirs = f"{job.pid}:{job.cookie}"
    roles = ("pg_read_all_stats", "pg_signal_backend", "pgbackground_role")
    shown = bg("show", "-d", place.dsn(user=make_role(member_of=roles)), theirs)
    assert shown.code == 0
    assert "22P02" in shown.output
    assert "invalid input syntax" not in shown.output
    assert "invalid input syntax" in bg("show", theirs).output


def test_ps_watches_until_interrupted(bg: OnPlace) -> None:
    process = bg.start("ps", "--watch", "--interval", "0.1")
    assert process.stdout is not None
    headers = 0
    while headers < 3:
        headers += process.stdout.readline().startswith("HANDLE")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "interrupted\n")


@pytest.mark.parametrize("columns", ["80", "200"])
def test_ps_on_a_terminal_fits(bg: OnPlace, columns: str) -> None:
    handle = bg.handle("launch", "--label", "narrow", f"{FOREVER} /* {'x' * 300} */")
    done = bg.on_terminal("ps", size=(int(columns), 24))
    assert done.code == 0
    assert "\x1b[32mrunning" in done.output
    (line,) = [line for line in done.output.splitlines() if handle in line]
    assert "narrow" in line
    # The server keeps the beginning of the SQL; a mark says so, as it does where the terminal is too narrow.
    assert line.endswith("…")
    assert len(re.sub("\x1b\\[[0-9;]*m", "", line)) <= int(columns)
    assert bg("cancel", handle).code == 0


def test_ps_all_shows_end_and_error(bg: OnPlace) -> None:
    failed, done = bg.handle("launch", "SELECT 1/0"), bg.handle("launch", "SELECT 1 AS one")
    bg("wait", failed, done)
    for run in (bg("ps", "--all"), bg.on_terminal("ps", "--all")):
        header, *lines = run.output.splitlines()
        assert "ENDED" in header
        assert "ERROR" in header
        (line,) = [line for line in lines if failed in line]
        assert "division by" in line
        assert re.search(r"\d\d:\d\d:\d\d", line)
        (line,) = [line for line in lines if done in line]
        assert "done" in line
    # Also where there is much to say no line is broken.
    waiting = bg.handle("launch", "-l", "waits", f"SELECT pg_background_progress(40), {FOREVER[7:]}")
    output = re.sub("\x1b\\[[0-9;]*m", "", bg.on_terminal("ps", "--all").output)
    assert max(map(len, output.splitlines())) <= 80
    assert bg("cancel", waiting).code == 0
    assert done in bg("ps", "--state", "done").output
    assert done in bg("ps", "--state", "stopped").output


def test_unknown_forgotten_and_forbidden_are_told_apart(
    bg: OnPlace, place: Place, make_role: MakeRole
) -> None:
    """By each command in the same way."""
    forgotten = bg.handle("launch", "SELECT 1")
    bg("wait", forgotten)
    assert bg("detach", forgotten).code == 0
    for command in ("result", "cancel", "detach"):
        done = bg(command, forgotten)
        assert (done.code, done.output) == (5, ""), command
        assert "was read or detached already" in done.errors
    # How it ended is still known.
    assert bg("wait", forgotten).output == f"{forgotten} done\n"
    done = bg("show", forgotten)
    assert done.code == 0
    assert "state      done" in done.output
    live = bg.handle("launch", FOREVER)
    stranger = place.dsn(user=make_role(member_of=("pgbackground_role",)))
    for command in ("show", "wait", "result", "cancel", "detach"):
        done = bg(command, UNKNOWN)
        assert (done.code, done.output) == (5, ""), command
        assert "does not know the job with PID 4711" in done.errors
        done = bg(command, live, "-d", stranger)
        assert (done.code, done.output) == (6, ""), command
        assert "permission denied for background worker" in done.errors
    assert bg("cancel", live).code == 0


def test_cancel_by_label_and_all(bg: OnPlace) -> None:
    first, second = (
        bg.handle("launch", "-l", "report 1", FOREVER),
        bg.handle("launch", "-l", "report_2", FOREVER),
    )
    other = bg.handle("launch", "-l", "other", FOREVER)
    for words in ((), ("--all", other), ("--label", "x", "--all")):
        assert bg("cancel", *words).code == 2
    done = bg("cancel", "--label", "nothing%")
    assert (done.code, done.output) == (0, "")
    assert "no job" in done.errors
    assert bg("cancel", "--label", r"report\_%").output == f"{second}\n"
    assert bg("cancel", "--label", "repor_ %").output == f"{first}\n"
    assert bg("wait", first, second).output == f"{first} canceled\n{second} canceled\n"
    # Those that have ended are not told to stop.
    assert bg("cancel", "--label", "report%").output == ""
    assert other in bg("cancel", "--all").output.splitlines()
    assert bg("wait", other).output == f"{other} canceled\n"


def test_what_would_steer_a_terminal_is_shown(bg: OnPlace) -> None:
    title = "\x1b]0;owned\x07\x9b31m"
    sql = (
        f"DO $$ BEGIN RAISE NOTICE '{title}'; RAISE '{title}' USING DETAIL = '{title}'; END $$ /* {title} */"
    )
    done = bg.on_terminal("run", sql, size=(200, 50), NO_COLOR="1")
    assert done.code == 1
    assert done.output.count(r"\x1B]0;owned\x07\u009B31m") == 3
    shown = [done.output, bg.on_terminal("ps", "--all", size=(300, 50)).output]
    shown.append(bg.on_terminal("run", "--csv", f"SELECT '{title}' AS x").output)
    handle = next(line.split()[0] for line in bg("ps", "-a").output.splitlines() if "owned" in line)
    shown.append(bg.on_terminal("show", handle).output)
    rows = f"""SELECT '{title}' AS "{title}" """
    for options in ((), ("-x",), ("--json",), ("--csv",)):
        shown.append(bg.on_terminal("run", *options, rows).output)
    handle = bg("launch", rows).output.strip()
    bg("wait", handle)
    shown.append(bg.on_terminal("show", handle, size=(300, 50)).output)
    assert "columns" in shown[-1]
    assert f"columns    {title} text" in bg("show", handle).output
    for text in shown:
        assert "owned" in text
        assert "\x1b]" not in text
        assert "\x9b" not in text
