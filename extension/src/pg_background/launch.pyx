# launch, submit and start: check, copy the request into shared memory, hand it to a worker.

cdef enum OnFull:
    FULL_IS_ERROR = 0
    FULL_WAITS                  # the call waits for a worker
    FULL_QUEUES                 # the job waits for a worker

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
    char preview[481]
    bint submitted
    bint discards_rows          # keep notices, drop rows at source
    bint each_statement
    OnFull on_full
    int32_t timeout             # of FULL_WAITS in ms; 0: no limit


cdef struct Pending:
    Launch *launch
    Job *job
    uint64_t cookie


cdef int32_t assigned_pid           # of the worker that got the launch in hand, 0 while none has


cdef int32_t checked_queue_size(int32_t queue_size) noexcept nogil:
    if queue_size <= 0:
        return setting_default_queue_size
    if queue_size < MIN_QUEUE_SIZE:
        raise_error(ERRCODE_INVALID_PARAMETER_VALUE, b"queue size must be at least %d bytes", <int>MIN_QUEUE_SIZE)
    if queue_size > MAX_QUEUE_SIZE:
        raise_with_hint(ERRCODE_INVALID_PARAMETER_VALUE,
                        b"Output that does not fit the queue goes to a temporary file.",
                        b"queue size must not exceed %d bytes", <int>MAX_QUEUE_SIZE)
    return queue_size


cdef void check_label(const char *label) noexcept nogil:
    if label == NULL:
        return
    if pg_mbstrlen_with_len(label, <int>strlen(label)) > LABEL_CHARS:
        raise_with_detail(ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
                          psprintf(b"A label has at most %d characters.", <int>LABEL_CHARS), NULL,
                          b"label too long")


cdef void prepare_launch(Launch *launch) noexcept nogil:
    """Check what the caller has given and bring it into the form and encoding that the worker reads."""
    launch.queue_size = checked_queue_size(launch.queue_size)
    check_label(launch.label)
    require_unrestricted()
    require_rights(&launch.identity, GetCurrentRoleId())
    if launch.identity.is_away and not may_come_from_elsewhere(launch.identity.database, launch.identity.login):
        raise_not_from_elsewhere(launch.identity.database)
    name_job(launch)
    copy_clipped(launch.preview, PREVIEW_BYTES, launch.sql, <int>launch.sql_size, PREVIEW_CHARS)
    pack_parameters(launch)
    convert_for_job(launch)


cdef void convert_for_job(Launch *launch) noexcept nogil:
    """Bring the texts into the encoding of the job's database; what needs no conversion stays where it is, the SQL
    without a NUL at its end."""
    cdef const char *converted
    snprintf(launch.notify_channel, NAMEDATALEN, b"%s",
             pg_server_to_any(setting_notify_channel, <int>strlen(setting_notify_channel), launch.encoding))
    if launch.encoding == GetDatabaseEncoding():
        return
    converted = pg_server_to_any(launch.sql, <int>launch.sql_size, launch.encoding)
    if converted != launch.sql:
        launch.sql = converted
        launch.sql_size = <uint32_t>strlen(converted)
    if launch.label != NULL:
        launch.label = pg_server_to_any(launch.label, <int>strlen(launch.label), launch.encoding)
    converted = pg_server_to_any(launch.preview, <int>strlen(launch.preview), launch.encoding)
    if converted != launch.preview:
        # the buffer holds as many characters of any encoding
        snprintf(launch.preview, PREVIEW_BYTES, b"%s", converted)


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
    job.encoding = launch.encoding
    job.needs_fresh = launch.identity.is_away
    job.settings = launch.settings_hash
    job.placeholders = launch.placeholders
    job.temp_buffers = launch.temp_buffers
    job.totals = totals_of(launch.identity.database, launch.identity.user)
    job.queue_size = launch.queue_size
    job.launched_at = GetCurrentTimestamp()
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
    job.cookie = cookie
    registry.cookies[job_index(job)] = cookie


