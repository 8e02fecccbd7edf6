# Which worker gets a job; starting processes, ahead of need too, and asking idle ones to leave.
#
# A worker serves one exact identity, and of that those jobs to which nothing of earlier ones shows. Its place in the
# registry is taken before the postmaster is asked for the process, and belongs to that process only while the
# generation agrees.

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


cdef int readiness(Worker *worker) noexcept nogil:
    """0: may not be given a job; 3: idle; 2: resets and will soon be idle; 1: started ahead, and has come up: where
    jobs are queued it may be meant for those."""
    if worker.job >= 0:
        return 0
    if worker.state == WORKER_IDLE:
        return 3
    if worker.state == WORKER_RESETTING:
        return 2
    if worker.state == WORKER_STARTING and worker.reserved_for < 0 and worker.pid != 0 and registry.first_in_need < 0:
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


# ---- places

cdef Worker *take_place(Identity *identity, int32_t reserved_for, int limit) noexcept nogil:
    """A free place for a process that is about to be started, or NULL; under the lock."""
    cdef Worker *worker
    cdef int32_t i
    if registry.live_workers >= limit:
        return NULL
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if worker.state == WORKER_FREE:
            worker.state = WORKER_STARTING
            worker.generation += 1
            worker.pid = 0
            worker.proc = NULL
            worker.starter = MyProc
            worker.reserved_for = reserved_for
            worker.identity = identity[0]
            worker.is_fresh = True
            worker.settings = 0
            worker.placeholders = 0
            worker.temp_buffers = 0
            worker.job = -1
            worker.cookie = 0
            worker.cancel_cookie = 0
            worker.terminate_cookie = 0
            worker.since = GetCurrentTimestamp()
            registry.live_workers += 1
            return worker
    return NULL


cdef void free_place(Worker *worker) noexcept nogil:
    """Under the lock."""
    worker.state = WORKER_FREE
    worker.pid = 0
    worker.proc = NULL
    worker.job = -1
    worker.cookie = 0
    worker.reserved_for = -1
    registry.live_workers -= 1


cdef bint free_unstarted_place(Worker *worker, uint32_t generation) noexcept nogil:
    """Free the place of a process that ended, or never came, without checking in; False when it has."""
    cdef bint unstarted
    lock_registry()
    unstarted = worker.generation == generation and worker.state == WORKER_STARTING and worker.pid == 0
    if unstarted:
        free_place(worker)
    unlock_registry()
    return unstarted


# ---- processes

cdef BackgroundWorkerHandle *register_process(Worker *worker) noexcept nogil:
    """Ask the postmaster for the place's process; NULL when all max_worker_processes slots are taken."""
    cdef BackgroundWorker process
    cdef BackgroundWorkerHandle *handle = NULL
    memset(&process, 0, sizeof(process))
    process.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION
    process.bgw_start_time = BgWorkerStart_ConsistentState
    process.bgw_restart_time = BGW_NEVER_RESTART
    snprintf(process.bgw_library_name, BGW_MAXLEN, b"pg_background")
    snprintf(process.bgw_function_name, BGW_MAXLEN, b"pgbg_worker_main")
    snprintf(process.bgw_name, BGW_MAXLEN, b"pg_background worker")
    snprintf(process.bgw_type, BGW_MAXLEN, b"pg_background")
    process.bgw_main_arg = UInt64GetDatum((<uint64_t>worker.generation << 32) | <uint64_t>worker_index(worker))
    process.bgw_notify_pid = MyProcPid
    if not RegisterDynamicBackgroundWorker(&process, &handle):
        return NULL
    return handle


cdef void wait_for_checkin(Start *start) noexcept nogil:
    """Return once the process has checked in, so that from here on its exit callback tells of its death.

    Without that a process that cannot load the library, or is never forked, would take the job with it silently.
    """
    cdef Worker *worker = start.worker
    cdef pid_t pid = 0
    cdef int status
    cdef bint came
    while True:
        # a cancel that has come is the launch's, however fast the process
        CHECK_FOR_INTERRUPTS()
        status = GetBackgroundWorkerPid(start.handle, &pid)
        share_registry()
        # it may have left again
        came = worker.generation != start.generation or worker.state != WORKER_STARTING or worker.pid != 0
        unlock_registry()
        if came:
            return
        if status == BGWH_STOPPED or status == BGWH_POSTMASTER_DIED:
            raise_not_started()
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000, PG_WAIT_EXTENSION)
        ResetLatch(MyLatch)


