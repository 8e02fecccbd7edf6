# The backlog: jobs that wait for a worker, first come first served. A worker that becomes free takes the first that it
# can; the keeper starts processes for the others, and makes room for them. Their handles work all the while.
#
# A job may begin while its session runs fewer jobs than pg_background.max_workers allowed at its launch.

cdef enum:
    BACKLOG_POLL_MS = 100       # the postmaster tells nobody when a slot becomes free
    BACKLOG_PAUSE_MS = 1000

cdef enum Turn:
    NO_TURN = 0                 # nothing waits for this worker
    TURN_TAKEN                  # it has the next job
    TURN_OF_ANOTHER             # its place is needed for a job that it cannot take


cdef inline int32_t queued_pid(Job *job) noexcept nogil:
    """What stands for a pid in the handle of a job that has no process yet: minus the number of its entry."""
    return -(job_index(job) + 1)


cdef void put_in_backlog(Job *job, int32_t previous, int32_t next) noexcept nogil:
    """Between these two, of which -1 stands for an end of the line; under the lock."""
    cdef int32_t i = job_index(job)
    job.state = JOB_QUEUED
    job.previous = previous
    job.next = next
    if previous >= 0:
        registry.jobs[previous].next = i
    else:
        registry.backlog_head = i
    if next >= 0:
        registry.jobs[next].previous = i
    else:
        registry.backlog_tail = i
    registry.backlog_size += 1


cdef void join_backlog(Job *job) noexcept nogil:
    """Under the lock; the job has no worker and is not counted among those that its session runs."""
    job.pid = queued_pid(job)
    put_in_backlog(job, registry.backlog_tail, -1)


cdef void return_to_backlog(Job *job) noexcept nogil:
    """Before all others goes a job whose worker ended before it had begun; under the lock."""
    cdef Session *session = &registry.sessions[job.session]
    job.worker = -1
    job.started_at = 0
    put_in_backlog(job, -1, registry.backlog_head)
    if session.id == job.session_id:
        session.active -= 1


cdef void leave_backlog(Job *job) noexcept nogil:
    """Under the lock; the caller gives the job its next state."""
    if job.previous >= 0:
        registry.jobs[job.previous].next = job.next
    else:
        registry.backlog_head = job.next
    if job.next >= 0:
        registry.jobs[job.next].previous = job.previous
    else:
        registry.backlog_tail = job.previous
    registry.backlog_size -= 1


cdef bint is_in_backlog(Job *job, uint64_t cookie) noexcept nogil:
    """Whether it was put there, even if a worker has it already."""
    cdef bint queued
    share_registry()
    queued = not is_same_job(job, cookie) or job.pid < 0
    unlock_registry()
    return queued


cdef void raise_session_limit() noexcept nogil:
    """Raise 53400."""
    raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                      psprintf(b"This session runs %d jobs; pg_background.max_workers is %d.",
                               my_session.active, setting_max_workers),
                      b"Wait for a job to finish, or increase pg_background.max_workers.",
                      b"too many background workers")


cdef void enter_backlog(Job *job) noexcept nogil:
    """Put a job there that this backend has looked for a worker for."""
    lock_registry()
    my_session.active -= 1
    join_backlog(job)
    unlock_registry()


cdef struct Load:
    uint64_t session_id
    int32_t jobs


cdef bint may_begin(Job *job, Load *load) noexcept nogil:
    """Whether its session's limit lets it; `load` remembers the count for the next job of the same session, and begins
    as zeros. Under the lock."""
    cdef Worker *worker
    cdef int32_t i
    if load.session_id != job.session_id:
        load.session_id = job.session_id
        load.jobs = 0
        for i in range(registry.workers_size):
            worker = &registry.workers[i]
            if worker.state != WORKER_FREE and worker.job >= 0:
                load.jobs += registry.jobs[worker.job].session_id == job.session_id
    return load.jobs < job.session_limit


cdef void begin_queued(Job *job, Worker *worker) noexcept nogil:
    """Give it to the worker; under the lock."""
    cdef Session *session = &registry.sessions[job.session]
    leave_backlog(job)
    job.state = JOB_STARTING
    if session.id == job.session_id:
        session.active += 1
    assign(job, worker)


# ---- which processes come anyway

cdef struct Kind:
    Job *first
    int wanted                  # jobs that may begin in the same processes as that one


cdef struct Kinds:
    int count
    Kind kind[32]               # of the first in line; the others' turn comes when those are served


cdef int coming_workers(Kind *kind) noexcept nogil:
    """Processes that will take a job of this kind without being asked; under the lock."""
    cdef Worker *worker
    cdef int32_t i
    cdef int count = 0
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if worker.job >= 0 or not fits(worker, kind.first):
            continue
        if (worker.state == WORKER_RESETTING
                or (worker.state == WORKER_STARTING and worker.reserved_for < 0)):
            count += 1
    return count


cdef bint is_provided_for(Kinds *kinds, Job *job) noexcept nogil:
    """Whether a process comes that will take this job, given those before it in line; under the lock."""
    cdef Kind *kind = NULL
    cdef int i
    for i in range(kinds.count):
        if are_alike(kinds.kind[i].first, job):
            kind = &kinds.kind[i]
    if kind == NULL:
        if kinds.count == 32:
            return True
        kind = &kinds.kind[kinds.count]
        kinds.count += 1
        kind.first = job
        kind.wanted = 0
    kind.wanted += 1
    return kind.wanted <= coming_workers(kind)


# ---- turns

