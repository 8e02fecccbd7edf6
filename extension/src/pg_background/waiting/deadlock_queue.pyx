# What a queued job waits for, in the search for waits that can never end: workers, any of which will do.

cdef enum:
    FOR_ANY_WORKER = -1         # instead of a pid: when there are no more places
    FOR_SESSION = -2            # ... and lower, by the session's place: when its session runs as many as it may
    LINE_STEPS = 64             # how far a look at the line goes; those behind are taken for free to go on


cdef inline int32_t for_kind() noexcept nogil:
    """... and lower, by the entry of the first in line that is like it: when processes come for it."""
    return FOR_SESSION - registry.sessions_size


cdef int32_t pid_waited_for(int32_t index, uint64_t cookie, Load *load) noexcept nogil:
    """The process that runs this job, what stands for one while it is queued, or 0; `load` as in may_begin. Under the
    lock."""
    cdef Job *job = &registry.jobs[index]
    if not is_same_job(job, cookie) or job.state != JOB_QUEUED:
        return pid_that_runs(index, cookie)
    if not may_begin(job, load):
        return FOR_SESSION - job.session
    if registry.backlog_unserved > 0 or registry.live_workers >= total_worker_limit():
        return FOR_ANY_WORKER
    index = first_of_its_kind(job)
    return 0 if index < 0 else for_kind() - index


cdef int32_t first_of_its_kind(Job *job) noexcept nogil:
    """The entry of the first in line that the same workers fit, or -1 when that is far behind; under the lock."""
    cdef int32_t i = registry.backlog_head
    cdef int _steps
    for _steps in range(LINE_STEPS):
        if i < 0 or are_alike(&registry.jobs[i], job):
            return i
        i = registry.jobs[i].next
    return -1


cdef bint is_kind_provided_for(Job *first) noexcept nogil:
    """Whether so many processes come for jobs like this one that the keeper starts no more; under the lock."""
    cdef Load load
    cdef Kinds kinds
    cdef int32_t i = registry.backlog_head
    cdef int _steps
    memset(&load, 0, sizeof(load))
    kinds.count = 0
    for _steps in range(LINE_STEPS):
        if i < 0:
            return True
        if may_begin(&registry.jobs[i], &load):
            load.jobs += 1
            if are_alike(&registry.jobs[i], first) and not is_provided_for(&kinds, &registry.jobs[i]):
                return False
        i = registry.jobs[i].next
    return False


cdef bint is_able_to_take(Worker *worker, int32_t pid) noexcept nogil:
    """Whether the queued jobs that `pid` stands for may wait for this process; under the lock."""
    if worker.state == WORKER_FREE:
        return False
    if pid == FOR_ANY_WORKER:
        # another's may go for its sake
        return True
    if pid > for_kind():
        return worker.job >= 0 and registry.jobs[worker.job].session == FOR_SESSION - pid
    return worker.reserved_for < 0 and fits(worker, &registry.jobs[for_kind() - pid])


cdef bint is_served_soon(int32_t pid) noexcept nogil:
    """Whether there is room for another process, which the keeper starts; under the lock."""
    cdef Job *first
    if pid == FOR_ANY_WORKER:
        return registry.backlog_unserved == 0 and registry.live_workers < total_worker_limit()
    if pid > for_kind():
        return False
    first = &registry.jobs[for_kind() - pid]
    return first.cookie == 0 or first.state != JOB_QUEUED or not is_kind_provided_for(first)


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
