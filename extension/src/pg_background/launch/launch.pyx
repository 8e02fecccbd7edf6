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
    char traceparent[56]
    bint keeps_history
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
    snprintf(launch.traceparent, TRACE_BYTES, b"%s", setting_traceparent)
    check_label(launch.label, GetDatabaseEncoding())
    require_unrestricted()
    require_rights(&launch.identity, GetCurrentRoleId())
    if launch.identity.is_away and not may_come_from_elsewhere(launch.identity.database, launch.identity.login):
        raise_not_from_elsewhere(launch.identity.database)
    launch.keeps_history = setting_history
    read_limits(&launch.role_limits, &launch.database_limits)
    if launch.identity.is_away:
        launch.keeps_history = keeps_history_elsewhere(launch.identity.database, launch.identity.login)
        read_limits_elsewhere(launch.identity.database, launch.identity.login, &launch.database_limits)
    launch.may_take_reserve = may_take_reserve(launch.identity.login)
    if launch.may_take_reserve:
        # as with CONNECTION LIMIT: an administrator is not to be kept out of a database by those who are in it
        memset(&launch.database_limits, 0, sizeof(Limits))
    launch.keeps_history = launch.keeps_history and not RecoveryInProgress()
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
    cdef TupleDesc row = row_type(fcinfo, handle_types())
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
