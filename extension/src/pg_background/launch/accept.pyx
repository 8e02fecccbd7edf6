# Accepting a launch: its limits, its entry and memory, an idle worker or a place in the backlog; and taking that back.

cdef void fill_entry(Job *job, Launch *launch, uint64_t cookie) noexcept nogil:
    """Everything but the memory and the worker; under the lock."""
    job.pid = 0
    job.state = JOB_STARTING
    job.session_limit = setting_max_workers
    job.submitted = launch.submitted
    job.discards_rows = launch.discards_rows
    job.was_read = False
    job.in_history = False
    job.canceled = False
    job.overdue = False
    job.worker = -1
    job.session = my_proc_number()
    job.session_id = my_session.id
    start_tracking(job)
    job.identity = launch.identity
    job.role_usage = hold_usage(launch.identity.login, False)
    job.database_usage = hold_usage(launch.identity.database, True)
    job.role_limits = launch.role_limits
    job.database_limits = launch.database_limits
    job.may_take_reserve = launch.may_take_reserve
    job.leads_line = False
    job.leads_group = False
    job.wants_place = False
    job.file_bytes = 0
    role_usage(job).limits = launch.role_limits
    database_usage(job).limits = launch.database_limits
    count_job(job, 1)
    job.encoding = launch.encoding
    job.is_hidden = launch.is_hidden
    job.needs_fresh = launch.identity.is_away
    job.settings = launch.settings_hash
    job.placeholders = launch.placeholders
    job.temp_buffers = launch.temp_buffers
    job.queue_size = launch.queue_size
    job.launched_at = GetCurrentTimestamp()
    job.totals = totals_of(launch.identity.database, launch.identity.user, job.launched_at)
    job.started_at = 0
    job.finished_at = 0
    job.orphaned_at = 0
    job.error = InvalidDsaPointer
    job.error_size = 0
    pg_atomic_write_u64(&job.produced, 0)
    pg_atomic_write_u64(&job.consumed, 0)
    pg_atomic_write_u64(&job.spilled, 0)
    pg_atomic_write_u32(&job.described, 0)
    job.reader = READER_NONE
    job.reader_proc = NULL
    job.file_number = 0
    job.row_count = 0
    memset(job.resources, 0, sizeof(job.resources))
    job.wait_kinds = 0
    job.keeps_history = launch.keeps_history
    job.history = HISTORY_NONE
    job.history_failures = 0
    memcpy(job.traceparent, launch.traceparent, TRACE_BYTES)
    job.sqlstate = 0
    job.command_tag[0] = 0
    job.message[0] = 0
    pg_atomic_write_u32(&job.progress_version, 0)
    job.progress_pct = -1
    job.progress_has_text = False
    if launch.label != NULL:
        memcpy(job.label, launch.label, strlen(launch.label) + 1)
    else:
        job.label[0] = 0
    memcpy(job.preview, launch.preview, PREVIEW_BYTES)
    set_cookie(job, cookie)


cdef Refusal why_refused(Launch *launch) noexcept nogil:
    """For another reason than the role's memory; under the lock, before an entry is looked for."""
    cdef Usage *role = find_usage(launch.identity.login, False)
    cdef Usage *database = find_usage(launch.identity.database, True)
    if registry.draining:
        return IS_DRAINING
    if launch.on_full == FULL_IS_ERROR and my_session.active >= setting_max_workers:
        return SESSION_IS_FULL
    if role != NULL and is_reached(role.jobs, launch.role_limits.jobs):
        return ROLE_HAS_ALL_JOBS
    if database != NULL and is_reached(database.jobs, launch.database_limits.jobs):
        return DATABASE_HAS_ALL_JOBS
    if launch.on_full == FULL_IS_ERROR and has_all_workers(
            role.running if role != NULL else 0, launch.role_limits.workers, launch.identity.login, False):
        return ROLE_HAS_ALL_WORKERS
    if launch.on_full == FULL_IS_ERROR and has_all_workers(
            database.running if database != NULL else 0, launch.database_limits.workers, launch.identity.database,
            True):
        return DATABASE_HAS_ALL_WORKERS
    if not launch.may_take_reserve and registry.used_jobs >= registry.jobs_size - reserved_jobs():
        return REST_IS_RESERVED
    return ACCEPTED


cdef void raise_refusal(Refusal refusal, Launch *launch) noexcept nogil:
    """Raise 53300 while the server drains, else 53400: a limit is reached."""
    if refusal == IS_DRAINING:
        raise_with_hint(ERRCODE_TOO_MANY_CONNECTIONS,
                        b"A superuser, or a member of pg_signal_backend, can call pg_background_resume_server().",
                        b"background jobs are being drained")
    if refusal == SESSION_IS_FULL:
        raise_session_limit()
    if refusal == DATABASE_HAS_ALL_JOBS or refusal == DATABASE_HAS_ALL_WORKERS:
        raise_past_database_limit(refusal, launch.identity.database, &launch.database_limits)
    if refusal == REST_IS_RESERVED or refusal == REGISTRY_IS_FULL:
        raise_registry_full(refusal)
    raise_past_role_limit(refusal, launch.identity.login, &launch.role_limits)


