"""Do the limits fit each other, and the state the limits? They matter only where the library is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .finding import Finding, fail, ok, warn
from .server_info import CITUS_EXECUTORS, ServerInfo

#: Of max_worker_processes: our keeper, logical replication's launcher, and one for parallel query.
RESERVED_SLOTS = 3

#: Bytes of job memory that a job takes beside its queue, for its SQL, settings and error: a guess on the
#: safe side.
JOB_OVERHEAD = 4096

#: Above this share of a limit it is time to look.
_NEARLY = 0.8

_MB = 1024**2


def total_workers(server: ServerInfo) -> int:
    """Return how many worker processes the whole server may have for jobs."""
    configured = server.amount("pg_background.max_total_workers")
    return configured or max(1, server.amount("max_worker_processes") - reserved_slots(server))


def reserved_slots(server: ServerInfo) -> int:
    """Return how many of max_worker_processes are not for jobs: Citus has its own, one for each database."""
    if not server.has_citus:
        return RESERVED_SLOTS
    return RESERVED_SLOTS + server.databases + server.amount(CITUS_EXECUTORS)


def slots(server: ServerInfo) -> Finding | None:
    """Do jobs get enough processes, and everybody else too?"""
    if not server.preloaded:
        return None
    present = server.amount("max_worker_processes")
    cap = total_workers(server)
    session = server.amount("pg_background.max_workers")
    reserved = reserved_slots(server)
    text = f"jobs may take {cap} of {present} (max_worker_processes)"
    if present < 2:
        return fail(
            "worker slots",
            "max_worker_processes leaves none for jobs beside the keeper",
            f"max_worker_processes = {session + reserved} and a restart",
        )
    if cap > present - reserved:
        lower = "pg_background.max_total_workers = 0, or " if cap > 1 else ""
        others = "parallel query and replication"
        if server.has_citus:
            others += f", and for the {reserved - RESERVED_SLOTS} that Citus may need, as for moves of shards"
        return warn(
            "worker slots",
            f"{text}: too few are left for {others}",
            f"{lower}max_worker_processes = {cap + reserved} and a restart",
        )
    if cap < session:
        capped = server.amount("pg_background.max_total_workers") > 0
        return warn(
            "worker slots",
            f"{text}, and one session alone may want {session} (pg_background.max_workers)",
            f"max_worker_processes = {session + reserved} and a restart"
            + (f", pg_background.max_total_workers = {session}" if capped else ""),
        )
    return ok("worker slots", text)


def job_memory(server: ServerInfo) -> Finding | None:
    """Do as many jobs fit into memory as may run and be tracked?"""
    if not server.preloaded:
        return None
    memory = server.amount("pg_background.job_memory")
    queue = server.amount("pg_background.default_queue_size")
    jobs = server.amount("pg_background.max_jobs")
    cap = total_workers(server)
    running = cap * (queue + JOB_OVERHEAD)
    tracked = jobs * JOB_OVERHEAD
    if running > memory:
        return warn(
            "job memory",
            f"{size(memory)}, and {cap} jobs at once with queues of {size(queue)} need {size(running)}",
            f"pg_background.job_memory = '{_megabytes(running)}' and a restart, "
            "or a smaller pg_background.default_queue_size",
        )
    if tracked > memory:
        return warn(
            "job memory",
            f"{size(memory)}, and {jobs} jobs (pg_background.max_jobs) may need {size(tracked)}",
            f"pg_background.job_memory = '{_megabytes(tracked)}' and a restart",
        )
    if jobs < 2 * cap:
        return warn(
            "job memory",
            f"{jobs} jobs are tracked (pg_background.max_jobs) and {cap} run at once: a few unread results "
            "block launches",
            f"pg_background.max_jobs = {max(1024, 2 * cap)} and a restart",
        )
    return ok("job memory", f"{size(memory)} for {jobs} jobs, {cap} of them at once")


def log(server: ServerInfo) -> Finding:
    """Does the server's log tell what happened to jobs whose result nobody reads?"""
    level = server.settings["log_min_messages"].value
    prefix = server.settings["log_line_prefix"].value
    # In the order for the server's log, LOG is above ERROR.
    if level in ("log", "fatal", "panic"):
        hidden = "the errors of jobs" if level == "log" else "errors, timeouts and the ends of workers"
        return warn("log", f"log_min_messages = {level} hides {hidden}", "log_min_messages = warning")
    if "%p" not in prefix:
        return warn(
            "log",
            f"log_line_prefix = '{prefix}' lacks the process id, by which a job's lines are found",
            "log_line_prefix = '%m [%p] %q%u@%d '",
        )
    return ok("log", f"log_min_messages = {level}")


