# list, stats, registry: what can be seen.

cdef const char *state_name(int state) noexcept nogil:
    """As all views and functions call it."""
    if state == JOB_QUEUED:
        return b"queued"
    if state == JOB_STARTING:
        return b"starting"
    if state == JOB_RUNNING:
        return b"running"
    if state == JOB_STOPPED:
        return b"stopped"
    if state == JOB_ERROR:
        return b"error"
    if state == JOB_CANCELED:
        return b"canceled"
    if state == JOB_TIMED_OUT:
        return b"timed_out"
    return b"lost"


cdef Oid list_column_type(int i) noexcept nogil:
    """What check_list_columns expects."""
    if i == LIST_PID or i == LIST_QUEUE_SIZE:
        return INT4OID
    if i == LIST_COOKIE:
        return INT8OID
    if i == LIST_LAUNCHED_AT:
        return TIMESTAMPTZOID
    if i == LIST_USER_ID:
        return OIDOID
    if i == LIST_CONSUMED:
        return BOOLOID
    return TEXTOID


cdef void check_list_columns(TupleDesc wanted) noexcept nogil:
    """Raise 42804 unless these are the columns, with label as of 2.0 or without it as of 1.8, of their types."""
    cdef int i
    if wanted.natts != LIST_LABEL and wanted.natts != LIST_COLUMNS:
        raise_with_detail(ERRCODE_DATATYPE_MISMATCH,
                          psprintf(b"The list has %d columns, or %d with label; the column list has %d.",
                                   <int>LIST_LABEL, <int>LIST_COLUMNS, wanted.natts),
                          b"Use the view pg_background_list, which needs no column list. If it is the view that fails, "
                          b"restart the server: its library is older than the extension in this database.",
                          b"column list does not match the rows of pg_background_list")
    for i in range(wanted.natts):
        if column(wanted, i).atttypid != list_column_type(i):
            raise_with_detail(ERRCODE_DATATYPE_MISMATCH,
                              psprintf(b"Column %d is of type %s, type %s in the column list.", i + 1,
                                       type_name(list_column_type(i), -1),
                                       type_name(column(wanted, i).atttypid, -1)),
                              b"Use the view pg_background_list, which needs no column list.",
                              b"column list does not match the rows of pg_background_list")


cdef void store_list_row(Job *job, Tuplestorestate *store, TupleDesc desc) noexcept nogil:
    """One row; `job` is a copy of its entry."""
    cdef Datum values[LIST_COLUMNS]
    cdef cbool nulls[LIST_COLUMNS]
    cdef Visibility visibility = visibility_of(job)
    memset(nulls, visibility == SEES_PLACE, sizeof(nulls))
    values[LIST_PID] = Int32GetDatum(job.pid)
    nulls[LIST_PID] = False
    values[LIST_COOKIE] = Int64GetDatum(<int64_t>job.cookie)
    nulls[LIST_COOKIE] = not may_cancel(job)
    values[LIST_LAUNCHED_AT] = TimestampTzGetDatum(job.launched_at)
    values[LIST_USER_ID] = ObjectIdGetDatum(job.identity.user)
    nulls[LIST_USER_ID] = False
    values[LIST_QUEUE_SIZE] = Int32GetDatum(job.queue_size)
    set_preview(values, nulls, LIST_SQL_PREVIEW, job, visibility)
    if visibility > SEES_PLACE:
        set_text(values, nulls, LIST_STATE, state_name(job.state))
        set_text(values, nulls, LIST_LAST_ERROR,
                 end_reason(job) if has_failed(job) and visibility == SEES_ALL else NULL)
        set_label(values, nulls, LIST_LABEL, job)
    values[LIST_CONSUMED] = BoolGetDatum(job.reader == READER_READING)
    tuplestore_putvalues(store, desc, values, nulls)