cdef Job *accept_job(Launch *launch, uint64_t cookie) noexcept nogil:
    """Register the job and, where an idle worker fits, give it to that one. Raises when a limit forbids it.

    Whatever may raise comes before the entry is taken, so that a refused launch leaves nothing behind.
    Once a worker has the job its entry may end and be reused at any time, so the pid is kept in assigned_pid.
    """
    global assigned_pid
    cdef uint32_t request_size = <uint32_t>request_bytes(launch)
    cdef uint32_t ring_size = 0
    cdef dsa_pointer request = InvalidDsaPointer
    cdef dsa_pointer ring = InvalidDsaPointer
    cdef Garbage garbage
    cdef Garbage unused
    cdef Job *job = NULL
    cdef Worker *worker = NULL
    cdef bint start_ahead = False
    cdef bint draining, over_limit
    assigned_pid = 0
    if not launch.submitted and launch.on_full == FULL_IS_ERROR:
        # thousands may wait for a worker: those get theirs when they begin
        ring_size = ring_size_of(launch.queue_size)
    allocate_for_job(request_size, ring_size, &request, &ring)
    write_request(address(request), launch)
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    draining = registry.draining
    over_limit = my_session.active >= setting_max_workers
    if not draining and (launch.on_full != FULL_IS_ERROR or not over_limit):
        job = take_entry(&garbage)
    if job != NULL:
        fill_entry(job, launch, cookie)
        job.request = request
        job.request_size = request_size
        job.ring = ring
        job.ring_size = ring_size
        my_session.launched += 1
        registry.totals[job.totals].launched += 1
        if over_limit or (launch.on_full != FULL_IS_ERROR and registry.backlog_size > 0):
            join_backlog(job)
        else:
            my_session.active += 1
            worker = choose_idle_worker(job)
            assigned_pid = assign(job, worker)
            start_ahead = want_another(job, worker)
    unlock_registry()
    dispose(&garbage)
    if worker != NULL:
        SetLatch(proc_latch(worker.proc))
    if start_ahead:
        wake_keeper()
    if job != NULL:
        return job
    memset(&unused, 0, sizeof(unused))
    unused.request = request
    unused.ring = ring
    unused.bytes = request_size + ring_size
    dispose(&unused)
    if draining:
        raise_with_hint(ERRCODE_TOO_MANY_CONNECTIONS, b"A superuser can call pg_background_resume_server().",
                        b"background jobs are being drained")
    if over_limit and launch.on_full == FULL_IS_ERROR:
        raise_session_limit()
    raise_with_hint(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                    b"Read or detach finished jobs, or increase pg_background.max_jobs.",
                    b"too many tracked jobs")
    return NULL


cdef void raise_session_limit() noexcept nogil:
    raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                      psprintf(b"This session runs %d jobs; pg_background.max_workers is %d.",
                               my_session.active, setting_max_workers),
                      b"Wait for a job to finish, or increase pg_background.max_workers.",
                      b"too many background workers")


cdef void abandon_job(Job *job, uint64_t cookie) noexcept nogil:
    """Take back a job whose handle was never given out; one that a worker has by now is canceled and forgotten."""
    global my_pending_job
    cdef Garbage garbage
    memset(&garbage, 0, sizeof(garbage))
    my_pending_job = NULL
    lock_registry()
    if is_same_job(job, cookie) and job.worker < 0 and not is_final(job.state):
        if job.state == JOB_QUEUED:
            leave_backlog(job)
        else:
            my_session.active -= 1
        my_session.launched -= 1
        registry.totals[job.totals].launched -= 1
        give_up_memory(job, &garbage)
        free_entry(job)
    elif is_same_job(job, cookie):
        job.tracked = False
        settle(job, &garbage)
        signal_locked(job, False)
    unlock_registry()
    # a drain may wait for it
    wake_waiters(job, NULL)
    dispose(&garbage)


cdef void find_worker_body(void *arg) noexcept nogil:
    cdef Pending *pending = <Pending *>arg
    if pending.launch.on_full == FULL_IS_ERROR:
        assign_fresh_worker(pending.job)
        return
    if not is_in_backlog(pending.job, pending.cookie) and not assign_fresh_if_free(pending.job):
        enter_backlog(pending.job)
    if assigned_pid == 0:
        wake_keeper()
        if pending.launch.on_full == FULL_WAITS:
            wait_for_worker(pending.job, pending.cookie, pending.launch.timeout)


cdef Handle start_job(Launch *launch) noexcept nogil:
    """Start the job in a transaction of its own; raises when that may not or cannot be."""
    global my_pending_job, my_pending_cookie
    cdef Pending pending
    cdef Handle handle
    cdef ErrorData *error
    prepare_launch(launch)
    join_sessions()
    note_databases()
    handle.cookie = new_cookie()
    pending.launch = launch
    pending.cookie = handle.cookie
    # may wait and raise: before the job memory is taken
    if launch.identity.is_away:
        pack_own_settings(launch)
    else:
        pack_settings(launch)
        launch.libraries_size = serialize_libraries()
    debug_point("launch_before_accept")
    pending.job = accept_job(launch, pending.cookie)
    handle.pid = assigned_pid
    handle.rest = 0
    if assigned_pid == 0:
        my_pending_job = pending.job
        my_pending_cookie = pending.cookie
        # by now: once a worker has it, its entry may be another job's
        handle.pid = queued_pid(pending.job)
        error = catch_error(find_worker_body, &pending, False)
        if error != NULL:
            ConditionVariableCancelSleep()
            stop_waiting()
            abandon_job(pending.job, pending.cookie)
            ReThrowError(error)
        my_pending_job = NULL
        if assigned_pid != 0:
            handle.pid = assigned_pid
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
    cdef Launch launch
    read_launch(fcinfo, &launch)
    return launch_job(fcinfo, &launch)


cdef public Datum pgbg_submit(FunctionCallInfo fcinfo) noexcept nogil:
    cdef Launch launch
    read_launch(fcinfo, &launch)
    launch.submitted = True
    return launch_job(fcinfo, &launch)
