# launch and submit, and what start has in common with them: check, copy the request into shared memory, hand it to a
# worker.

cdef struct Launch:
    const char *sql
    uint32_t sql_size
    ArrayType *parameters       # text[]; NULL: none given
    int32_t queue_size
    const char *label           # NULL: none
    Identity identity
    int32_t encoding            # of its database
    char *settings              # as a worker restores them
    uint32_t settings_size
    uint64_t settings_hash
    uint64_t placeholders       # digest of those among them that no library defines
    int32_t temp_buffers
    char application_name[64]
    char notify_channel[64]
    uint32_t libraries_size     # in libraries_buffer
    char *packed_parameters
    uint32_t parameters_size
    int32_t parameter_count     # -1: none given
    uint32_t system_user_size
    char preview[481]
    bint submitted
    bint discards_rows          # keep notices, drop rows at source
    bint is_hidden
    bint each_statement
    Limits role_limits
    Limits database_limits
    bint may_take_reserve
    OnFull on_full
    int32_t timeout             # of FULL_WAITS in ms; 0: no limit


cdef int32_t checked_queue_size(int32_t queue_size) noexcept nogil:
    """The size, or the default at 0 or less; raises 22023 where it is too small or too large."""
    if queue_size <= 0:
        return setting_default_queue_size
    if queue_size < MIN_QUEUE_SIZE:
        raise_error(ERRCODE_INVALID_PARAMETER_VALUE, b"queue size must be at least %d bytes", <int>MIN_QUEUE_SIZE)
    if queue_size > MAX_QUEUE_SIZE:
        raise_with_hint(ERRCODE_INVALID_PARAMETER_VALUE,
                        b"Output that does not fit the queue goes to a temporary file.",
                        b"queue size must not exceed %d bytes", <int>MAX_QUEUE_SIZE)
    return queue_size


cdef void prepare_launch(Launch *launch) noexcept nogil:
    """Check what the caller has given and bring it into the form and encoding that the worker reads."""
    # without it the settings have no values either
    require_registry()
    launch.queue_size = checked_queue_size(launch.queue_size)
    check_label(launch.label, GetDatabaseEncoding())
    require_unrestricted()
    require_rights(&launch.identity, GetCurrentRoleId())
    if launch.identity.is_away and not may_come_from_elsewhere(launch.identity.database, launch.identity.login):
        raise_not_from_elsewhere(launch.identity.database)
    read_limits(&launch.role_limits, &launch.database_limits)
    if launch.identity.is_away:
        read_limits_elsewhere(launch.identity.database, launch.identity.login, &launch.database_limits)
    launch.may_take_reserve = may_take_reserve(launch.identity.login)
    launch.is_hidden = is_hidden_from_caller()
    name_job(launch)
    pack_parameters(launch)
    convert_for_job(launch)
    # in the job's encoding: only there it is known where its characters end
    copy_clipped(launch.preview, PREVIEW_BYTES, launch.sql, <int>launch.sql_size, PREVIEW_CHARS, launch.encoding)
    blank_controls(launch.preview, launch.encoding)


cdef void convert_for_job(Launch *launch) noexcept nogil:
    """Bring the texts into the encoding of the job's database; what needs no conversion stays where it is, the SQL
    without a NUL at its end."""
    cdef const char *sql
    cdef const char *channel = converted_for(setting_notify_channel, launch.encoding)
    copy_clipped(launch.notify_channel, NAMEDATALEN, channel, <int>strlen(channel), NAMEDATALEN, launch.encoding)
    if launch.encoding == GetDatabaseEncoding():
        return
    sql = converted(launch.sql, launch.sql_size, GetDatabaseEncoding(), launch.encoding)
    if sql != launch.sql:
        launch.sql = sql
        launch.sql_size = <uint32_t>strlen(sql)
    if launch.label != NULL:
        launch.label = converted_for(launch.label, launch.encoding)
        # one character may have become several
        check_label(launch.label, launch.encoding)


cdef void fill_entry(Job *job, Launch *launch, uint64_t cookie) noexcept nogil:
    """Everything but the memory and the worker; under the lock."""
    job.pid = 0
    job.state = JOB_STARTING
    job.session_limit = setting_max_workers
    job.submitted = launch.submitted
    job.discards_rows = launch.discards_rows
    job.tracked = True
    job.was_read = False
    job.in_history = False
    job.canceled = False
    job.overdue = False
    job.worker = -1
    job.session = my_proc_number()
    job.session_id = my_session.id
    job.identity = launch.identity
    job.role_usage = hold_usage(launch.identity.login, False)
    job.database_usage = hold_usage(launch.identity.database, True)
    job.role_limits = launch.role_limits
    job.database_limits = launch.database_limits
    job.may_take_reserve = launch.may_take_reserve
    job.leads_line = False
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


cdef Refusal why_refused(Launch *launch, int64_t memory) noexcept nogil:
    """Before an entry is looked for, of a launch that takes so many bytes of memory; under the lock."""
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
    if launch.on_full == FULL_IS_ERROR and role != NULL and is_reached(role.running, launch.role_limits.workers):
        return ROLE_HAS_ALL_WORKERS
    if (launch.on_full == FULL_IS_ERROR and database != NULL
            and is_reached(database.running, launch.database_limits.workers)):
        return DATABASE_HAS_ALL_WORKERS
    if not does_role_memory_fit(role, &launch.role_limits, memory):
        return ROLE_HAS_ALL_MEMORY
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


