# result: look for the columns, compare them, and only then take the rows; they can be taken once.

cdef struct Reading:
    Job *job
    Handle handle
    Stream stream
    Conversion conversion
    Tuplestorestate *store
    TupleDesc wanted
    MemoryContext context       # of the whole call
    bint has_columns            # the job returns rows
    bint as_json                # one value a row, whatever the columns


cdef inline bint is_one_text(TupleDesc wanted) noexcept nogil:
    return wanted.natts == 1 and column(wanted, 0).atttypid == TEXTOID


cdef void look_for_columns(Reading *reading) noexcept nogil:
    """Read up to the row description, or to the end of a job without one, and take nothing."""
    cdef Stream *stream = &reading.stream
    while next_message(stream):
        # no column list has zero columns: one text column gives the tags of such rows, as of none
        if stream.kind == MSG_COLUMNS and (stream.count > 0 or reading.as_json or not is_one_text(reading.wanted)):
            plan_reading(reading)
            return
    if (not reading.as_json and reading.job.state == JOB_STOPPED and pg_atomic_read_u64(&reading.job.produced) > 0
            and not is_one_text(reading.wanted)):
        check_only_notices(reading)


cdef void plan_reading(Reading *reading) noexcept nogil:
    """At the row description; where its types are not known yet, after the job's end."""
    cdef int count = <int>reading.stream.count
    cdef SentColumn *columns = unpack_columns(&reading.stream)
    if not await_types(&reading.stream, columns, count) and reading.job.state != JOB_STOPPED:
        # its error says more than that its types never came to be
        return
    reading.has_columns = True
    if reading.as_json:
        plan_json(reading, columns, count)
        return
    check_columns(columns, count, reading.wanted, reading.job)
    plan_conversion(&reading.conversion, columns, count, reading.wanted, reading.job)


cdef void check_only_notices(Reading *reading) noexcept nogil:
    """A job without rows gives its command tags, as text; an empty string gives none, to any column list."""
    cdef Stream *stream = &reading.stream
    rewind_stream(stream)
    while next_message(stream):
        if stream.kind == MSG_TAG:
            raise_error(ERRCODE_DATATYPE_MISMATCH,
                        b"remote query did not return a result set, but result rowtype is not a single text column")


cdef void replay_notice(Stream *stream) noexcept nogil:
    """Report a notice of the job to this session, with its severity."""
    cdef StringInfoData message
    cdef ErrorData notice
    memset(&notice, 0, sizeof(notice))
    message.data = stream.data
    message.len = <int>stream.size
    message.maxlen = <int>stream.size
    message.cursor = 0
    pq_parse_errornotice(&message, &notice)
    if notice.elevel >= ERROR:
        notice.elevel = WARNING
    bring_error_here(&notice, stream.job.encoding)
    # a position in the job's SQL says nothing about the statement that reads it
    notice.cursorpos = 0
    ThrowErrorData(&notice)


cdef void tell_tag(const char *tag) noexcept nogil:
    """Rows leave no place for the tags of a script: who asks for debug messages gets them beside the rows, as messages
    that bear this function's name."""
    cdef ErrorData message
    if not message_level_is_interesting(DEBUG1):
        return
    memset(&message, 0, sizeof(message))
    message.elevel = DEBUG1
    message.message = psprintf(b"command tag: %s", tag)
    message.funcname = b"tell_tag"
    ThrowErrorData(&message)
    pfree(message.message)


cdef void take_rows(Reading *reading) noexcept nogil:
    """From the first byte to the last, then the job's error if it had one."""
    cdef Stream *stream = &reading.stream
    cdef Datum value
    cdef cbool is_null = False
    rewind_stream(stream)
    become_ready(stream)
    while next_message(stream):
        if stream.kind == MSG_SHAPE and reading.has_columns:
            note_record(&reading.conversion, stream)
        elif stream.kind == MSG_ROWS and reading.as_json:
            store_json(reading, stream.data, stream.count)
        elif stream.kind == MSG_ROWS and reading.has_columns:
            store_rows(&reading.conversion, reading.store, stream.data, stream.count)
        elif stream.kind == MSG_NOTICE:
            replay_notice(stream)
        elif stream.kind == MSG_TAG and reading.has_columns:
            tell_tag(stream.data)
        elif stream.kind == MSG_TAG and reading.job.state == JOB_STOPPED:
            # a tag needs no escaping
            value = CStringGetTextDatum(psprintf(b"{\"command_tag\":\"%s\"}", stream.data) if reading.as_json
                                        else stream.data)
            tuplestore_putvalues(reading.store, reading.wanted, &value, &is_null)
            pfree(DatumGetPointer(value))
    start_taking(stream)
    if reading.job.state != JOB_STOPPED:
        raise_job_error(reading.job, reading.handle.pid)


cdef void read_body(void *what) noexcept nogil:
    """Body of run_guarded: claim the output, look for the columns, take the rows; raises the job's error."""
    cdef Reading *reading = <Reading *>what
    open_stream(&reading.stream, reading.job, &reading.handle)
    debug_point("reader_before_columns")
    look_for_columns(reading)
    take_rows(reading)


cdef void read_result(FunctionCallInfo fcinfo, Reading *reading) noexcept nogil:
    """Into the caller's tuplestore, in the form that `reading` tells."""
    join_sessions()
    reading.job = find_job(&reading.handle, InvalidOid)
    refuse_submitted(reading.job, &reading.handle)
    reading.store = materialized(fcinfo, &reading.wanted)
    run_guarded(read_body, reading, my_holds)
    if reading.conversion.slot != NULL:
        ExecDropSingleTupleTableSlot(reading.conversion.slot)


cdef void refuse_submitted(Job *job, Handle *handle) noexcept nogil:
    """Raise 0A000 for a job that was launched without output."""
    if job.submitted:
        raise_error(ERRCODE_FEATURE_NOT_SUPPORTED,
                    b"results are disabled for PID %d (submitted via pg_background_submit)", handle.pid)


cdef public Datum pgbg_result(FunctionCallInfo fcinfo) noexcept nogil:
    """result(handle) AS (column list)."""
    cdef Reading reading
    memset(&reading, 0, sizeof(reading))
    reading.handle = handle_argument(fcinfo)
    read_result(fcinfo, &reading)
    return 0


cdef void check_row_type(FunctionCallInfo fcinfo) noexcept nogil:
    """Raise 42804 for a domain over a row type, whose constraints rows of columns have not passed."""
    cdef Oid type = InvalidOid
    if get_call_result_type(fcinfo, &type, NULL) == TYPEFUNC_COMPOSITE_DOMAIN and has_constraints(type):
        raise_mismatch(psprintf(b"Rows are not checked by the constraints of domain %s.", type_name(type, -1)),
                       "Give the type that it is based on, and cast the rows.")


cdef public Datum pgbg_result_typed(FunctionCallInfo fcinfo) noexcept nogil:
    """result(NULL::my_table, pid, cookie): the type stands for the column list; not strict, as it is mostly a NULL."""
    cdef Reading reading
    memset(&reading, 0, sizeof(reading))
    if arg_isnull(fcinfo, 1) or arg_isnull(fcinfo, 2):
        materialized(fcinfo, &reading.wanted)
        return 0
    check_row_type(fcinfo)
    reading.handle = handle_at(fcinfo, 1)
    read_result(fcinfo, &reading)
    return 0