cdef void release_reservation(void *what) noexcept nogil:
    """Give up the place whose process this backend was starting: the process, if it was asked for, serves anyone."""
    cdef Start *start = <Start *>what
    cdef Worker *worker = start.worker
    cdef Latch *latch = NULL
    cdef pid_t pid = 0
    lock_registry()
    if is_reserved_here(start):
        worker.reserved_for = -1
        if start.handle == NULL:
            free_place(worker)
        elif worker.pid != 0:
            latch = proc_latch(worker.proc)
    unlock_registry()
    if start.handle != NULL and GetBackgroundWorkerPid(start.handle, &pid) == BGWH_STOPPED:
        free_unstarted_place(worker, start.generation)
    if latch != NULL:
        SetLatch(latch)
    # in case the process never comes
    wake_keeper()


cdef inline bint is_reserved_here(Start *start) noexcept nogil:
    """Under the lock."""
    return (start.worker.generation == start.generation and start.worker.state == WORKER_STARTING
            and start.worker.reserved_for == my_proc_number())


cdef enum StartOutcome:
    STARTED = 0
    NO_PLACE                    # pg_background's own limit
    NO_SLOT                     # max_worker_processes


cdef StartOutcome start_reserved_worker(Pending *pending) noexcept nogil:
    """Start a process for this job and wait until it has checked in."""
    cdef Job *job = pending.job
    cdef Start *start = &pending.start
    memset(start, 0, sizeof(Start))
    lock_registry()
    start.worker = take_place(&job.identity, my_proc_number(),
                              most_workers(job.may_take_reserve) - are_others_before(job))
    if start.worker != NULL:
        start.generation = start.worker.generation
        take_hold(&start.hold, release_reservation, start)
    unlock_registry()
    if start.worker == NULL:
        return NO_PLACE
    debug_point("launch_before_register")
    start.handle = register_process(start.worker)
    if start.handle == NULL:
        release_holds(start.hold.outer)
        return NO_SLOT
    debug_point("launch_before_checkin")
    wait_for_checkin(start)
    return STARTED


cdef bint hand_over_reserved(Pending *pending) noexcept nogil:
    """Give the job to the worker reserved for it; False when that one has died in between. One that could not connect
    has ended the job with the reason."""
    cdef Job *job = pending.job
    cdef Start *start = &pending.start
    cdef Latch *latch = NULL
    cdef bint is_over = False
    lock_registry()
    if not is_same_job(job, pending.cookie):
        is_over = True
    elif is_final(job.state):
        is_over = True
        pending.pid = job.pid
    elif is_reserved_here(start):
        latch = give_to_worker(pending, job, start.worker)
    unlock_registry()
    drop_hold(&start.hold)
    pfree(start.handle)
    if latch != NULL:
        SetLatch(latch)
    return is_over or latch != NULL


# ---- eviction

cdef bint ask_one_to_leave() noexcept nogil:
    """Ask the worker that has been idle longest, whomever it serves, to leave; False when none is idle."""
    cdef Worker *worker = NULL
    cdef Latch *latch
    cdef int32_t i
    lock_registry()
    for i in range(registry.workers_size):
        if (registry.workers[i].state == WORKER_IDLE
                and (worker == NULL or registry.workers[i].since < worker.since)):
            worker = &registry.workers[i]
    if worker == NULL:
        unlock_registry()
        return False
    worker.state = WORKER_LEAVING
    latch = proc_latch(worker.proc)
    unlock_registry()
    SetLatch(latch)
    return True