def disk(server: ServerInfo) -> Finding | None:
    """May unread output grow as far as its own limit says?"""
    if not server.preloaded:
        return None
    limit = server.amount("temp_file_limit")
    output = server.amount("pg_background.max_result_size")
    if 0 <= limit < output:
        return warn(
            "disk",
            f"temp_file_limit = {size(limit)} ends a job before pg_background.max_result_size = "
            f"{size(output)} does",
            f"temp_file_limit = '{size(output)}', or the other one lower",
        )
    return ok("disk", f"up to {size(output)} of unread output per job")


def timeouts(server: ServerInfo) -> Finding | None:
    """Does a limit that was meant for sessions end jobs, which run under their launcher's settings?"""
    if not server.preloaded:
        return None
    found = [
        f"{name} = {setting.amount / 1000:g} s (from {setting.source})"
        for name in ("statement_timeout", "transaction_timeout", "lock_timeout")
        if (setting := server.settings.get(name)) is not None and setting.amount > 0
    ]
    if found:
        return warn(
            "timeouts",
            f"jobs launched by {server.role} are ended by {', '.join(found)}",
            "set it to 0 before launching, and pg_background.worker_timeout to what a job may take",
        )
    own = server.amount("pg_background.worker_timeout")
    if own:
        return ok("timeouts", f"a job may take {own / 1000:g} s (pg_background.worker_timeout)")
    return ok("timeouts", "none that would end a job")


def state(server: ServerInfo) -> Finding | None:
    """Is there room for more jobs now?"""
    if server.registry is None:
        return None
    jobs = server.amount("pg_background.max_jobs")
    memory = server.amount("pg_background.job_memory")
    found = server.registry
    taken = found.live + found.unread
    text = (
        f"{found.live} running and {found.unread} unread of {jobs} jobs, {found.busy_workers} busy and "
        f"{found.idle_workers} idle workers, {size(found.area_bytes)} of {size(memory)} job memory, "
        f"{size(found.spill_bytes)} on disk"
    )
    fix = "read or detach results, or raise pg_background."
    if taken >= jobs:
        return fail("state", text, f"{fix}max_jobs")
    if taken > _NEARLY * jobs:
        return warn("state", text, f"{fix}max_jobs")
    if found.area_bytes > _NEARLY * memory:
        return warn("state", text, f"{fix}job_memory")
    return ok("state", text)


def sharing(server: ServerInfo) -> Finding | None:
    """Can one of several roles take all workers, entries, memory and disk that jobs have?"""
    if server.sharing is None or server.sharing.roles < 2:
        return None
    text = f"{server.sharing.roles} roles launch jobs"
    if server.sharing.limited:
        return ok("sharing", f"{text}, and there are limits for roles or databases")
    return warn(
        "sharing",
        f"{text}, and nothing keeps one of them from taking all that there is for jobs",
        "ALTER ROLE … SET pg_background.max_role_workers = …, and max_role_jobs, max_role_memory, "
        "max_role_result_size likewise",
    )


LIMITS: Sequence[Callable[[ServerInfo], Finding | None]] = (
    *(slots, job_memory, log, disk, timeouts, sharing, state),
)


def size(count: int) -> str:
    """Write bytes as a setting's value: `64kB`."""
    for unit, factor in (("GB", 1024**3), ("MB", _MB), ("kB", 1024)):
        # Exact, or near enough to be read: a setting takes no fractions.
        if (count % factor == 0 and count) or count >= 10 * factor:
            return f"{round(count / factor)}{unit}"
    return f"{count}B"


def _megabytes(count: int) -> str:
    """Write bytes as a setting's value, rounded up."""
    return f"{-(-count // _MB)}MB"
