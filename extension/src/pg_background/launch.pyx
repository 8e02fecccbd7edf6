# launch and submit: check, copy the request into shared memory, hand it to a worker.

cdef struct Launch:
    const char *sql
    uint32_t sql_size
    int32_t queue_size
    const char *label           # NULL: none
    uint32_t settings_size      # in settings_buffer
    uint32_t libraries_size     # in libraries_buffer
    char preview[481]
    bint submitted


cdef int32_t assigned_pid           # of the worker that got the launch in hand, 0 while none has
cdef char *settings_buffer
cdef Size settings_capacity
cdef char *libraries_buffer
cdef Size libraries_capacity


cdef void ensure_capacity(char **buffer, Size *capacity, Size size) noexcept nogil:
    """For a buffer that lives as long as the process; its content is lost when it grows."""
    if size <= capacity[0]:
        return
    if buffer[0] != NULL:
        pfree(buffer[0])
        buffer[0] = NULL
        capacity[0] = 0
    buffer[0] = <char *>MemoryContextAlloc(TopMemoryContext, size * 2)
    capacity[0] = size * 2


cdef uint32_t serialize_libraries() noexcept nogil:
    """The libraries that this process has loaded, in libraries_buffer; returns their size."""
    cdef Size size = EstimateLibraryStateSpace()
    ensure_capacity(&libraries_buffer, &libraries_capacity, size)
    memset(libraries_buffer, 0, size)
    SerializeLibraryState(size, libraries_buffer)
    return <uint32_t>size


cdef uint32_t serialize_settings() noexcept nogil:
    """This process's settings in settings_buffer; returns their size."""
    cdef Size size = EstimateGUCStateSpace()
    ensure_capacity(&settings_buffer, &settings_capacity, size)
    # the estimate is an upper bound: what is not written must compare equal
    memset(settings_buffer, 0, size)
    SerializeGUCState(size, settings_buffer)
    return <uint32_t>size


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


cdef void check_connect() noexcept nogil:
    """The worker connects as the authenticated user, whose right to do so may be gone by now."""
    if not may_connect(MyDatabaseId, GetAuthenticatedUserId()):
        raise_with_detail(ERRCODE_INSUFFICIENT_PRIVILEGE, b"User does not have CONNECT privilege.", NULL,
                          b"permission denied for database \"%s\"", get_database_name(MyDatabaseId))
    if not may_log_in(GetAuthenticatedUserId()):
        raise_error(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, b"role \"%s\" is not permitted to log in",
                    GetUserNameFromId(GetAuthenticatedUserId(), False))


cdef void check_security_context() noexcept nogil:
    """Maintenance runs others' functions fenced in; a job would run outside of that fence."""
    if InSecurityRestrictedOperation():
        raise_error(ERRCODE_INSUFFICIENT_PRIVILEGE,
                    b"cannot launch a background job within security-restricted operation")


cdef Size request_bytes(Launch *launch) noexcept nogil:
    return (MAXALIGN(sizeof(JobRequest)) + MAXALIGN(launch.settings_size) + MAXALIGN(launch.libraries_size)
            + launch.sql_size + 1)


cdef void write_request(void *place, Launch *launch) noexcept nogil:
    cdef JobRequest *request = <JobRequest *>place
    cdef char *settings
    request.settings_size = launch.settings_size
    request.libraries_size = launch.libraries_size
    request.sql_size = launch.sql_size
    request.session_user = GetSessionUserId()
    request.session_user_is_superuser = superuser_arg(GetSessionUserId())
    request.role = GetCurrentRoleId()
    settings = request_settings(request)
    memcpy(settings, settings_buffer, launch.settings_size)
    memcpy(request_libraries(request), libraries_buffer, launch.libraries_size)
    request.settings_hash = hash_bytes_extended(<const unsigned char *>settings, <int>launch.settings_size,
                                                request.role)
    memcpy(request_sql(request), launch.sql, launch.sql_size)
    request_sql(request)[launch.sql_size] = 0


cdef inline char *request_settings(JobRequest *request) noexcept nogil:
    return <char *>request + MAXALIGN(sizeof(JobRequest))


cdef inline char *request_libraries(JobRequest *request) noexcept nogil:
    return request_settings(request) + MAXALIGN(request.settings_size)


cdef inline char *request_sql(JobRequest *request) noexcept nogil:
    return request_libraries(request) + MAXALIGN(request.libraries_size)


cdef void copy_clipped(char *to, int capacity, const char *text, int size, int characters) noexcept nogil:
    """At most so many characters, cut between two of them."""
    cdef int length = pg_mbcharcliplen(text, size, characters)
    length = pg_mbcliplen(text, length, capacity - 1)
    memcpy(to, text, length)
    to[length] = 0


