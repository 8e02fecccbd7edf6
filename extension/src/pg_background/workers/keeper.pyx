# The keeper: one process without a database that starts workers for queued jobs and ahead of need, ends the retention
# of unread results, and frees places whose process never came. Nobody's fast path waits for it.

cdef enum:
    KEEPER_STARTS = 32          # processes it watches until they have checked in
    MAX_SLEEP_MS = 3600000

cdef TimestampTz expiry_due         # when the next result is, as the last look at all has seen; 0: none
cdef int expiry_retention           # ... with this pg_background.result_retention
cdef Start keeper_starts[KEEPER_STARTS]
cdef int keeper_starts_count


cdef void keeper_exit(int code, Datum arg) noexcept nogil:
    """Exit callback; the postmaster starts another keeper after a second."""
    registry.keeper = NULL


cdef void start_ahead_workers() noexcept nogil:
    """Serve the requests of launches that took the last idle worker; the last free places stay free."""
    cdef Identity request
    cdef Start start
    while True:
        lock_registry()
        if registry.ahead_count == 0:
            unlock_registry()
            return
        registry.ahead_count -= 1
        request = registry.ahead[registry.ahead_count]
        start.worker = NULL
        if keeper_starts_count < KEEPER_STARTS:
            start.worker = take_place(&request, -1, most_ahead())
        if start.worker != NULL:
            start.generation = start.worker.generation
        unlock_registry()
        if start.worker == NULL:
            continue
        start.handle = register_process(start.worker)
        if start.handle == NULL:
            free_unstarted_place(start.worker, start.generation)
            continue
        watch_start(&start)


cdef void watch_start(Start *start) noexcept nogil:
    """Keep the handle of a process that was asked for; the caller has seen that there is room for it."""
    global keeper_starts_count
    keeper_starts[keeper_starts_count] = start[0]
    keeper_starts_count += 1


cdef void check_starts() noexcept nogil:
    """Forget processes that have checked in, free the places of those that ended before."""
    global keeper_starts_count
    cdef int i = 0
    cdef pid_t pid = 0
    cdef Start *start
    cdef bint watched
    while i < keeper_starts_count:
        start = &keeper_starts[i]
        share_registry()
        # not one that has left again, or whose place is free because it never came
        watched = (start.worker.generation == start.generation and start.worker.state == WORKER_STARTING
                   and start.worker.pid == 0)
        unlock_registry()
        if watched and GetBackgroundWorkerPid(start.handle, &pid) == BGWH_STOPPED:
            # it may have come and gone since the look before
            if free_unstarted_place(start.worker, start.generation):
                debug_point("keeper_before_pause")
                pause_backlog()
            watched = False
        if watched:
            i += 1
            continue
        pfree(start.handle)
        keeper_starts_count -= 1
        keeper_starts[i] = keeper_starts[keeper_starts_count]


cdef long expire_results() noexcept nogil:
    """Detach unread results past their retention; returns milliseconds until the next one is due, or -1.

    All entries are looked at only where one is due, or may be due sooner than the last look has seen.
    """
    global expiry_due, expiry_retention
    cdef TimestampTz now = GetCurrentTimestamp()
    cdef long next_due = -1
    if registry.has_orphans or expiry_retention != setting_result_retention or 0 < expiry_due <= now:
        # before the look: what comes meanwhile is for the next one
        registry.has_orphans = False
        pg_memory_barrier()
        expiry_retention = setting_result_retention
        next_due = expire_due_results(now)
        expiry_due = now + <TimestampTz>next_due * 1000 if next_due >= 0 else 0
    elif expiry_due > 0:
        next_due = <long>((expiry_due - now) // 1000)
    return next_due


cdef long expire_due_results(TimestampTz now) noexcept nogil:
    """The look at all entries; returns as above."""
    cdef Garbage garbage
    cdef Job *job
    cdef int32_t i
    cdef long left
    cdef long next_due = -1
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        if registry.cookies[i] == 0 or job.orphaned_at == 0:
            continue
        memset(&garbage, 0, sizeof(garbage))
        lock_registry()
        if (job.cookie != 0 and job.tracked and not job.submitted and is_final(job.state)
                and job.orphaned_at != 0 and job.reader == READER_NONE):
            left = <long>((job.orphaned_at - now) // 1000) + <long>setting_result_retention * 1000
            if left <= 0:
                forget_job(job, &garbage)
            elif next_due < 0 or left < next_due:
                next_due = left
        unlock_registry()
        dispose(&garbage)
    return next_due


cdef long free_lost_places() noexcept nogil:
    """Free places whose process has not come for a minute, as when its starter died and the fork failed;
    returns milliseconds until the next look is due, or -1."""
    cdef TimestampTz now = GetCurrentTimestamp()
    cdef Worker *worker
    cdef int32_t i
    cdef long left
    cdef long next_due = -1
    lock_registry()
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if worker.state != WORKER_STARTING or worker.pid != 0:
            continue
        left = CHECKIN_MS - TimestampDifferenceMilliseconds(worker.since, now)
        if left <= 0:
            free_place(worker)
        elif next_due < 0 or left < next_due:
            next_due = left
    unlock_registry()
    return next_due


cdef void register_keeper() noexcept nogil:
    """Called by _PG_init, in the postmaster."""
    cdef BackgroundWorker process
    memset(&process, 0, sizeof(process))
    process.bgw_flags = BGWORKER_SHMEM_ACCESS
    process.bgw_start_time = BgWorkerStart_PostmasterStart
    process.bgw_restart_time = 1
    snprintf(process.bgw_library_name, BGW_MAXLEN, b"pg_background")
    snprintf(process.bgw_function_name, BGW_MAXLEN, b"pgbg_keeper_main")
    snprintf(process.bgw_name, BGW_MAXLEN, b"pg_background keeper")
    snprintf(process.bgw_type, BGW_MAXLEN, b"pg_background keeper")
    RegisterBackgroundWorker(&process)


cdef public void pgbg_keeper_main(Datum main_arg) noexcept nogil:
    """Entry of the keeper process, for the postmaster; it has no database, and an error ends it."""
    global ConfigReloadPending
    cdef long timeout
    cdef int events
    pqsignal(SIGTERM, die)
    pqsignal(SIGHUP, SignalHandlerForConfigReload)
    # the postmaster's word that a process it was asked for has come or gone; ignored without a database
    pqsignal(SIGUSR1, procsignal_sigusr1_handler)
    BackgroundWorkerUnblockSignals()
    attach_area()
    before_shmem_exit(keeper_exit, 0)
    MemoryContextSwitchTo(TopMemoryContext)
    registry.keeper = MyProc
    # the keeper before this one may have seen some
    registry.has_orphans = True
    while True:
        ResetLatch(MyLatch)
        CHECK_FOR_INTERRUPTS()
        if ConfigReloadPending:
            ConfigReloadPending = 0
            ProcessConfigFile(PGC_SIGHUP)
        debug_point("keeper_before_look")
        check_starts()
        timeout = serve_backlog()
        start_ahead_workers()
        timeout = sooner(timeout, expire_results())
        timeout = sooner(timeout, free_lost_places())
        timeout = sooner(timeout, refill_reserve())
        timeout = sooner(timeout, sample_waits())
        timeout = sooner(timeout, serve_history())
        events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH
        if timeout >= 0:
            events |= WL_TIMEOUT
            # no int overflow in the wait, and a changed retention counts within the hour
            timeout = timeout + 1 if timeout < MAX_SLEEP_MS else MAX_SLEEP_MS
        WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION)
