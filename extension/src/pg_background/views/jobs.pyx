# The jobs of the whole server, for the view pg_background_jobs.

cdef void set_progress(Datum *values, cbool *nulls, int i, Job *job, Job *copy, int32_t worker_pid) noexcept nogil:
    """What the job has reported, else what the server knows of its command."""
    cdef char message[PROGRESS_BYTES]
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
    """One row, of what the current role may see of the job; in the row's memory context."""
    cdef Datum values[JOBS_COLUMNS]
    cdef cbool nulls[JOBS_COLUMNS]
    cdef bint failed = has_failed(copy)
    cdef Visibility visibility = visibility_of(copy)
    memset(nulls, 1, sizeof(nulls))
    values[JOBS_PID] = Int32GetDatum(copy.pid)
    nulls[JOBS_PID] = False
    values[JOBS_COOKIE] = Int64GetDatum(<int64_t>copy.cookie)
    nulls[JOBS_COOKIE] = not may_cancel(copy)
    if visibility == SEES_PLACE and nulls[JOBS_COOKIE] and worker_pid == 0:
        # without a process pg_stat_activity has nothing either
        return
    values[JOBS_WORKER_PID] = Int32GetDatum(worker_pid)
    nulls[JOBS_WORKER_PID] = worker_pid == 0
    values[JOBS_DATABASE] = ObjectIdGetDatum(copy.identity.database)
    nulls[JOBS_DATABASE] = False
    values[JOBS_ROLE] = ObjectIdGetDatum(copy.identity.user)
    nulls[JOBS_ROLE] = False
    set_preview(values, nulls, JOBS_SQL_PREVIEW, copy, visibility)
    if visibility > SEES_PLACE:
        set_label(values, nulls, JOBS_LABEL, copy)
        set_text(values, nulls, JOBS_STATE, state_name(copy.state))
        set_time(values, nulls, JOBS_QUEUED_AT, copy.launched_at)
        set_time(values, nulls, JOBS_STARTED_AT, copy.started_at)
        set_time(values, nulls, JOBS_FINISHED_AT, copy.finished_at)
        set_end(values, nulls, JOBS_ROW_COUNT, copy)
        set_text(values, nulls, JOBS_SQLSTATE, unpack_sql_state(sqlstate_of(copy)) if failed else NULL)
        set_text(values, nulls, JOBS_ERROR_MESSAGE, end_reason(copy) if failed and visibility == SEES_ALL else NULL)
        set_progress(values, nulls, JOBS_PROGRESS_PCT, job, copy, worker_pid)
        set_size(values, nulls, JOBS_RESULT_BYTES, pg_atomic_read_u64(&copy.produced))
        set_size(values, nulls, JOBS_TEMP_BYTES, pg_atomic_read_u64(&copy.spilled) if copy.file_number != 0 else 0)
    tuplestore_putvalues(store, desc, values, nulls)


cdef void set_size(Datum *values, cbool *nulls, int i, uint64_t size) noexcept nogil:
    values[i] = Int64GetDatum(<int64_t>size)
    nulls[i] = False


cdef bint copy_entry(int32_t i, Job *copy, int32_t *worker_pid) noexcept nogil:
    """Of this number; False where it is free.

    Those who go through all entries lock one at a time: ten thousand would keep launches waiting. So what each shows is
    of one moment, and not all are of the same: a job that is launched meanwhile is there or not, and never twice, as no
    entry is looked at again.
    """
    if registry.cookies[i] == 0:
        return False
    share_registry()
    copy[0] = registry.jobs[i]
    worker_pid[0] = registry.workers[copy.worker].pid if copy.worker >= 0 else 0
    unlock_registry()
    return copy.cookie != 0


ctypedef void (*store_row)(Job *job, Job *copy, int32_t worker_pid, Tuplestorestate *store,
                           TupleDesc desc) noexcept nogil


cdef Datum rows_of_jobs(FunctionCallInfo fcinfo, const char *types, store_row store_view) noexcept nogil:
    """The rows that a view has of each job that the registry knows; they are made in the row's memory context, and who
    makes them says what the current role may see."""
    cdef TupleDesc desc = NULL
    cdef Tuplestorestate *store = materialized_as(fcinfo, types, &desc)
    cdef MemoryContext row_context = create_context(CurrentMemoryContext, "pg_background row")
    cdef MemoryContext old
    cdef Job copy
    cdef int32_t worker_pid = 0
    cdef int32_t i
    require_registry()
    for i in range(registry.jobs_size):
        if not copy_entry(i, &copy, &worker_pid):
            continue
        old = MemoryContextSwitchTo(row_context)
        store_view(&registry.jobs[i], &copy, worker_pid, store, desc)
        MemoryContextSwitchTo(old)
        MemoryContextReset(row_context)
        CHECK_FOR_INTERRUPTS()
    MemoryContextDelete(row_context)
    return 0


cdef public Datum pgbg_jobs(FunctionCallInfo fcinfo) noexcept nogil:
    """All that the registry knows, also of jobs that are consumed or detached, until their entries are reused."""
    join_sessions()
    forget_backend_snapshot()
    return rows_of_jobs(fcinfo, jobs_types(), store_job)
