# list, stats, registry: what can be seen.

cdef const char *state_name(int state) noexcept nogil:
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
    if i == 0 or i == 4:
        return INT4OID
    if i == 1:
        return INT8OID
    if i == 2:
        return TIMESTAMPTZOID
    if i == 3:
        return OIDOID
    if i == 8:
        return BOOLOID
    return TEXTOID


cdef void check_list_columns(TupleDesc wanted) noexcept nogil:
    """Nine columns as of 1.8 or ten as of 2.0, of their types; anything else is 42804."""
    cdef int i
    if wanted.natts != 9 and wanted.natts != 10:
        raise_with_detail(ERRCODE_DATATYPE_MISMATCH,
                          psprintf(b"The list has 9 columns, or 10 with label; the column list has %d.", wanted.natts),
                          b"Use the view pg_background_list, which needs no column list.",
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
    cdef Datum values[10]
    cdef cbool nulls[10]
    cdef Visibility visibility = visibility_of(job)
    memset(nulls, visibility == SEES_PLACE, sizeof(nulls))
    values[0] = Int32GetDatum(job.pid)
    nulls[0] = False
    values[1] = Int64GetDatum(<int64_t>job.cookie)
    nulls[1] = not may_cancel(job)
    values[2] = TimestampTzGetDatum(job.launched_at)
    values[3] = ObjectIdGetDatum(job.identity.user)
    nulls[3] = False
    values[4] = Int32GetDatum(job.queue_size)
    set_preview(values, nulls, 6, job, visibility)
    if visibility > SEES_PLACE:
        set_text(values, nulls, 5, state_name(job.state))
        set_text(values, nulls, 7, end_reason(job) if has_failed(job) and visibility == SEES_ALL else NULL)
        set_label(values, nulls, 9, job)
    values[8] = BoolGetDatum(job.reader == READER_READING)
    tuplestore_putvalues(store, desc, values, nulls)


cdef int by_launch(const void *a, const void *b) noexcept nogil:
    cdef TimestampTz first = (<Job *>a).launched_at
    cdef TimestampTz second = (<Job *>b).launched_at
    return (first > second) - (first < second)


cdef Job *copy_listed_jobs(int32_t *count) noexcept nogil:
    """Nothing is allocated or sorted under the lock; only this session adds to its jobs, so the count holds."""
    cdef Job *copies
    cdef int32_t i
    cdef int32_t room = 0
    share_registry()
    for i in range(registry.jobs_size):
        room += is_listed(i)
    unlock_registry()
    copies = <Job *>MemoryContextAllocExtended(CurrentMemoryContext, sizeof(Job) * (room + 1), MCXT_ALLOC_HUGE)
    count[0] = 0
    share_registry()
    for i in range(registry.jobs_size):
        if count[0] < room and is_listed(i):
            copies[count[0]] = registry.jobs[i]
            count[0] += 1
    unlock_registry()
    qsort(copies, count[0], sizeof(Job), by_launch)
    return copies


cdef public Datum pgbg_list(FunctionCallInfo fcinfo) noexcept nogil:
    """The tracked jobs of this session, oldest first."""
    cdef TupleDesc wanted = NULL
    cdef Tuplestorestate *store = materialized(fcinfo, &wanted)
    cdef Job *copies
    cdef int32_t i
    cdef int32_t count = 0
    check_list_columns(wanted)
    join_sessions()
    copies = copy_listed_jobs(&count)
    for i in range(count):
        store_list_row(&copies[i], store, wanted)
    pfree(copies)
    return 0


cdef Session set_stats(Datum *values) noexcept nogil:
    """Eight columns; returns what they are made of."""
    cdef Session session
    join_sessions()
    share_registry()
    session = my_session[0]
    unlock_registry()
    values[0] = Int64GetDatum(session.launched)
    values[1] = Int64GetDatum(session.completed)
    values[2] = Int64GetDatum(session.failed)
    values[3] = Int64GetDatum(session.canceled)
    values[4] = Int64GetDatum(session.timed_out)
    values[5] = Int32GetDatum(session.active)
    values[6] = Float8GetDatum(session.execution_ms / session.executed if session.executed > 0 else 0.0)
    values[7] = Int32GetDatum(setting_max_workers)
    return session


cdef public Datum pgbg_stats(FunctionCallInfo fcinfo) noexcept nogil:
    """This session's counters."""
    cdef Datum values[8]
    cdef cbool nulls[8]
    memset(nulls, 0, sizeof(nulls))
    set_stats(values)
    return row_datum(fcinfo, values, nulls)


cdef public Datum pgbg_registry(FunctionCallInfo fcinfo) noexcept nogil:
    """What the shared memory holds, for leak tests and monitoring."""
    cdef Datum values[7]
    cdef cbool nulls[7]
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
    values[0] = Int32GetDatum(entries)
    values[1] = Int32GetDatum(live)
    values[2] = Int32GetDatum(unread)
    values[3] = Int32GetDatum(idle)
    values[4] = Int32GetDatum(busy)
    values[5] = Int64GetDatum(<int64_t>pg_atomic_read_u64(&registry.area_bytes))
    values[6] = Int64GetDatum(spilled)
    return row_datum(fcinfo, values, nulls)