cdef void make_room_for_role(Launch *launch, int64_t memory) noexcept nogil:
    """Take the memory of what the role no longer needs, or can have on disk, as far as its limit asks for that."""
    cdef bint fits
    while launch.role_limits.memory > 0:
        share_registry()
        fits = does_role_memory_fit(find_usage(launch.identity.login, False), &launch.role_limits, memory)
        unlock_registry()
        if fits or not make_room(launch.identity.login):
            return


cdef Latch *place_job(Pending *pending, Job *job, bint *start_ahead) noexcept nogil:
    """Put the new job into the backlog, or give it to an idle worker, and return as give_to_worker; under the lock."""
    cdef Worker *worker
    cdef Latch *latch
    if not may_begin(job) or (pending.launch.on_full != FULL_IS_ERROR and registry.backlog_size > 0):
        join_backlog(job)
        return NULL
    count_running(job, 1)
    worker = choose_idle_worker(job)
    latch = give_to_worker(pending, job, worker)
    start_ahead[0] = want_another(job, worker)
    return latch


cdef void accept_job(Pending *pending) noexcept nogil:
    """Register the job and, where an idle worker fits, give it to that one. Raises when a limit forbids it.

    Whatever may raise comes before the entry is taken, so that a refused launch leaves nothing behind.
    """
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
    make_room_for_role(launch, <int64_t>request_size + ring_size)
    allocate_for_job(request_size, ring_size, launch.may_take_reserve, &memory.request, &memory.ring)
    memory.bytes = request_size + ring_size
    write_request(address(memory.request), launch)
    lock_registry()
    refusal = why_refused(launch, memory.bytes)
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
            job.tracked = False
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
    cdef int32_t i
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        if (registry.cookies[i] != 0 and job.state == JOB_STARTING and job.worker < 0 and job.session == session
                and job.session_id == registry.sessions[session].id):
            return job
    return NULL


cdef void find_worker(void *what) noexcept nogil:
    """Body of run_guarded: give the job that no idle worker took to a fresh process, or leave it to the backlog. An
    error on the way takes the job back (abandon_job)."""
    cdef Pending *pending = <Pending *>what
    take_hold(&pending.hold, abandon_job, pending)
    if pending.launch.on_full == FULL_IS_ERROR:
        assign_fresh_worker(pending)
    else:
        if not is_in_backlog(pending.job, pending.cookie) and not assign_fresh_if_free(pending):
            enter_backlog(pending.job)
        if pending.pid == 0:
            wake_keeper()
            if pending.launch.on_full == FULL_WAITS:
                wait_for_worker(pending)
    drop_hold(&pending.hold)


cdef Handle start_job(Launch *launch) noexcept nogil:
    """Start the job in a transaction of its own; raises when that may not or cannot be."""
    cdef Pending pending
    cdef Handle handle
    prepare_launch(launch)
    join_sessions()
    note_databases()
    memset(&pending, 0, sizeof(pending))
    pending.launch = launch
    pending.cookie = new_cookie()
    # may wait and raise: before the job memory is taken
    if launch.identity.is_away:
        pack_own_settings(launch)
    else:
        pack_settings(launch)
        launch.libraries_size = serialize_libraries()
    launch.system_user_size = <uint32_t>system_user_size()
    debug_point("launch_before_accept")
    accept_job(&pending)
    # by now: once a worker has it, its entry may be another job's
    handle.pid = queued_pid(pending.job)
    handle.cookie = pending.cookie
    handle.rest = 0
    if pending.pid == 0:
        run_guarded(find_worker, &pending, my_holds)
    if pending.pid != 0:
        handle.pid = pending.pid
    return handle


cdef Datum launch_job(FunctionCallInfo fcinfo, Launch *launch) noexcept nogil:
    """Start the job and return its handle; the SQL functions differ in what they put into `launch`."""
    cdef TupleDesc row = row_type(fcinfo)
    cdef Handle handle = start_job(launch)
    debug_point("launch_before_return")
    return handle_datum(row, &handle)


cdef void begin_launch(Launch *launch, FunctionCallInfo fcinfo) noexcept nogil:
    """What all have in common: the SQL, which is their first argument, and the defaults."""
    cdef text *sql
    if arg_isnull(fcinfo, 0):
        raise_error(ERRCODE_NULL_VALUE_NOT_ALLOWED, b"sql parameter cannot be NULL")
    memset(launch, 0, sizeof(Launch))
    sql = arg_text(fcinfo, 0)
    launch.sql = VARDATA_ANY(sql)
    launch.sql_size = VARSIZE_ANY_EXHDR(sql)
    launch.identity = identity_here(MyDatabaseId)
    launch.encoding = GetDatabaseEncoding()


cdef void read_launch(FunctionCallInfo fcinfo, Launch *launch) noexcept nogil:
    """(sql, queue_size) and (sql, queue_size, label)."""
    begin_launch(launch, fcinfo)
    if not arg_isnull(fcinfo, 1):
        launch.queue_size = arg_int32(fcinfo, 1)
    if arg_count(fcinfo) > 2 and not arg_isnull(fcinfo, 2):
        launch.label = text_to_cstring(arg_text(fcinfo, 2))


cdef public Datum pgbg_launch(FunctionCallInfo fcinfo) noexcept nogil:
    """launch(sql, queue_size = 0, label = NULL): raises the errors of start_job."""
    cdef Launch launch
    read_launch(fcinfo, &launch)
    return launch_job(fcinfo, &launch)


cdef public Datum pgbg_submit(FunctionCallInfo fcinfo) noexcept nogil:
    """submit(sql, queue_size = 0, label = NULL): as launch, but without output."""
    cdef Launch launch
    read_launch(fcinfo, &launch)
    launch.submitted = True
    return launch_job(fcinfo, &launch)
