# A fresh process for the job of a launch, and the room for it: by asking an idle worker to leave, or by waiting for
# this role's turn.

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
        # no other worker is to leave for it
        set_wants_place(job, False)
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


# ---- room

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
    worker.since = GetCurrentTimestamp()
    latch = proc_latch(worker.proc)
    unlock_registry()
    SetLatch(latch)
    return True


cdef bint is_room_near(StartOutcome outcome) noexcept nogil:
    """Whether a worker is on its way out, or left so lately that the postmaster may still hold its slot: nobody else is
    to be asked to leave. One that takes long to leave may never do, as when it waits for a lock."""
    cdef int32_t i
    cdef bint near
    share_registry()
    near = (outcome == NO_SLOT and registry.last_exit != 0
            and TimestampDifferenceMilliseconds(registry.last_exit, GetCurrentTimestamp()) < 100)
    for i in range(registry.workers_size):
        if registry.workers[i].state == WORKER_LEAVING and is_recent(&registry.workers[i]):
            near = True
    unlock_registry()
    return near


cdef bint is_room_coming(Pending *pending, StartOutcome outcome) noexcept nogil:
    """Whether a worker will soon be idle, so that it can be asked to leave, or will make room for this job as it
    becomes free, or a place is kept for a queued job, which may be content with less."""
    cdef Job *job = pending.job
    cdef Worker *worker
    cdef int32_t i
    cdef bint coming = False
    lock_registry()
    if is_same_job(job, pending.cookie) and job.state == JOB_STARTING and job.worker < 0:
        set_wants_place(job, True)
        coming = is_turn_coming(job)
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        # also one that takes long to reset: this launch waits for as long as for a worker that leaves
        if is_coming(worker):
            coming = True
    if outcome == NO_PLACE and registry.live_workers < most_workers(job.may_take_reserve):
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


cdef bint is_one_starting(Job *job) noexcept nogil:
    """Whether a process that was started ahead, and can take the job, is still to come. It is waited for as long as
    for one of this launch's own."""
    cdef Worker *worker
    cdef int32_t i
    cdef bint starting = False
    share_registry()
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if is_started_for_any(worker) and fits(worker, job):
            starting = True
    unlock_registry()
    return starting


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
        if waited >= EVICT_MS and not is_one_starting(pending.job):
            break
        if not is_room_near(outcome) and not ask_one_to_leave() and not is_room_coming(pending, outcome):
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
    cdef char *detail = NULL
    if outcome == NO_PLACE:
        if setting_reserved_workers > 0 and not launch.may_take_reserve:
            detail = psprintf(b"pg_background.max_total_workers is %d, pg_background.reserved_workers %d.",
                              total_worker_limit(), setting_reserved_workers)
        raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, detail,
                          b"Wait for a job to finish, or increase pg_background.max_total_workers.",
                          b"too many background workers in the server")
    raise_with_hint(ERRCODE_INSUFFICIENT_RESOURCES,
                    b"You may need to increase max_worker_processes.",
                    b"could not register background process")


cdef bint assign_fresh_if_free(Pending *pending) noexcept nogil:
    """One look for a fresh worker; False when there is none to be had at once."""
    return start_reserved_worker(pending) == STARTED and hand_over_reserved(pending)