cdef Turn take_turn(Worker *worker) noexcept nogil:
    """What a worker that has become free is to do; under the lock.

    While there is no place left, it goes for the sake of the first in line that it does not serve: others' jobs must
    not keep that one waiting for ever.
    """
    cdef Load load
    cdef Kinds kinds
    cdef Job *job
    cdef bint is_full
    cdef int32_t i = registry.backlog_head
    if i < 0:
        return NO_TURN
    is_full = registry.live_workers >= total_worker_limit() or registry.backlog_unserved > 0
    memset(&load, 0, sizeof(load))
    kinds.count = 0
    while i >= 0:
        job = &registry.jobs[i]
        i = job.next
        if not may_begin(job, &load):
            continue
        if fits(worker, job):
            begin_queued(job, worker)
            return TURN_TAKEN
        if is_full and not is_provided_for(&kinds, job):
            return TURN_OF_ANOTHER
    return NO_TURN


cdef void end_without_worker(Job *job, int state, int32_t sqlstate, const char *message,
                             Garbage *garbage) noexcept nogil:
    """End a job that no worker has; under the lock. The caller wakes its waiters and disposes of the garbage."""
    if job.state == JOB_QUEUED:
        leave_backlog(job)
    end_job(job, state, sqlstate)
    snprintf(job.message, MESSAGE_BYTES, b"%s", message)
    settle(job, garbage)


cdef Job *fail_first_in_line(Worker *worker, int32_t sqlstate, const char *message, Garbage *garbage) noexcept nogil:
    """End the job for which a process was started that could not connect, or NULL; under the lock.

    Otherwise processes would be started for it for ever, as when its database was dropped meanwhile.
    """
    cdef int32_t i = registry.backlog_head
    while i >= 0:
        if fits(worker, &registry.jobs[i]):
            end_without_worker(&registry.jobs[i], JOB_ERROR, sqlstate, message, garbage)
            return &registry.jobs[i]
        i = registry.jobs[i].next
    return NULL


# ---- the launch that waits

cdef bint is_queued(Job *job, uint64_t cookie) noexcept nogil:
    """Whether it still waits for a worker; takes the lock."""
    cdef bint queued
    share_registry()
    queued = is_same_job(job, cookie) and job.state == JOB_QUEUED
    unlock_registry()
    return queued


cdef void wait_for_worker(Pending *pending) noexcept nogil:
    """Return once a worker has the job; raises like a launch that does not wait when the time is up."""
    cdef Job *job = pending.job
    cdef int32_t timeout = pending.launch.timeout
    cdef TimestampTz start = GetCurrentTimestamp()
    cdef long left
    cdef long nap
    cdef bint over_limit
    start_waiting(&pending.wait, job, pending.cookie)
    ConditionVariablePrepareToSleep(&job.changed)
    while is_queued(job, pending.cookie):
        nap = DeadlockTimeout
        if timeout > 0:
            left = timeout - TimestampDifferenceMilliseconds(start, GetCurrentTimestamp())
            if left <= 0:
                share_registry()
                over_limit = my_session.active >= setting_max_workers
                unlock_registry()
                if over_limit:
                    raise_session_limit()
                raise_no_worker(NO_PLACE if registry.live_workers >= total_worker_limit() else NO_SLOT)
            nap = left if left < nap else nap
        if ConditionVariableTimedSleep(&job.changed, nap, PG_WAIT_EXTENSION) and nap == DeadlockTimeout:
            ConditionVariableCancelSleep()
            check_deadlock()
            ConditionVariablePrepareToSleep(&job.changed)
    ConditionVariableCancelSleep()
    release_holds(pending.wait.hold.outer)


# ---- the keeper's part

cdef int place_for_backlog(Start *start) noexcept nogil:
    """Hand jobs to idle workers, and take a place for the first in line that none comes for; returns how many are
    left without."""
    cdef Kinds kinds
    cdef Load load
    cdef Job *job
    cdef Worker *worker
    cdef int left = 0
    cdef int32_t i
    cdef int most = total_worker_limit()
    start.worker = NULL
    memset(&load, 0, sizeof(load))
    kinds.count = 0
    lock_registry()
    i = registry.backlog_head
    while i >= 0 and left < most:
        job = &registry.jobs[i]
        i = job.next
        if not may_begin(job, &load):
            continue
        load.jobs += 1
        worker = choose_idle_worker(job)
        if worker != NULL:
            begin_queued(job, worker)
            SetLatch(proc_latch(worker.proc))
            continue
        if is_provided_for(&kinds, job):
            continue
        if start.worker == NULL:
            start.worker = take_place(&job.identity, -1, most)
            if start.worker != NULL:
                start.generation = start.worker.generation
                continue
        left += 1
        if start.worker == NULL:
            # nothing is to be had for those behind it either
            break
    registry.backlog_unserved = left if start.worker == NULL else 0
    unlock_registry()
    return left


cdef long serve_backlog() noexcept nogil:
    """Start a process for each job that waits for one, in place of idle ones if need be; returns milliseconds until
    the next look is due, or -1."""
    cdef Start start
    cdef int left = 1
    if registry.backlog_size == 0:
        registry.backlog_unserved = 0
        return -1
    if registry.backlog_pause > GetCurrentTimestamp():
        return BACKLOG_POLL_MS
    while left > 0 and keeper_starts_count < KEEPER_STARTS:
        left = place_for_backlog(&start)
        if start.worker == NULL:
            if left > 0:
                ask_one_to_leave()
            break
        start.handle = register_process(start.worker)
        if start.handle == NULL:
            free_unstarted_place(start.worker, start.generation)
            lock_registry()
            registry.backlog_unserved = 1
            unlock_registry()
            ask_one_to_leave()
            break
        watch_start(&start)
    return BACKLOG_POLL_MS


cdef void pause_backlog() noexcept nogil:
    """Processes fail before they can take a job: don't start hundreds a second."""
    registry.backlog_pause = GetCurrentTimestamp() + BACKLOG_PAUSE_MS * 1000
