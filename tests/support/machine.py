"""A state machine that does at random what sessions do, and compares server and model after each step."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule

from . import jobs as calls
from .calls import query, value
from .jobs import Connection, Handle, wait_until_gone
from .model import KINDS, LIMIT, Job, Model, Session
from .observed import plain, read_inserted, read_list, read_stats, read_totals
from .outcomes import drain, handles
from .outcomes import outcome as ask_outcome
from .registry import registry, wait_until_quiet
from .server import Server
from .waiting import wait_until, wait_until_equal, wait_until_sql

#: The role of each session: two of one role, one of a member of it, one of a stranger.
ROLES = ("owner", "owner", "member", "stranger")

#: What raises for a handle that is not known; the second when its process has another job.
UNKNOWN = ("42704", "55000")

SESSIONS = st.sampled_from(range(len(ROLES)))

#: The side of the die that restarts the server.
RESTARTS = 7

VERBS = st.sampled_from(["queue", "launch", "submit", "start", "run"])


def set_up(server: Server) -> None:
    """Make what the jobs of the machine use."""
    for role in set(ROLES):
        server.execute(f"CREATE ROLE {role} LOGIN; GRANT pgbackground_role TO {role}")
    server.execute("GRANT owner TO member")
    server.execute("CREATE TABLE inserted (number int); GRANT INSERT ON inserted TO PUBLIC")


class Machine(RuleBasedStateMachine):
    """Sessions of several roles on one server."""

    server: ClassVar[Server]

    known_jobs: Bundle[Job] = Bundle("known_jobs")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.number = 0
        self.restarts = 0
        self.sessions: list[Session | None] = [None] * len(ROLES)
        self.connections: list[Connection | None] = [None] * len(ROLES)
        self.admin = self.server.connect()
        self.admin.execute("TRUNCATE inserted")
        self.totals_before = read_totals(self.admin)

    # ---- what sessions do

    @rule(target=known_jobs, slot=SESSIONS, verb=VERBS)
    def start_gate(self, slot: int, verb: str) -> Any:
        """Launch a job that lasts until somebody ends it."""
        return self.start(slot, "gate", verb)

    @rule(target=known_jobs, slot=SESSIONS, verb=st.just("queue"))
    def fill(self, slot: int, verb: str) -> Any:
        """Launch jobs until one waits."""
        _, session = self.use(slot)
        made = [self.start(slot, "gate", verb) for _ in range(LIMIT + 1 - session.running)]
        return multiple(*made)

    @rule(target=known_jobs, slot=SESSIONS, kind=st.sampled_from(list(KINDS)), verb=VERBS)
    def start(self, slot: int, kind: str, verb: str) -> Any:
        """Launch a job, which may be refused, or have to wait."""
        conn, session = self.use(slot)
        if verb == "run":
            self.run(conn, session)
            return multiple()
        self.number += 1
        number = self.number
        job = Job(number, kind, session, submitted=verb == "submit")
        if kind == "gate":
            self.admin.execute("SELECT pg_advisory_lock(7100, %s)", [number])
        if session.running >= LIMIT and verb != "queue":
            assert self.code_of(self.launch, conn, job, verb) == "53400"
            return multiple()
        job.handle = self.launch(conn, job, verb)
        self.model.add(job)
        return job

    def launch(self, conn: Connection, job: Job, verb: str) -> Handle:
        number = job.number
        insert = f"INSERT INTO inserted VALUES ({number})"
        sql = {
            "rows": f"SELECT n FROM generate_series(0, {number % 5 - 1}) AS n",
            "parameters": "SELECT $1::int",
            "gate": f"SELECT {number} FROM pg_advisory_xact_lock_shared(7100, {number})",
            "insert": insert,
            "error": "SELECT 1/0",
            "insert, error": f"{insert}; SELECT 1/0",
            "insert; error": f"{insert}; SELECT 1/0",
        }[job.kind]
        arguments: dict[str, object] = {}
        if job.kind == "parameters":
            arguments["params"] = [str(number)]
        if job.kind == "insert; error":
            arguments["each_statement"] = True
        if verb == "queue":
            arguments["on_full"] = "queue"
        if verb == "submit" and arguments:
            arguments["discard_result"] = True
        if arguments or verb == "start":
            return calls.start(conn, sql, **arguments)
        return (calls.submit if verb == "submit" else calls.launch)(conn, sql)

    def run(self, conn: Connection, session: Session) -> None:
        """Launch, wait and forget in one call."""
        if session.running >= LIMIT:
            assert self.code_of(query, conn, "SELECT pg_background_run('SELECT 1')") == "53400"
            return
        self.number += 1
        assert value(conn, "SELECT state FROM pg_background_run('SELECT 1')") == "stopped"
        job = Job(self.number, "rows", session, submitted=False)
        self.model.add(job)
        job.tracked, job.consumed = False, True

    @rule(slot=SESSIONS, job=known_jobs)
    def wait(self, slot: int, job: Job) -> None:
        """For what has ended, or a moment."""
        conn, session = self.use(slot)
        if not self.refuses(session, job, calls.wait, conn, job.handle, 1):
            assert calls.wait(conn, job.handle, 0 if job.is_final else 1) == job.is_final

    @rule(slot=SESSIONS, job=known_jobs, wrong_columns=st.booleans())
    def read(self, slot: int, job: Job, wrong_columns: bool) -> None:
        """Take a result; with a wrong column list it stays where it is."""
        conn, session = self.use(slot)
        if job.tracked and not job.is_final:
            return
        if self.refuses(session, job, calls.result, conn, job.handle):
            return
        if job.submitted:
            assert self.code_of(calls.result, conn, job.handle) == "0A000"
        elif job.state == "stopped" and wrong_columns:
            assert self.code_of(calls.result, conn, job.handle, "a int, b point") == "42804"
        else:
            if job.state == "stopped":
                assert calls.result(conn, job.handle, job.columns) == job.rows
            else:
                assert self.code_of(calls.result, conn, job.handle, job.columns) == job.sqlstate
            job.tracked, job.consumed = False, True

    @rule(slot=SESSIONS, job=known_jobs)
    def cancel(self, slot: int, job: Job) -> None:
        """Cancel, which changes nothing once it has ended."""
        conn, session = self.use(slot)
        if self.refuses(session, job, calls.cancel, conn, job.handle):
            return
        calls.cancel(conn, job.handle)
        if not job.is_final:
            self.model.finish(job, "canceled")

    @rule(slot=SESSIONS, job=known_jobs)
    def detach(self, slot: int, job: Job) -> None:
        """Forget a job, which goes on."""
        conn, session = self.use(slot)
        if not self.refuses(session, job, calls.detach, conn, job.handle):
            calls.detach(conn, job.handle)
            job.tracked = False

    @rule(slot=SESSIONS, job=known_jobs)
    def outcome(self, slot: int, job: Job) -> None:
        """Ask how a job stands, also one that is not tracked any more."""
        conn, session = self.use(slot)
        told = ask_outcome(conn, job.handle)
        if not job.known or not session.may_use(job):
            assert (told.state, told.completed, told.has_error) == (None, None, None)
            return
        assert plain(told.state) == job.state
        assert (told.completed, told.sqlstate) == (job.is_final, job.sqlstate)
        assert told.consumed == job.consumed

    @rule(slot=SESSIONS)
    def cancel_all(self, slot: int) -> None:
        """Cancel what the session has."""
        conn, session = self.use(slot)
        live = [job for job in session.listed if not job.is_final]
        assert value(conn, "SELECT pg_background_cancel_all()") == len(live)
        # Those that wait must not begin when those that run have ended.
        for job in sorted(live, key=lambda job: job.state == "running"):
            self.model.finish(job, "canceled")

    @rule(slot=SESSIONS, function=st.sampled_from(["detach_all", "purge"]))
    def forget(self, slot: int, function: str) -> None:
        """Detach all, or all that have ended."""
        conn, session = self.use(slot)
        gone = [job for job in session.listed if job.is_final or function == "detach_all"]
        assert value(conn, f"SELECT pg_background_{function}()") == len(gone)
        for job in gone:
            job.tracked = False

    @rule(slot=SESSIONS)
    def drain(self, slot: int) -> None:
        """Wait a moment for all that the session has, and forget what has ended."""
        conn, session = self.use(slot)
        asked = session.listed
        told = drain(conn, handles(*(job.handle for job in asked)), 1)
        assert [plain(row.state) for row in told] == [job.state for job in asked]
        for job in asked:
            job.tracked = not job.is_final

    # ---- what happens to them

    @rule(job=known_jobs)
    def open_gate(self, job: Job) -> None:
        """Let a job go on that waits."""
        if job.kind == "gate" and not job.gate_is_open and job.known:
            self.admin.execute("SELECT pg_advisory_unlock(7100, %s)", [job.number])
            job.gate_is_open = True
            if job.state == "running":
                self.model.finish(job, "stopped")

    @rule(job=known_jobs)
    def kill_worker(self, job: Job) -> None:
        """End the process that runs a job."""
        if job.state == "running":
            shown = "FROM pg_background_jobs WHERE cookie = %s AND worker_pid IS NOT NULL"
            wait_until_sql(self.admin, f"SELECT count(*) {shown}", [job.handle.cookie], expected=1)
            wait_until(lambda: self.shown_state(job) == "running", what="running")
            self.admin.execute(
                f"SELECT pg_terminate_backend(worker_pid) {shown}".encode(), [job.handle.cookie]
            )
            self.model.finish(job, "lost")

    @rule(slot=SESSIONS)
    def disconnect(self, slot: int) -> None:
        """End a session; what it has launched goes on."""
        conn = self.connections[slot]
        if conn is not None:
            pid = conn.info.backend_pid
            conn.close()
            wait_until_gone(self.admin, pid)
            self.connections[slot] = self.sessions[slot] = None

    @precondition(lambda self: self.restarts == 0)
    @rule(dice=st.sampled_from(range(10)))
    def restart(self, dice: int) -> None:
        """Restart the server, at most once."""
        if dice != RESTARTS:
            return
        self.restarts += 1
        # The gates open as the session that holds them ends: what waits behind them may begin.
        due = {job.number for job in self.model.jobs if not job.is_final and job.kind.startswith("insert")}
        self.close()
        self.server.restart()
        self.admin = self.server.connect()
        inserted = read_inserted(self.admin)
        assert self.model.inserted <= inserted <= self.model.inserted | due
        self.model.inserted = inserted
        self.model.restart()
        self.totals_before = read_totals(self.admin)
        assert self.totals_before == {}

    # ---- what must be so

    @invariant()
    def sessions_see_their_jobs(self) -> None:
        """States, in the order of launch, and counters."""
        for conn, session in zip(self.connections, self.sessions, strict=True):
            if conn is None or session is None:
                continue
            wanted = [(job.handle.cookie, job.state) for job in session.listed]
            wait_until_equal(partial(read_list, conn), wanted)
            counters = session.counters
            ended = (
                *(counters[name] for name in ("launched", "stopped")),
                counters["error"] + counters["lost"],
                *(counters["canceled"], 0, session.running),
            )
            wait_until_equal(partial(read_stats, conn), ended)

    @invariant()
    def the_server_counts_all(self) -> None:
        """The registry, the totals, and what was committed."""
        model = self.model
        expected = (model.live + model.unread, model.live, model.unread)
        wait_until_equal(lambda: registry(self.admin)[:3], expected)
        wait_until_equal(self.read_new_totals, {role: +count for role, count in model.totals.items()})
        inserted = read_inserted(self.admin)
        assert inserted == model.inserted, (inserted, model.inserted)

    def teardown(self) -> None:
        """End all jobs: nothing may be left."""
        self.admin.execute("SELECT pg_advisory_unlock_all()")
        for job in self.model.jobs:
            if job.tracked:
                with suppress(psycopg.errors.UndefinedObject):
                    calls.cancel(self.admin, job.handle)
                    calls.detach(self.admin, job.handle)
        wait_until_quiet(self.admin, area_bytes=0)
        self.close()

    # ---- helpers

    def use(self, slot: int) -> tuple[Connection, Session]:
        """Return a session, which is opened if need be."""
        conn, session = self.connections[slot], self.sessions[slot]
        if conn is None or session is None:
            options = f"-c pg_background.max_workers={LIMIT}"
            conn = self.server.connect(user=ROLES[slot], options=options)
            session = Session(ROLES[slot])
            self.connections[slot], self.sessions[slot] = conn, session
        return conn, session

    def close(self) -> None:
        """Close all connections."""
        for conn in (self.admin, *self.connections):
            if conn is not None:
                conn.close()
        self.connections = [None] * len(ROLES)
        self.sessions = [None] * len(ROLES)

    def refuses(self, session: Session, job: Job, call: Any, *arguments: Any) -> bool:
        """Whether the handle is refused in this session; then the call must raise just that."""
        if not job.tracked:
            assert self.code_of(call, *arguments) in UNKNOWN
        elif not session.may_use(job):
            assert self.code_of(call, *arguments) == "42501"
        else:
            return False
        return True

    def code_of(self, call: Any, *arguments: Any) -> str | None:
        """Call what must fail, and return the code."""
        try:
            call(*arguments)
        except psycopg.Error as error:
            return error.sqlstate
        return None

    def shown_state(self, job: Job) -> Any:
        """The state of a job in the view of all jobs."""
        return value(self.admin, "SELECT state FROM pg_background_jobs WHERE cookie = %s", job.handle.cookie)

    def read_new_totals(self) -> dict[str, Counter[str]]:
        """What was added to them by this machine."""
        new = {
            role: +(now - self.totals_before.get(role, Counter()))
            for role, now in read_totals(self.admin).items()
        }
        return {role: counts for role, counts in new.items() if counts}