cdef bint is_room_coming(Pending *pending, StartOutcome outcome) noexcept nogil:
    """Whether a worker is on its way out, or left so lately that the postmaster may still hold its slot; or the next
    one that becomes free makes room for this job."""
    cdef Job *job = pending.job
    cdef int32_t i
    cdef bint coming = False
    lock_registry()
    if is_same_job(job, pending.cookie) and job.state == JOB_STARTING and job.worker < 0:
        set_wants_place(job, True)
        coming = is_turn_coming(job)
    for i in range(registry.workers_size):
        # one that resets or starts ahead will be idle soon, and can be evicted then
        if (registry.workers[i].state == WORKER_LEAVING or registry.workers[i].state == WORKER_RESETTING
                or (registry.workers[i].state == WORKER_STARTING and registry.workers[i].reserved_for < 0)):
            coming = True
    if outcome == NO_PLACE and registry.live_workers < most_workers(job.may_take_reserve):
        # it is kept for a queued job, which may be content with less
        coming = True
    if (outcome == NO_SLOT and registry.last_exit != 0
            and TimestampDifferenceMilliseconds(registry.last_exit, GetCurrentTimestamp()) < 100):
        coming = True
    unlock_registry()
    return coming


cdef bint assign_idle_worker(Pending *pending) noexcept nogil:
    """A second look for an idle worker: one may have become free while this launch waited."""
    cdef Latch *latch
    lock_registry()
    latch = give_to_worker(pending, pending.job, choose_idle_worker(pending.job))
    unlock_registry()
    if latch != NULL:
        SetLatch(latch)
    return latch != NULL


cdef void assign_fresh_worker(Pending *pending) noexcept nogil:
    """Find a worker for a job that no idle one took: a fresh process, if need be in place of an idle one that
    cannot take it. Raises 53400 at the server's cap, 53000 when the postmaster has no slot."""
    cdef TimestampTz began = GetCurrentTimestamp()
    cdef StartOutcome outcome
    cdef long waited
    while True:
        outcome = start_reserved_worker(pending)
        if outcome == STARTED and hand_over_reserved(pending):
            return
        if assign_idle_worker(pending):
            return
        waited = TimestampDifferenceMilliseconds(began, GetCurrentTimestamp())
        if waited >= EVICT_MS or not (is_room_coming(pending, outcome) or ask_one_to_leave()):
            break
        ConditionVariablePrepareToSleep(&registry.worker_left)
        # short: the postmaster frees its slot a little later than the worker its place, and tells nobody
        ConditionVariableTimedSleep(&registry.worker_left, 5, PG_WAIT_EXTENSION)
        ConditionVariableCancelSleep()
        CHECK_FOR_INTERRUPTS()
    if outcome == STARTED:
        raise_not_started()
    raise_no_worker(outcome, pending.launch)


cdef void raise_not_started() noexcept nogil:
    """Raise 53000: the process ended before it had checked in."""
    raise_with_hint(ERRCODE_INSUFFICIENT_RESOURCES, b"More details may be available in the server log.",
                    b"could not start background process")


cdef void raise_no_worker(StartOutcome outcome, Launch *launch) noexcept nogil:
    """Raise 53400 where the cap on workers is reached, 53000 where the postmaster has no slot or the process did not
    start."""
    if outcome == NO_PLACE and setting_reserved_workers > 0 and not launch.may_take_reserve:
        raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                          psprintf(b"pg_background.max_total_workers is %d, pg_background.reserved_workers %d.",
                                   total_worker_limit(), setting_reserved_workers),
                          b"Wait for a job to finish, or increase pg_background.max_total_workers.",
                          b"too many background workers in the server")
    if outcome == NO_PLACE:
        raise_with_hint(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                        b"Wait for a job to finish, or increase pg_background.max_total_workers.",
                        b"too many background workers in the server")
    raise_with_hint(ERRCODE_INSUFFICIENT_RESOURCES,
                    b"You may need to increase max_worker_processes.",
                    b"could not register background process")


cdef bint assign_fresh_if_free(Pending *pending) noexcept nogil:
    """One look for a fresh worker; False when there is none to be had at once."""
    return start_reserved_worker(pending) == STARTED and hand_over_reserved(pending)