cdef Latch *place_job(Pending *pending, Job *job, bint *start_ahead) noexcept nogil:
    """Put the new job into the backlog, or give it to an idle worker, and return as give_to_worker; under the lock."""
    cdef Worker *worker
    cdef Latch *latch
    if not may_begin(job) or (pending.launch.on_full != FULL_IS_ERROR and is_any_ready(False)):
        join_backlog(job)
        return NULL
    count_running(job, 1)
    worker = choose_idle_worker(job)
    latch = give_to_worker(pending, job, worker)
    start_ahead[0] = want_another(job, worker)
    return latch


cdef struct Acceptance:
    Pending *pending
    Room room                   # where the role's memory has a limit


cdef void accept_job(Pending *pending) noexcept nogil:
    """Register the job and, where an idle worker fits, give it to that one. Raises when a limit forbids it.

    Whatever may raise comes before the entry is taken, so that a refused launch leaves nothing behind.
    """
    cdef Acceptance acceptance
    acceptance.pending = pending
    if pending.launch.role_limits.memory > 0:
        run_guarded(accept_guarded, &acceptance, my_holds)
    else:
        accept_guarded(&acceptance)


cdef Refusal refusal_beforehand(Acceptance *acceptance, int64_t bytes) noexcept nogil:
    """Before so much memory is taken: for what is refused all the same nobody is to give up anything."""
    cdef Launch *launch = acceptance.pending.launch
    cdef Refusal refusal
    share_registry()
    refusal = why_refused(launch)
    unlock_registry()
    if refusal == ACCEPTED and launch.role_limits.memory > 0:
        if not take_room(&acceptance.room, launch.identity.login, &launch.role_limits, bytes):
            return ROLE_HAS_ALL_MEMORY
    return refusal


cdef void accept_guarded(void *what) noexcept nogil:
    """Body of accept_job."""
    cdef Acceptance *acceptance = <Acceptance *>what
    cdef Pending *pending = acceptance.pending
    cdef Launch *launch = pending.launch
    cdef Garbage evicted, memory
    cdef Job *job = NULL
    cdef Latch *latch = NULL
    cdef Refusal refusal
    cdef bint start_ahead = False
    cdef uint32_t request_size = <uint32_t>request_bytes(launch)
    cdef uint32_t ring_size = 0
    if not launch.submitted and launch.on_full == FULL_IS_ERROR:
        # thousands may wait for a worker: those get theirs when they begin
        ring_size = ring_size_of(launch.queue_size)
    memset(&evicted, 0, sizeof(evicted))
    memset(&memory, 0, sizeof(memory))
    memory.bytes = taken(request_size) + taken(ring_size)
    refusal = refusal_beforehand(acceptance, memory.bytes)
    if refusal != ACCEPTED:
        raise_refusal(refusal, launch)
    allocate_for_job(request_size, ring_size, launch.identity.login, launch.may_take_reserve, &memory.request,
                     &memory.ring)
    write_request(address(memory.request), launch)
    lock_registry()
    refusal = why_refused(launch)
    if refusal == ACCEPTED:
        job = take_entry(&evicted)
        refusal = REGISTRY_IS_FULL if job == NULL else ACCEPTED
    if job != NULL:
        fill_entry(job, launch, pending.cookie)
        job.request = memory.request
        job.request_size = request_size
        job.ring = memory.ring
        job.ring_size = ring_size
        count_memory(job, memory.bytes)
        my_session.launched += 1
        registry.totals[job.totals].launched += 1
        latch = place_job(pending, job, &start_ahead)
        if launch.role_limits.memory > 0:
            # the entry counts it
            end_room(&acceptance.room)
            drop_hold(&acceptance.room.hold)
    unlock_registry()
    dispose(&evicted)
    debug_point("launch_before_wake")
    if latch != NULL:
        SetLatch(latch)
    if start_ahead:
        wake_keeper()
    pending.job = job
    if refusal != ACCEPTED:
        dispose(&memory)
        raise_refusal(refusal, launch)


cdef void abandon_job(void *what) noexcept nogil:
    """Take back a job whose handle was never given out; one that a worker has by now is canceled and forgotten."""
    cdef Pending *pending = <Pending *>what
    cdef Job *job = pending.job
    cdef PGPROC *reader = NULL
    cdef Garbage garbage
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    if is_same_job(job, pending.cookie):
        reader = job.reader_proc
        if is_final(job.state) or job.worker >= 0:
            forget_job(job, &garbage)
            signal_locked(job, False)
        elif reader != NULL:
            # another session has found it, and keeps the entry
            stop_tracking(job)
            end_without_worker(job, JOB_CANCELED, ERRCODE_QUERY_CANCELED,
                               b"background job was given up by its launch", &garbage)
        else:
            undo_accept(job, &garbage)
    unlock_registry()
    # others may wait for it, and a drain
    wake_waiters(job, reader)
    dispose(&garbage)


cdef void undo_accept(Job *job, Garbage *garbage) noexcept nogil:
    """As if it had never been launched; under the lock."""
    if job.state == JOB_QUEUED:
        leave_backlog(job)
    else:
        count_running(job, -1)
    my_session.launched -= 1
    registry.totals[job.totals].launched -= 1
    give_up_memory(job, garbage)
    free_entry(job)


cdef Job *launch_of_session(int32_t session) noexcept nogil:
    """The job for which the launch in hand of this session looks for a worker, or NULL; under the lock."""
    cdef Job *job
    # most often the newest
    cdef int32_t i = registry.sessions[session].last_job
    while i >= 0:
        job = &registry.jobs[i]
        if job.state == JOB_STARTING and job.worker < 0:
            return job
        i = job.previous_of_session
    return NULL
