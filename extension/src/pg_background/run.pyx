# run and run_query: launch a job, wait for it and forget it in one call. However the call ends, so does the job.

cdef struct Run:
    Reading reading
    TimestampTz started
    int32_t timeout             # ms; 0: none
    bint wants_rows             # as run_query
    Datum values[14]            # of run's result: an outcome, timed_out, elapsed_ms
    cbool nulls[14]


cdef void end_run(bint failed) noexcept nogil:
    """The one place that forgets the job of a run; also when the session ends. Cancels one whose caller has failed."""
    global my_run
    cdef Job *job = my_run
    my_run = NULL
    if failed:
        signal_worker(job, my_run_cookie, False)
    if my_claim != NULL and my_claim == job:
        let_go(job)
    detach_job(job, my_run_cookie)


cdef void replay_notices(Stream *stream) noexcept nogil:
    """As they come, until the job ends."""
    stream.taking = True
    while next_message(stream):
        if stream.kind == MSG_NOTICE:
            replay_notice(stream)


cdef void describe_run(Run *run) noexcept nogil:
    cdef Job copy
    cdef Job *job = look_up(&run.reading.handle, &copy)
    if job == NULL:
        raise_unknown(run.reading.handle.pid)
    set_outcome(run.values, run.nulls, job, &copy)
    run.values[12] = BoolGetDatum(copy.state == JOB_TIMED_OUT or run.reading.stream.given_up)
    run.nulls[12] = False
    run.values[13] = Int64GetDatum(TimestampDifferenceMilliseconds(run.started, GetCurrentTimestamp()))
    run.nulls[13] = False


cdef void run_body(void *arg) noexcept nogil:
    cdef Run *run = <Run *>arg
    cdef Reading *reading = &run.reading
    start_looking(reading.job, &reading.handle)
    open_stream(&reading.stream, reading.job, &reading.handle)
    reading.stream.gives_up_quietly = not run.wants_rows
    if run.timeout > 0:
        reading.stream.deadline = run.started + <TimestampTz>run.timeout * 1000
    debug_point("run_before_reading")
    if run.wants_rows:
        look_for_columns(reading)
        take_rows(reading)
        return
    replay_notices(&reading.stream)
    describe_run(run)


cdef void run_to_the_end(FunctionCallInfo fcinfo, Run *run) noexcept nogil:
    """(sql, queue_size, timeout_ms, label, …): raises the errors of the launch, of the caller, and of the reading."""
    global my_run, my_run_cookie
    cdef Launch launch
    cdef ErrorData *error
    cdef Oid user = InvalidOid
    cdef int security_context = 0
    begin_launch(&launch, fcinfo)
    launch.queue_size = int_argument(fcinfo, 1)
    run.timeout = int_argument(fcinfo, 2)
    if not arg_isnull(fcinfo, 3):
        launch.label = text_to_cstring(arg_text(fcinfo, 3))
    launch.discards_rows = not run.wants_rows
    run.started = GetCurrentTimestamp()
    run.reading.handle = start_job(&launch)
    # nothing can raise in between: the job is ended from here on
    share_registry()
    my_run = find_by_cookie(run.reading.handle.cookie)
    unlock_registry()
    my_run_cookie = run.reading.handle.cookie
    run.reading.job = my_run
    if my_run == NULL:
        raise_unknown(run.reading.handle.pid)
    start_waiting(my_run, my_run_cookie)
    GetUserIdAndSecContext(&user, &security_context)
    error = catch_error(run_body, run, False)
    # a check may have failed as another role
    SetUserIdAndSecContext(user, security_context)
    stop_waiting()
    close_stream(&run.reading.stream)
    end_run(error != NULL)
    if error != NULL:
        ReThrowError(error)


cdef public Datum pgbg_run(FunctionCallInfo fcinfo) noexcept nogil:
    """run(sql, queue_size = 0, timeout_ms = 0, label = NULL): how the job ended, whatever way; no rows."""
    cdef Run run
    memset(&run, 0, sizeof(run))
    run_to_the_end(fcinfo, &run)
    return row_datum(fcinfo, run.values, run.nulls)


cdef public Datum pgbg_run_query(FunctionCallInfo fcinfo) noexcept nogil:
    """run_query(sql, queue_size = 0, timeout_ms = 0, label = NULL, col_def = NULL): the rows, or the job's error."""
    cdef Run run
    memset(&run, 0, sizeof(run))
    run.wants_rows = True
    run.reading.store = materialized(fcinfo, &run.reading.wanted)
    if not arg_isnull(fcinfo, 4):
        run.reading.wanted = with_definitions(text_to_cstring(arg_text(fcinfo, 4)), run.reading.wanted)
    run_to_the_end(fcinfo, &run)
    if run.reading.conversion.slot != NULL:
        ExecDropSingleTupleTableSlot(run.reading.conversion.slot)
    return 0
