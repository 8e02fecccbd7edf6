# The jobs of the whole server, for the view pg_background_jobs.

cdef enum:
    JOBS_COLUMNS = 19


cdef void set_progress(Datum *values, cbool *nulls, int i, Job *job, Job *copy, int32_t worker_pid) noexcept nogil:
    """What the job has reported, else what the server knows of its command."""
    cdef char message[256]
    cdef int32_t percent = -1
    cdef bint has_text = False
    nulls[i] = True
    nulls[i + 1] = True
    if not read_progress(job, &percent, message, &has_text) and worker_pid != 0:
        has_text = read_command_progress(worker_pid, &percent, message)
    if not is_same_job(job, copy.cookie):
        return
    values[i] = Int32GetDatum(percent)
    nulls[i] = percent < 0
    if has_text:
        set_job_text(values, nulls, i + 1, copy, message)


cdef void store_job(Job *job, Job *copy, int32_t worker_pid, Tuplestorestate *store, TupleDesc desc) noexcept nogil:
    cdef Datum values[19]
    cdef cbool nulls[19]
    cdef bint failed = has_failed(copy)
    cdef Visibility visibility = visibility_of(copy)
    memset(nulls, 1, sizeof(nulls))
    values[0] = Int32GetDatum(copy.pid)
    nulls[0] = False
    values[1] = Int64GetDatum(<int64_t>copy.cookie)
    nulls[1] = not may_cancel(copy)
    if visibility == SEES_PLACE and nulls[1] and worker_pid == 0:
        # without a process pg_stat_activity has nothing either
        return
    values[2] = Int32GetDatum(worker_pid)
    nulls[2] = worker_pid == 0
    values[3] = ObjectIdGetDatum(copy.identity.database)
    nulls[3] = False
    values[4] = ObjectIdGetDatum(copy.identity.user)
    nulls[4] = False
    set_preview(values, nulls, 14, copy, visibility)
    if visibility > SEES_PLACE:
        set_label(values, nulls, 5, copy)
        set_text(values, nulls, 6, state_name(copy.state))
        set_time(values, nulls, 7, copy.launched_at)
        set_time(values, nulls, 8, copy.started_at)
        set_time(values, nulls, 9, copy.finished_at)
        set_end(values, nulls, 10, copy)
        set_text(values, nulls, 12, unpack_sql_state(sqlstate_of(copy)) if failed else NULL)
        set_text(values, nulls, 13, end_reason(copy) if failed and visibility == SEES_ALL else NULL)
        set_progress(values, nulls, 15, job, copy, worker_pid)
        set_size(values, nulls, 17, pg_atomic_read_u64(&copy.produced))
        set_size(values, nulls, 18, pg_atomic_read_u64(&copy.spilled) if copy.file_number != 0 else 0)
    tuplestore_putvalues(store, desc, values, nulls)


cdef void set_size(Datum *values, cbool *nulls, int i, uint64_t size) noexcept nogil:
    values[i] = Int64GetDatum(<int64_t>size)
    nulls[i] = False


cdef public Datum pgbg_jobs(FunctionCallInfo fcinfo) noexcept nogil:
    """All that the registry knows, also of jobs that are consumed or detached, until their entries are reused."""
    cdef TupleDesc desc = NULL
    cdef Tuplestorestate *store = materialized(fcinfo, &desc)
    cdef MemoryContext row_context = create_context(CurrentMemoryContext, "pg_background row")
    cdef MemoryContext old
    cdef Job copy
    cdef int32_t i, worker_pid
    join_sessions()
    forget_backend_snapshot()
    for i in range(registry.jobs_size):
        if registry.cookies[i] == 0:
            continue
        # one at a time: ten thousand would keep launches waiting
        share_registry()
        copy = registry.jobs[i]
        worker_pid = registry.workers[copy.worker].pid if copy.worker >= 0 else 0
        unlock_registry()
        if copy.cookie == 0:
            continue
        old = MemoryContextSwitchTo(row_context)
        store_job(&registry.jobs[i], &copy, worker_pid, store, desc)
        MemoryContextSwitchTo(old)
        MemoryContextReset(row_context)
        CHECK_FOR_INTERRUPTS()
    MemoryContextDelete(row_context)
    return 0
