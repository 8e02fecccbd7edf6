# A worker's life: check in, connect, take jobs until idle for long enough or asked to leave.

cdef enum:
    RESERVED_POLL_MS = 1000

cdef Worker *my_worker              # this process's place, if it is a worker
cdef uint32_t my_generation
cdef Job *my_job                    # being run
cdef bint is_connected
cdef int32_t refusal_sqlstate       # why this process could not connect, 0 if it does not know
cdef char refusal[MESSAGE_BYTES]
cdef ErrorData *end_error           # with which this process ends, where it is a job's own, or that refusal; else NULL
cdef ErrorContextCallback error_watch
cdef ErrorContextCallback error_trace
cdef emit_log_hook_type previous_log
cdef int job_timeout                # id of the timer for pg_background.worker_timeout
cdef MemoryContext job_context      # all that a job allocates outside of its transactions


# ---- coming and going

cdef bint check_in(Datum main_arg) noexcept nogil:
    """Take the place that this process was started for; False when it was given up meanwhile."""
    global my_worker, my_generation
    cdef uint64_t arg = DatumGetUInt64(main_arg)
    cdef Worker *worker = &registry.workers[<uint32_t>arg]
    cdef bint mine
    my_generation = <uint32_t>(arg >> 32)
    lock_registry()
    mine = worker.generation == my_generation and worker.state == WORKER_STARTING
    if mine:
        worker.pid = MyProcPid
        worker.proc = MyProc
        my_worker = worker
    unlock_registry()
    if mine and worker.starter != NULL:
        SetLatch(proc_latch(worker.starter))
    return mine


cdef void worker_exit(int code, Datum arg) noexcept nogil:
    """However a worker ends: its place is free, a job it had is lost or canceled, and those who wait are told.

    Runs before shared memory is left and after the transaction was aborted, as it was registered first.
    """
    global my_worker, running_cookie, output_is_kept
    cdef Garbage garbage, error
    cdef Job *job = NULL
    cdef PGPROC *reader = NULL
    cdef bint jobs_wait
    if my_worker == NULL:
        return
    running_cookie = 0
    # what is raised from here on is for nobody
    output_is_kept = False
    memset(&garbage, 0, sizeof(garbage))
    pack_end_error(&error)
    if my_job != NULL and not job_goes_back:
        note_taken(my_job)
    lock_registry()
    if my_worker.generation == my_generation and my_worker.state != WORKER_FREE:
        if my_worker.job >= 0 and is_connected and not is_canceled_here() and (
                my_worker.state == WORKER_ASSIGNED or job_goes_back):
            # a process that could not begin it, or had yet to, is no reason to lose it
            registry.jobs[my_worker.job].needs_fresh |= job_goes_back
            return_to_backlog(&registry.jobs[my_worker.job])
        elif my_worker.job >= 0:
            job = &registry.jobs[my_worker.job]
            end_job_of_dead(job, &garbage)
        elif was_refused():
            job = fail_refused(&garbage)
        if job != NULL:
            reader = job.reader_proc
            give_end_error(job, &error)
        free_place(my_worker)
        registry.last_exit = GetCurrentTimestamp()
    jobs_wait = registry.first_in_need >= 0
    if not is_connected and is_refusal_passing():
        pause_backlog()
    unlock_registry()
    my_worker = NULL
    ConditionVariableBroadcast(&registry.worker_left)
    if job != NULL:
        wake_waiters(job, reader)
    dispose(&garbage)
    dispose(&error)
    if jobs_wait:
        wake_keeper()


cdef void pack_end_error(Garbage *error) noexcept nogil:
    """Copy end_error into job memory, so that a job may get it under the lock; what none gets is disposed of."""
    memset(error, 0, sizeof(Garbage))
    if end_error != NULL:
        pack_in_job_memory(end_error, NULL, error)


cdef void give_end_error(Job *job, Garbage *error) noexcept nogil:
    """To the job that ended with it; one that nobody asks any more has given up its memory. Under the lock."""
    if job.state == JOB_ERROR and job.error == InvalidDsaPointer and (job.tracked or not job.in_history):
        keep_error(job, error)


cdef inline bint is_canceled_here() noexcept nogil:
    """Whether the assigned job was canceled before it could begin; under the lock."""
    return registry.jobs[my_worker.job].canceled


cdef bint is_refusal_passing() noexcept nogil:
    """Whether another try may do: the process was ended, or a connection limit is reached."""
    return (refusal_sqlstate == ERRCODE_ADMIN_SHUTDOWN or refusal_sqlstate == ERRCODE_CANNOT_CONNECT_NOW
            or refusal_sqlstate == ERRCODE_TOO_MANY_CONNECTIONS)


cdef bint was_refused() noexcept nogil:
    """Whether this process could not connect, for a reason that says something to those whose job it was to run."""
    return (not is_connected and refusal_sqlstate != 0 and refusal_sqlstate != ERRCODE_ADMIN_SHUTDOWN
            and refusal_sqlstate != ERRCODE_CANNOT_CONNECT_NOW)


