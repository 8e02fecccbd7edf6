# What a queued job waits for, in the search for waits that can never end: workers, any of which will do.

cdef enum:
    FOR_ANY_WORKER = -1         # instead of a pid: when there are no more places
    FOR_SESSION = -2            # ... and lower, by the session's place: when its session runs as many as it may
    LINE_STEPS = 64             # lines looked at; those behind are taken for free to go on


cdef inline int32_t for_usage() noexcept nogil:
    """... and lower, by the place of what its role, or its database, uses: when that runs as many as it may."""
    return FOR_SESSION - registry.sessions_size


cdef inline int32_t for_kind() noexcept nogil:
    """... and lower, by the entry of the first in line that is like it: when processes come for it."""
    return for_usage() - registry.usages_size


cdef int32_t pid_waited_for(int32_t index, uint64_t cookie) noexcept nogil:
    """The process that runs this job, what stands for one while it is queued, or 0; under the lock."""
    cdef Job *job = &registry.jobs[index]
    if not is_same_job(job, cookie) or job.state != JOB_QUEUED:
        return pid_that_runs(index, cookie)
    if running_of_session(job) >= job.session_limit:
        return FOR_SESSION - job.session
    if is_reached(role_usage(job).running, job.role_limits.workers):
        return for_usage() - job.role_usage
    if is_reached(database_usage(job).running, job.database_limits.workers):
        return for_usage() - job.database_usage
    if is_place_missing(job.may_take_reserve):
        return FOR_ANY_WORKER
    index = first_of_its_kind(job)
    return 0 if index < 0 else for_kind() - index


cdef int32_t first_of_its_kind(Job *job) noexcept nogil:
    """The entry of the first of a line that the same workers fit, or -1 when that is far behind; under the lock."""
    cdef Job *first = first_of_line(role_usage(job).first_group)
    cdef int _steps
    for _steps in range(LINE_STEPS):
        if first == NULL:
            return -1
        if are_alike(first, job):
            return job_index(first)
        first = line_of_role_after(first)
    return -1


cdef bint is_able_to_take(Worker *worker, int64_t pid) noexcept nogil:
    """Whether the queued jobs that `pid` stands for may wait for this process; under the lock."""
    if worker.state == WORKER_FREE:
        return False
    if pid == FOR_ANY_WORKER:
        # another's may go for its sake
        return True
    if pid > for_usage():
        return worker.job >= 0 and registry.jobs[worker.job].session == FOR_SESSION - pid
    if pid > for_kind():
        return worker.job >= 0 and (registry.jobs[worker.job].role_usage == for_usage() - pid
                                    or registry.jobs[worker.job].database_usage == for_usage() - pid)
    return worker.reserved_for < 0 and fits(worker, &registry.jobs[for_kind() - pid])


cdef bint is_served_soon(int64_t pid) noexcept nogil:
    """Whether there is room for another process, which the keeper starts; under the lock."""
    cdef Job *first
    if pid == FOR_ANY_WORKER:
        return not is_place_missing(False)
    if pid > for_kind():
        return False
    first = &registry.jobs[for_kind() - pid]
    return first.cookie == 0 or first.state != JOB_QUEUED or is_short_of_workers(first)


cdef void add_workers_waited_for(WaitGraph *graph, Waiter *waiter) noexcept nogil:
    """Those of which one must go on before a queued job can begin; none where one will soon have it."""
    cdef Worker *worker
    cdef int32_t i
    waiter.needs_all = False
    reserve_edges(graph, registry.workers_size)
    share_registry()
    if not is_served_soon(waiter.pid):
        for i in range(registry.workers_size):
            worker = &registry.workers[i]
            if not is_able_to_take(worker, waiter.pid):
                continue
            if worker.pid == 0:
                # on its way
                drop_edges(graph, waiter)
                break
            add_edge(graph, waiter, worker.pid)
    unlock_registry()
