# What the catalogues of 1.8 and 2.0 call and ours does not, where it differs: a server that has this library and still
# such a catalogue gets what that declares. The other symbols are names of ours, in shim/symbols.h.

cdef Job *my_unfinished_job         # the last job that this session waited for in vain, with its cookie
cdef uint64_t my_unfinished_cookie


cdef public Datum pg_background_launch(FunctionCallInfo fcinfo) noexcept nogil:
    """An int4 in 1.8, as a handle that is cast; a handle in 2.0."""
    cdef Launch launch
    cdef Handle handle
    cdef Oid type = InvalidOid
    get_call_result_type(fcinfo, &type, NULL)
    if type != INT4OID:
        return pgbg_launch(fcinfo)
    read_launch(fcinfo, &launch)
    join_sessions()
    # may raise: before the job is launched
    reserve_pin(0)
    handle = start_job(&launch)
    pin_worker(handle.pid, handle.cookie)
    return Int32GetDatum(handle.pid)


cdef int returned_columns(FunctionCallInfo fcinfo) noexcept nogil:
    """How many the function is declared to return."""
    cdef TupleDesc desc = NULL
    get_call_result_type(fcinfo, NULL, &desc)
    return 0 if desc == NULL else desc.natts


cdef public Datum pg_background_stats(FunctionCallInfo fcinfo) noexcept nogil:
    """Eight columns in 2.0, seven in 1.8, which has none for jobs that ran out of time: there they have failed."""
    cdef Session session
    cdef Datum values[STATS_COLUMNS]
    cdef cbool nulls[STATS_COLUMNS]
    cdef int i
    memset(nulls, 0, sizeof(nulls))
    session = set_stats(values)
    if returned_columns(fcinfo) < STATS_MAX_WORKERS + 1:
        values[STATS_WORKERS_FAILED] = Int64GetDatum(session.failed + session.timed_out)
        for i in range(STATS_WORKERS_TIMED_OUT, STATS_MAX_WORKERS):
            values[i] = values[i + 1]
        return row_datum(fcinfo, b"88884d4", values, nulls)
    return row_datum(fcinfo, stats_types(), values, nulls)


cdef public Datum pg_background_stats_v2(FunctionCallInfo fcinfo) noexcept nogil:
    """2.0's second name of it."""
    return pg_background_stats(fcinfo)


cdef public Datum pg_background_get_progress(FunctionCallInfo fcinfo) noexcept nogil:
    """Not strict in the old catalogues."""
    if arg_isnull(fcinfo, 0) or arg_isnull(fcinfo, 1):
        fcinfo.isnull = True
        return 0
    return pgbg_get_progress(fcinfo)


cdef public Datum pg_background_get_progress_v2(FunctionCallInfo fcinfo) noexcept nogil:
    """2.0's second name of it."""
    return pg_background_get_progress(fcinfo)


cdef public Datum pg_background_wait(FunctionCallInfo fcinfo) noexcept nogil:
    """Remembers the job that is not finished, for pg_background_record_timeout."""
    global my_unfinished_job, my_unfinished_cookie
    cdef Datum finished = pgbg_wait(fcinfo)
    if not DatumGetBool(finished):
        my_unfinished_cookie = handle_argument(fcinfo).cookie
        share_registry()
        my_unfinished_job = find_by_cookie(my_unfinished_cookie)
        unlock_registry()
    return finished


cdef public Datum pg_background_record_timeout(FunctionCallInfo fcinfo) noexcept nogil:
    """2.0's pg_background_run says by this that the job it has waited for has run out of time; whether it is canceled
    before or after that, it counts as timed out and not as canceled."""
    global my_unfinished_job
    cdef Job *job = my_unfinished_job
    cdef Totals *totals
    my_unfinished_job = NULL
    join_sessions()
    if job == NULL:
        return 0
    lock_registry()
    if is_same_job(job, my_unfinished_cookie) and job.session_id == my_session.id:
        if not is_final(job.state):
            job.overdue = True
        elif job.state == JOB_CANCELED:
            job.state = JOB_TIMED_OUT
            my_session.canceled -= 1
            my_session.timed_out += 1
            totals = totals_of_ended(job)
            totals.ended[<int>JOB_CANCELED] -= 1
            totals.ended[<int>JOB_TIMED_OUT] += 1
    unlock_registry()
    return 0