cdef Job *fail_refused(Garbage *garbage) noexcept nogil:
    """End the job for whose sake this process was started, which it was not given yet; under the lock."""
    cdef Job *job
    if my_worker.reserved_for >= 0:
        job = launch_of_session(my_worker.reserved_for)
        if job != NULL:
            # in the handle, which its launch returns now
            job.pid = MyProcPid
            end_without_worker(job, JOB_ERROR, refusal_sqlstate, refusal, garbage)
        return job
    return NULL if is_refusal_passing() else fail_first_in_line(my_worker, refusal_sqlstate, refusal, garbage)


cdef void end_job_of_dead(Job *job, Garbage *garbage) noexcept nogil:
    """Under the lock."""
    if was_refused():
        job.sqlstate = refusal_sqlstate
        snprintf(job.message, MESSAGE_BYTES, "%s", refusal)
    end_job(job, end_of_dead_job(job), job.sqlstate)
    settle(job, garbage)


cdef int end_of_dead_job(Job *job) noexcept nogil:
    """JobState of a job whose process ends with it; under the lock."""
    if has_committed and job == my_job:
        return JOB_STOPPED
    if job.overdue or (timeout_seen and job == my_job):
        return JOB_TIMED_OUT
    if job.canceled:
        return JOB_CANCELED
    return JOB_ERROR if job.sqlstate != 0 else JOB_LOST


cdef bint is_reason_of_end(int32_t sqlstate) noexcept nogil:
    """On a standby a conflict with recovery ends the process where it can't end the statement alone."""
    return (sqlstate == ERRCODE_TRANSACTION_TIMEOUT or sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE
            or sqlstate == ERRCODE_DATABASE_DROPPED)


cdef bint is_own_reason(int32_t sqlstate) noexcept nogil:
    """Whether a process that ends so ends by its job."""
    return is_reason_of_end(sqlstate) or (is_half_taken_over and sqlstate != ERRCODE_ADMIN_SHUTDOWN)


cdef void add_trace(void *arg) noexcept nogil:
    """The trace of the job that runs, as a line of context; callback for the context of errors."""
    if my_job != NULL and my_job.traceparent[0] != 0:
        errcontext_line(b"traceparent %s", my_job.traceparent)


cdef void watch_error(void *arg) noexcept nogil:
    """Keep the reason for which a process ends where it is the job's own: that it cannot connect, as the database or
    role is gone, a transaction_timeout, or a conflict with recovery; and that for which its output ends.

    A callback for the context of errors sees all that is reported, a log hook only what log_min_messages lets pass.
    """
    global refusal_sqlstate, end_error, job_goes_back
    cdef MemoryContext old
    cdef ErrorData *error
    if is_connected and not in_message and (my_job == NULL or has_committed or not is_own_reason(geterrcode())):
        return
    # a copy must not lie in the context of the error itself
    old = MemoryContextSwitchTo(job_context if is_connected else TopMemoryContext)
    error = CopyErrorData()
    MemoryContextSwitchTo(old)
    if error.elevel >= ERROR and not is_connected:
        refusal_sqlstate = error.sqlerrcode
        copy_clipped(refusal, MESSAGE_BYTES, error.message, <int>strlen(error.message), MESSAGE_BYTES,
                     GetDatabaseEncoding())
        end_error = error
        return
    if error.elevel == FATAL and does_fatal_return_job(error.sqlerrcode):
        job_goes_back = True
    elif error.elevel == FATAL and my_job != NULL and not has_committed and is_own_reason(error.sqlerrcode):
        my_job.sqlstate = error.sqlerrcode
        copy_clipped(my_job.message, MESSAGE_BYTES, error.message, <int>strlen(error.message), MESSAGE_BYTES,
                     my_job.encoding)
        end_error = error
        return
    elif note_cut(error):
        return
    FreeErrorData(error)


cdef void log_hook(ErrorData *error) noexcept nogil:
    """Show a hidden statement to the server's log again before an error in it is written."""
    if error.elevel >= ERROR:
        show_to_log()
    if previous_log != NULL:
        previous_log(error)


cdef void name_port() noexcept nogil:
    """The role as a session's log lines have it: the one that has logged in."""
    cdef char *role
    cdef char *database
    StartTransactionCommand()
    disable_transaction_timeout()
    MemoryContextSwitchTo(TopMemoryContext)
    role = GetUserNameFromId(my_worker.identity.login, True)
    database = get_database_name(my_worker.identity.database)
    CommitTransactionCommand()
    make_port(role if role != NULL else pstrdup(b""), database if database != NULL else pstrdup(b""))


