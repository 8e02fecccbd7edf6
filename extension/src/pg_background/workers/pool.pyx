# Which worker gets a job. A worker serves one exact identity, and of that those jobs to which nothing of earlier ones
# shows.

cdef enum OnFull:
    FULL_IS_ERROR = 0
    FULL_WAITS                  # the call waits for a worker
    FULL_QUEUES                 # the job waits for a worker


cdef struct Start:
    # a process that was, or is to be, asked for
    Hold hold                   # of its place, where that is reserved for a launch
    Worker *worker              # NULL: there is no place
    uint32_t generation
    BackgroundWorkerHandle *handle      # NULL: the postmaster has no slot, or was not asked


cdef struct Pending:
    # a launch in hand
    Hold hold                   # of the job, while it has no worker
    Start start
    ShownWait wait
    Launch *launch
    Job *job                    # once a worker has it, it may end, and the entry be reused
    uint64_t cookie
    int32_t pid                 # of the worker that got it, 0 while none has


cdef bint fits(Worker *worker, Job *job) noexcept nogil:
    """Whether it may take the job; the last word has take_over."""
    if not is_same_identity(&worker.identity, &job.identity):
        return False
    if worker.is_fresh:
        return True
    if job.needs_fresh or (worker.placeholders != 0 and worker.placeholders != job.placeholders):
        return False
    return worker.temp_buffers == 0 or worker.settings == job.settings or (
        worker.temp_buffers == job.temp_buffers and job.temp_buffers == TEMP_BUFFERS_AT_BOOT)


cdef bint are_alike(Job *a, Job *b) noexcept nogil:
    """Whether the same workers fit both; where these have fixed temp_buffers it may turn out otherwise."""
    return (is_same_identity(&a.identity, &b.identity) and a.needs_fresh == b.needs_fresh
            and a.placeholders == b.placeholders and a.temp_buffers == b.temp_buffers)


cdef inline bint is_recent(Worker *worker) noexcept nogil:
    """Whether its state began a moment ago. One that takes longer to reset or to leave may wait for somebody's lock,
    as to drop a temporary table."""
    return TimestampDifferenceMilliseconds(worker.since, GetCurrentTimestamp()) < 100


cdef inline bint is_stuck(Worker *worker) noexcept nogil:
    """Whether it has had no job for a while, and is neither idle nor gone: it takes its place all the same."""
    return (worker.state == WORKER_RESETTING or worker.state == WORKER_LEAVING) and not is_recent(worker)


cdef int stuck_workers(Oid owner, bint is_database) noexcept nogil:
    """Those of this login role, or in this database; under the lock."""
    cdef Worker *worker
    cdef int32_t i
    cdef int count = 0
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        count += ((worker.identity.database if is_database else worker.identity.login) == owner
                  and is_stuck(worker))
    return count


cdef bint has_all_workers(int32_t running, int32_t limit, Oid owner, bint is_database) noexcept nogil:
    """Whether jobs that run and stuck processes have reached the limit of this login role, or database; under the
    lock."""
    return limit > 0 and is_reached(running + stuck_workers(owner, is_database), limit)


cdef bint is_any_stuck() noexcept nogil:
    """Under the lock."""
    cdef int32_t i
    for i in range(registry.workers_size):
        if is_stuck(&registry.workers[i]):
            return True
    return False


cdef inline bint is_started_for_any(Worker *worker) noexcept nogil:
    """Whether it is still to come, for whichever job needs it then."""
    return worker.state == WORKER_STARTING and worker.reserved_for < 0


cdef int readiness(Worker *worker) noexcept nogil:
    """0: may not be given a job; 3: idle; 2: resets and will soon be idle; 1: started ahead, and has come up: where
    jobs are queued it may be meant for those."""
    if worker.job >= 0:
        return 0
    if worker.state == WORKER_IDLE:
        return 3
    if worker.state == WORKER_RESETTING and is_recent(worker):
        return 2
    if is_started_for_any(worker) and worker.pid != 0 and registry.first_in_need < 0:
        return 1
    return 0


cdef Worker *choose_idle_worker(Job *job) noexcept nogil:
    """The worker that will begin this job soonest, best with the same settings, or NULL; under the lock."""
    cdef Worker *best = NULL
    cdef Worker *worker
    cdef int32_t i
    cdef int rank
    cdef int best_rank = 0
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if not fits(worker, job) or is_pinned(worker):
            continue
        rank = readiness(worker)
        if rank > 0 and worker.settings == job.settings:
            rank += 2
        if rank > best_rank:
            best = worker
            best_rank = rank
            if rank == 5:
                break
    return best


cdef void assign(Job *job, Worker *worker) noexcept nogil:
    """Make the job the worker's; under the lock."""
    set_wants_place(job, False)
    registry.turns += 1
    role_usage(job).turn = registry.turns
    if worker.is_fresh:
        worker.serves_since = GetCurrentTimestamp()
    worker.state = WORKER_ASSIGNED
    worker.reserved_for = -1
    worker.job = job_index(job)
    worker.cookie = job.cookie
    worker.cancel_cookie = job.cookie if job.canceled else 0
    worker.terminate_cookie = 0
    job.worker = worker_index(worker)
    if job.pid == 0:
        job.pid = worker.pid


cdef Latch *give_to_worker(Pending *pending, Job *job, Worker *worker) noexcept nogil:
    """Assign the job of a launch; under the lock. Returns the latch to be set once that is free, as the worker may have
    ended by then, and its place have no process; NULL where there is no worker."""
    if worker == NULL:
        pending.pid = 0
        return NULL
    assign(job, worker)
    pending.pid = worker.pid
    return proc_latch(worker.proc)


cdef bint want_another(Job *job, Worker *taken) noexcept nogil:
    """Note a request to the keeper when the last idle worker was taken, and places are left for it."""
    cdef int32_t i
    if setting_worker_idle_timeout == 0 or job.needs_fresh or registry.ahead_count >= AHEAD_REQUESTS:
        return False
    if most_ahead() - registry.live_workers <= (0 if taken != NULL else 1):
        return False
    for i in range(registry.workers_size):
        if (&registry.workers[i] != taken and fits(&registry.workers[i], job)
                and (readiness(&registry.workers[i]) > 0 or registry.workers[i].state == WORKER_STARTING)):
            return False
    for i in range(registry.ahead_count):
        if is_same_identity(&registry.ahead[i], &job.identity):
            return False
    registry.ahead[registry.ahead_count] = job.identity
    registry.ahead_count += 1
    return True