cdef public Datum pgbg_list(FunctionCallInfo fcinfo) noexcept nogil:
    """The tracked jobs of this session, oldest first."""
    cdef TupleDesc wanted = NULL
    cdef Tuplestorestate *store = materialized(fcinfo, &wanted)
    cdef JobName *names
    cdef Job copy
    cdef int32_t i
    cdef int32_t count = 0
    check_list_columns(wanted)
    join_sessions()
    names = tracked_here(&count)
    for i in range(count):
        # one at a time, as they may be many: each row is of one moment, but not all of the same
        share_registry()
        copy = names[i].job[0]
        unlock_registry()
        if copy.cookie == names[i].cookie and copy.tracked:
            store_list_row(&copy, store, wanted)
    pfree(names)
    return 0


cdef Session set_stats(Datum *values) noexcept nogil:
    """Fill the columns of this session's counters; returns what they are made of."""
    cdef Session session
    join_sessions()
    share_registry()
    session = my_session[0]
    unlock_registry()
    values[STATS_WORKERS_LAUNCHED] = Int64GetDatum(session.launched)
    values[STATS_WORKERS_COMPLETED] = Int64GetDatum(session.completed)
    values[STATS_WORKERS_FAILED] = Int64GetDatum(session.failed)
    values[STATS_WORKERS_CANCELED] = Int64GetDatum(session.canceled)
    values[STATS_WORKERS_TIMED_OUT] = Int64GetDatum(session.timed_out)
    values[STATS_WORKERS_ACTIVE] = Int32GetDatum(session.active)
    values[STATS_AVG_EXECUTION_MS] = Float8GetDatum(
        session.execution_ms / session.executed if session.executed > 0 else 0.0)
    values[STATS_MAX_WORKERS] = Int32GetDatum(setting_max_workers)
    return session


cdef public Datum pgbg_stats(FunctionCallInfo fcinfo) noexcept nogil:
    """This session's counters."""
    cdef Datum values[STATS_COLUMNS]
    cdef cbool nulls[STATS_COLUMNS]
    memset(nulls, 0, sizeof(nulls))
    set_stats(values)
    return row_datum(fcinfo, stats_types(), values, nulls)


cdef public Datum pgbg_registry(FunctionCallInfo fcinfo) noexcept nogil:
    """What the shared memory holds, for leak tests and monitoring."""
    cdef Datum values[REGISTRY_COLUMNS]
    cdef cbool nulls[REGISTRY_COLUMNS]
    cdef int32_t entries = 0
    cdef int32_t live = 0
    cdef int32_t unread = 0
    cdef int32_t idle = 0
    cdef int32_t busy = 0
    cdef int64_t spilled = 0
    cdef Job *job
    cdef int32_t i
    require_registry()
    share_registry()
    for i in range(registry.jobs_size):
        if i % LOOK_STEP == LOOK_STEP - 1:
            # launches come in between, and so the sums may never have been true at once
            unlock_registry()
            share_registry()
        job = &registry.jobs[i]
        if registry.cookies[i] == 0:
            continue
        # history is as good as free: its entries are reused when a launch needs one
        if not job.in_history:
            entries += 1
        if not is_final(job.state):
            live += 1
        elif job.tracked and not job.submitted:
            unread += 1
        if job.file_number != 0:
            spilled += <int64_t>pg_atomic_read_u64(&job.spilled)
    for i in range(registry.workers_size):
        if registry.workers[i].state == WORKER_IDLE or registry.workers[i].state == WORKER_RESETTING:
            idle += 1
        elif registry.workers[i].state != WORKER_FREE:
            busy += 1
    unlock_registry()
    memset(nulls, 0, sizeof(nulls))
    values[REGISTRY_ENTRIES] = Int32GetDatum(entries)
    values[REGISTRY_LIVE] = Int32GetDatum(live)
    values[REGISTRY_UNREAD] = Int32GetDatum(unread)
    values[REGISTRY_IDLE_WORKERS] = Int32GetDatum(idle)
    values[REGISTRY_BUSY_WORKERS] = Int32GetDatum(busy)
    values[REGISTRY_AREA_BYTES] = Int64GetDatum(<int64_t>pg_atomic_read_u64(&registry.area_bytes))
    values[REGISTRY_SPILL_BYTES] = Int64GetDatum(spilled)
    return row_datum(fcinfo, registry_types(), values, nulls)