cdef void fill_entry(Job *job, Launch *launch, uint64_t cookie) noexcept nogil:
    """Everything but the memory and the worker; under the lock."""
    cdef Oid user = InvalidOid
    cdef int security_context = 0
    GetUserIdAndSecContext(&user, &security_context)
    job.pid = 0
    job.state = JOB_STARTING
    job.submitted = launch.submitted
    job.tracked = True
    job.in_history = False
    job.canceled = False
    job.worker = -1
    job.session = my_proc_number()
    job.session_id = my_session.id
    job.database = MyDatabaseId
    job.launcher = GetAuthenticatedUserId()
    job.user = user
    job.security_context = security_context
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
    if not launch.submitted:
        ring_size = launch.queue_size if launch.queue_size < MAX_RING_SIZE else MAX_RING_SIZE
    allocate_for_job(request_size, ring_size, &request, &ring)
    write_request(address(request), launch)
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    draining = registry.draining
    over_limit = my_session.active >= setting_max_workers
    if not draining and not over_limit:
        job = take_entry(&garbage)
    if job != NULL:
        fill_entry(job, launch, cookie)
        job.request = request
        job.request_size = request_size
        job.ring = ring
        job.ring_size = ring_size
        my_session.active += 1
        my_session.launched += 1
        worker = choose_idle_worker(job, (<JobRequest *>address(request)).settings_hash)
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
    if over_limit:
        raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                          psprintf(b"This session runs %d jobs; pg_background.max_workers is %d.",
                                   my_session.active, setting_max_workers),
                          b"Wait for a job to finish, or increase pg_background.max_workers.",
                          b"too many background workers")
    raise_with_hint(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                    b"Read or detach finished jobs, or increase pg_background.max_jobs.",
                    b"too many tracked jobs")
    return NULL


cdef void withdraw_job(Job *job) noexcept nogil:
    """Take back a job that no worker was found for; its handle was never given out."""
    global my_pending_job
    cdef Garbage garbage
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    give_up_memory(job, &garbage)
    free_entry(job)
    my_session.active -= 1
    my_session.launched -= 1
    my_pending_job = NULL
    unlock_registry()
    dispose(&garbage)


cdef void assign_fresh_body(void *arg) noexcept nogil:
    assign_fresh_worker(<Job *>arg)


cdef Datum launch_job(FunctionCallInfo fcinfo, bint submitted) noexcept nogil:
    """The body of launch and submit; returns the handle."""
    global my_pending_job
    cdef Launch launch
    cdef Job *job
    cdef ErrorData *error
    cdef uint64_t cookie
    cdef text *sql
    cdef TupleDesc row = row_type(fcinfo)
    cdef Datum values[2]
    cdef cbool nulls[2]
    if arg_isnull(fcinfo, 0):
        raise_error(ERRCODE_NULL_VALUE_NOT_ALLOWED, b"sql parameter cannot be NULL")
    sql = arg_text(fcinfo, 0)
    launch.sql = VARDATA_ANY(sql)
    launch.sql_size = VARSIZE_ANY_EXHDR(sql)
    launch.queue_size = checked_queue_size(0 if arg_isnull(fcinfo, 1) else arg_int32(fcinfo, 1))
    launch.label = NULL
    if arg_count(fcinfo) > 2 and not arg_isnull(fcinfo, 2):
        launch.label = text_to_cstring(arg_text(fcinfo, 2))
        check_label(launch.label)
    launch.submitted = submitted
    copy_clipped(launch.preview, PREVIEW_BYTES, launch.sql, <int>launch.sql_size, PREVIEW_CHARS)
    check_security_context()
    check_connect()
    join_sessions()
    cookie = new_cookie()
    launch.settings_size = serialize_settings()
    launch.libraries_size = serialize_libraries()
    debug_point("launch_before_accept")
    job = accept_job(&launch, cookie)
    if assigned_pid == 0:
        my_pending_job = job
        error = catch_error(assign_fresh_body, job, False)
        if error != NULL:
            withdraw_job(job)
            ReThrowError(error)
        my_pending_job = NULL
    debug_point("launch_before_return")
    values[0] = Int32GetDatum(assigned_pid)
    values[1] = Int64GetDatum(<int64_t>cookie)
    memset(nulls, 0, sizeof(nulls))
    return HeapTupleGetDatum(heap_form_tuple(row, values, nulls))


cdef public Datum pgbg_launch(FunctionCallInfo fcinfo) noexcept nogil:
    return launch_job(fcinfo, False)


cdef public Datum pgbg_submit(FunctionCallInfo fcinfo) noexcept nogil:
    return launch_job(fcinfo, True)
