# run and run_query: launch a job, wait for it and forget it in one call. However the call ends, so does the job.

cdef struct Run:
    Hold hold
    Reading reading
    bint is_done                # ... else its job is canceled as it ends
    TimestampTz started
    int32_t timeout             # ms; 0: none
    bint wants_rows             # as run_query
    Datum values[RUN_COLUMNS]
    cbool nulls[RUN_COLUMNS]


cdef void end_run(void *what) noexcept nogil:
    """The one place that forgets the job of a run; also when the session ends."""
    cdef Run *run = <Run *>what
    if not run.is_done:
        signal_worker(run.reading.job, run.reading.handle.cookie, False)
    detach_job(run.reading.job, run.reading.handle.cookie)


cdef void replay_notices(Stream *stream) noexcept nogil:
    """As they come, until the job ends."""
    stream.taking = True
    while next_message(stream):
        if stream.kind == MSG_NOTICE:
            replay_notice(stream)


cdef void describe_run(Run *run) noexcept nogil:
    """Fill run's row with the outcome, once the job has ended or is given up."""
    cdef Job copy
    cdef Job *job = look_up(&run.reading.handle, &copy)
    if job == NULL:
        raise_unknown(run.reading.handle.pid)
    set_outcome(run.values, run.nulls, job, &copy)
    run.values[RUN_TIMED_OUT] = BoolGetDatum(copy.state == JOB_TIMED_OUT or run.reading.stream.given_up)
    run.nulls[RUN_TIMED_OUT] = False
    run.values[RUN_ELAPSED_MS] = Int64GetDatum(TimestampDifferenceMilliseconds(run.started, GetCurrentTimestamp()))
    run.nulls[RUN_ELAPSED_MS] = False


cdef void run_body(void *what) noexcept nogil:
    """Body of run_guarded: wait for the job's end and read its rows, or its notices; end_run then forgets the job."""
    cdef Run *run = <Run *>what
    cdef Reading *reading = &run.reading
    open_stream(&reading.stream, reading.job, &reading.handle)
    reading.stream.gives_up_quietly = not run.wants_rows
    if run.timeout > 0:
        reading.stream.deadline = run.started + <TimestampTz>run.timeout * 1000
    debug_point("run_before_reading")
    if run.wants_rows:
        look_for_columns(reading)
        take_rows(reading)
    else:
        replay_notices(&reading.stream)
        describe_run(run)
    run.is_done = True


cdef void run_to_the_end(FunctionCallInfo fcinfo, Run *run) noexcept nogil:
    """(sql, queue_size, timeout_ms, label, …): raises the errors of the launch, of the caller, and of the reading."""
    cdef Launch launch
    cdef Hold *outer = my_holds
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
    run.reading.job = find_by_cookie(run.reading.handle.cookie)
    unlock_registry()
    if run.reading.job == NULL:
        raise_unknown(run.reading.handle.pid)
    take_hold(&run.hold, end_run, run)
    run_guarded(run_body, run, outer)


cdef void describe_no_run(FunctionCallInfo fcinfo, Run *run) noexcept nogil:
    """Of no SQL there is no job: the outcome of one that was refused, without a handle."""
    cdef Job none
    memset(&none, 0, sizeof(none))
    none.identity.user = GetUserId()
    none.state = JOB_ERROR
    none.encoding = GetDatabaseEncoding()
    none.sqlstate = ERRCODE_NULL_VALUE_NOT_ALLOWED
    snprintf(none.message, MESSAGE_BYTES, b"sql parameter cannot be NULL")
    set_outcome(run.values, run.nulls, &none, &none)
    run.nulls[OUTCOME_PID] = True
    run.nulls[OUTCOME_COOKIE] = True
    set_text(run.values, run.nulls, OUTCOME_LABEL,
             NULL if arg_isnull(fcinfo, 3) else text_to_cstring(arg_text(fcinfo, 3)))
    run.nulls[OUTCOME_LAUNCHED_AT] = True
    run.values[RUN_TIMED_OUT] = BoolGetDatum(False)
    run.values[RUN_ELAPSED_MS] = Int64GetDatum(0)


cdef public Datum pgbg_run(FunctionCallInfo fcinfo) noexcept nogil:
    """run(sql, queue_size = 0, timeout_ms = 0, label = NULL): how the job ended, whatever way; no rows."""
    cdef Run run
    memset(&run, 0, sizeof(run))
    # before the job does anything
    row_type(fcinfo, run_types())
    if arg_isnull(fcinfo, 0):
        describe_no_run(fcinfo, &run)
    else:
        run_to_the_end(fcinfo, &run)
    return row_datum(fcinfo, run_types(), run.values, run.nulls)


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