cdef void connect() noexcept nogil:
    """Connect to the database of this worker's place as its login, then set up what jobs need. A login that is refused
    ends the process; watch_error keeps the reason for worker_exit."""
    global job_context, job_timeout, error_context_stack, is_connected, previous_log, emit_log_hook
    BackgroundWorkerUnblockSignals()
    previous_log = emit_log_hook
    emit_log_hook = log_hook
    error_watch.callback = watch_error
    error_watch.previous = error_context_stack
    error_trace.callback = add_trace
    # the last to be called: what watches has the whole context by then
    error_trace.previous = &error_watch
    error_context_stack = &error_trace
    BackgroundWorkerInitializeConnectionByOid(my_worker.identity.database, my_worker.identity.login,
                                              WORKER_CONNECTION_FLAGS)
    is_connected = True
    name_port()
    note_login()
    show_idle_name()
    job_timeout = RegisterTimeout(USER_TIMEOUT, on_worker_timeout)
    job_context = create_context(TopMemoryContext, "pg_background job")
    set_up_messages()
    set_up_rows()
    set_up_security_context()
    set_up_commit()


cdef public void pgbg_worker_main(Datum main_arg) noexcept nogil:
    """Entry of a worker process, for the postmaster; the argument has the place in its low half, the generation above
    it."""
    cdef Job *job
    pqsignal(SIGTERM, die)
    pqsignal(SIGINT, on_sigint)
    pqsignal(SIGUSR2, on_sigusr2)
    pqsignal(SIGHUP, SignalHandlerForConfigReload)
    debug_point("worker_before_checkin")
    attach_area()
    before_shmem_exit(worker_exit, 0)
    if not check_in(main_arg):
        proc_exit(0)
    debug_point("worker_before_connect")
    connect()
    pgstat_report_activity(STATE_IDLE, NULL)
    while True:
        job = next_job()
        if job == NULL:
            proc_exit(0)
        debug_point("worker_before_job")
        run_job(job)


# ---- taking jobs

cdef Job *take_job(bint *leave) noexcept nogil:
    """The assigned job, or NULL; also settles into idleness. Sets `leave` when asked to."""
    global my_job, running_cookie, cancel_seen, cancel_binds, timeout_seen, has_committed, job_has_begun
    cdef Job *job = NULL
    cdef Turn turn = NO_TURN
    cdef bint wake_sampler = False
    lock_registry()
    if my_worker.state == WORKER_RESETTING or is_started_for_any(my_worker):
        turn = take_turn(my_worker)
        my_worker.since = GetCurrentTimestamp()
        if turn == NO_TURN:
            my_worker.state = WORKER_IDLE
        elif turn == TURN_OF_ANOTHER:
            my_worker.state = WORKER_LEAVING
    # one that comes to a process that is about to end is for another
    if my_worker.state == WORKER_ASSIGNED and not ProcDiePending:
        my_worker.state = WORKER_RUNNING
        job = &registry.jobs[my_worker.job]
        job.state = JOB_RUNNING
        job.started_at = GetCurrentTimestamp()
        my_job = job
        job_has_begun = False
        cancel_seen = 0
        cancel_binds = 0
        timeout_seen = 0
        has_committed = False
        # from here on the signal handlers act; a cancel that came before is seen in run_job
        running_cookie = job.cookie
        wake_sampler = not registry.is_sampling
        registry.is_sampling = True
    elif my_worker.state == WORKER_LEAVING:
        leave[0] = True
    unlock_registry()
    if wake_sampler:
        wake_keeper()
    if job != NULL and job.pid < 0:
        # its launch may wait for that
        ConditionVariableBroadcast(&job.changed)
    return job


cdef bint leave_if_idle() noexcept nogil:
    """Give the place up, unless a job has come in the last moment."""
    cdef bint idle
    lock_registry()
    idle = my_worker.state == WORKER_IDLE
    if idle:
        my_worker.state = WORKER_LEAVING
    unlock_registry()
    return idle


cdef Job *next_job() noexcept nogil:
    """Wait for a job; NULL when it is time to leave."""
    global ConfigReloadPending
    cdef Job *job
    cdef bint leave = False
    cdef TimestampTz start = GetCurrentTimestamp()
    cdef long idle, timeout
    while True:
        job = take_job(&leave)
        if job != NULL or leave:
            return job
        idle = TimestampDifferenceMilliseconds(start, GetCurrentTimestamp())
        timeout = setting_worker_idle_timeout - idle
        if timeout <= 0 and leave_if_idle():
            return NULL
        # reserved by its starter: not idle, however long it takes
        if timeout <= 0:
            timeout = RESERVED_POLL_MS
        wait_for_latch(WAITS_FOR_JOB, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout)
        ResetLatch(MyLatch)
        CHECK_FOR_INTERRUPTS()
        if catchupInterruptPending:
            ProcessCatchupInterrupt()
        if ConfigReloadPending:
            ConfigReloadPending = 0
            forget_comparison()
            ProcessConfigFile(PGC_SIGHUP)
