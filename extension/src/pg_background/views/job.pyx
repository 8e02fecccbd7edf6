# result_info, error_info, full_sql, outcome: what is known of one job, as rows. All work on a copy of its entry.

cdef enum:
    COPY_STEP = 65536           # bytes copied while the lock is held


cdef Job *look_up(Handle *handle, Job *copy) noexcept nogil:
    """The job with a copy of its entry, or NULL; a consumed or detached one too, until its entry is reused."""
    cdef Job *job
    share_registry()
    job = find_by_cookie(handle.cookie)
    if job != NULL and job.pid == handle.pid:
        copy[0] = job[0]
    else:
        job = NULL
    unlock_registry()
    return job


cdef Job *look_up_tracked(Handle *handle, Job *copy, Oid also_allowed) noexcept nogil:
    """As look_up; raises as find_job does."""
    cdef Job *job
    join_sessions()
    find_job(handle, also_allowed)
    job = look_up(handle, copy)
    if job == NULL:
        raise_unknown(handle.pid)
    return job


cdef char *copy_piece(Job *job, uint64_t cookie, dsa_pointer *piece, uint32_t size) noexcept nogil:
    """A copy of a piece of the job's memory, or NULL where the job has none or gives it up meanwhile.

    Whoever frees a piece takes it from the entry first, under the lock; a large one is copied in several steps.
    """
    cdef dsa_pointer first = piece[0]
    cdef char *copy
    cdef uint32_t done = 0
    cdef uint32_t step
    cdef bint there
    if first == InvalidDsaPointer or size == 0:
        return NULL
    copy = <char *>MemoryContextAllocExtended(CurrentMemoryContext, size, MCXT_ALLOC_HUGE)
    while done < size:
        step = size - done if size - done < COPY_STEP else <uint32_t>COPY_STEP
        share_registry()
        there = is_same_job(job, cookie) and piece[0] == first
        if there:
            memcpy(copy + done, <char *>address(first) + done, step)
        unlock_registry()
        if not there:
            pfree(copy)
            return NULL
        done += step
        CHECK_FOR_INTERRUPTS()
    return copy


cdef int32_t sqlstate_of(Job *copy) noexcept nogil:
    """Of a job that failed, also where its process ended before it could say so."""
    if copy.state == JOB_LOST:
        return ERRCODE_CONNECTION_FAILURE
    return copy.sqlstate if copy.sqlstate != 0 else <int32_t>ERRCODE_QUERY_CANCELED


cdef inline bint has_failed(Job *copy) noexcept nogil:
    return is_final(copy.state) and copy.state != JOB_STOPPED


cdef ErrorData *error_of_job(Job *job, Job *copy) noexcept nogil:
    """The error that the job ended with, or NULL. Once the job's memory is gone it is its code and the beginning of
    its message."""
    cdef ErrorData *error
    cdef char *packed
    if not has_failed(copy):
        return NULL
    error = <ErrorData *>palloc0(sizeof(ErrorData))
    packed = copy_piece(job, copy.cookie, &job.error, copy.error_size)
    if packed != NULL:
        unpack_error(packed, error, copy.encoding)
        pfree(packed)
    if error.message == NULL:
        error.message = pstrdup(end_reason(copy))
    error.sqlerrcode = sqlstate_of(copy)
    return error


cdef void set_text(Datum *values, cbool *nulls, int i, const char *text) noexcept nogil:
    """A column of a row; NULL stays NULL."""
    nulls[i] = text == NULL
    if text != NULL:
        values[i] = CStringGetTextDatum(text)


cdef void set_job_text(Datum *values, cbool *nulls, int i, Job *copy, const char *text) noexcept nogil:
    """Of a job that may belong to a database of another encoding."""
    set_text(values, nulls, i, NULL if text == NULL else shown_here(text, copy.encoding))


cdef void set_label(Datum *values, cbool *nulls, int i, Job *copy) noexcept nogil:
    """The label in this database's encoding; NULL where there is none."""
    set_text(values, nulls, i, NULL if copy.label[0] == 0 else entry_text_here(copy.label, copy.encoding))


cdef void set_preview(Datum *values, cbool *nulls, int i, Job *copy, Visibility visibility) noexcept nogil:
    """The beginning of the SQL for who may see it, else the words of pg_stat_activity."""
    if visibility == SEES_PLACE:
        set_text(values, nulls, i, "<insufficient privilege>")
    else:
        set_text(values, nulls, i, entry_text_here(copy.preview, copy.encoding))


cdef void set_end(Datum *values, cbool *nulls, int i, Job *copy) noexcept nogil:
    """row_count and command_tag from column i on; a job that failed has none, as its work was rolled back."""
    cdef bint known = copy.state == JOB_STOPPED and copy.command_tag[0] != 0
    values[i] = Int64GetDatum(copy.row_count if known else 0)
    nulls[i] = False
    set_text(values, nulls, i + 1, copy.command_tag if known else NULL)


cdef void set_time(Datum *values, cbool *nulls, int i, TimestampTz time) noexcept nogil:
    """NULL for what has not happened."""
    values[i] = TimestampTzGetDatum(time)
    nulls[i] = time == 0


cdef public Datum pgbg_result_info(FunctionCallInfo fcinfo) noexcept nogil:
    """result_info(handle): raises what find_job raises; members of pg_read_all_stats may, too."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef Job copy
    cdef Datum values[RESULT_COLUMNS]
    cdef cbool nulls[RESULT_COLUMNS]
    look_up_tracked(&handle, &copy, ROLE_PG_READ_ALL_STATS)
    memset(nulls, 0, sizeof(nulls))
    set_end(values, nulls, RESULT_ROW_COUNT, &copy)
    values[RESULT_COMPLETED] = BoolGetDatum(is_final(copy.state))
    values[RESULT_HAS_ERROR] = BoolGetDatum(has_failed(&copy))
    set_time(values, nulls, RESULT_STARTED_AT, copy.started_at)
    set_time(values, nulls, RESULT_FINISHED_AT, copy.finished_at)
    return row_datum(fcinfo, result_types(), values, nulls)


cdef public Datum pgbg_error_info(FunctionCallInfo fcinfo) noexcept nogil:
    """One row, of NULLs unless the job has failed."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef Job copy
    cdef Job *job = look_up_tracked(&handle, &copy, InvalidOid)
    cdef ErrorData *error = error_of_job(job, &copy)
    cdef Datum values[ERROR_COLUMNS]
    cdef cbool nulls[ERROR_COLUMNS]
    memset(nulls, 1, sizeof(nulls))
    if error != NULL:
        set_text(values, nulls, ERROR_SQLSTATE, unpack_sql_state(error.sqlerrcode))
        set_text(values, nulls, ERROR_MESSAGE, error.message)
        set_text(values, nulls, ERROR_DETAIL, error.detail)
        set_text(values, nulls, ERROR_HINT, error.hint)
        set_text(values, nulls, ERROR_CONTEXT, error.context)
        set_text(values, nulls, ERROR_SCHEMA_NAME, error.schema_name)
        set_text(values, nulls, ERROR_TABLE_NAME, error.table_name)
        set_text(values, nulls, ERROR_COLUMN_NAME, error.column_name)
        set_text(values, nulls, ERROR_CONSTRAINT_NAME, error.constraint_name)
    return row_datum(fcinfo, error_types(), values, nulls)


cdef public Datum pgbg_full_sql(FunctionCallInfo fcinfo) noexcept nogil:
    """NULL when the job is over and its memory was needed for others."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef Job copy
    cdef Job *job = look_up_tracked(&handle, &copy, InvalidOid)
    cdef char *request = copy_piece(job, handle.cookie, &job.request, copy.request_size)
    if request == NULL:
        fcinfo.isnull = True
        return 0
    return CStringGetTextDatum(shown_here(request_sql(<JobRequest *>request), copy.encoding))


cdef int32_t process_of(Job *job, uint64_t cookie) noexcept nogil:
    """The process that runs the job now, or 0."""
    cdef int32_t pid
    share_registry()
    pid = pid_that_runs(job_index(job), cookie)
    unlock_registry()
    return pid if pid > 0 else 0


cdef public Datum pgbg_worker_pid(FunctionCallInfo fcinfo) noexcept nogil:
    """The process that runs the job now, else NULL: the view pg_background_activity looks at that one only."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef Job copy
    cdef Job *job
    cdef int32_t pid = 0
    join_sessions()
    job = look_up(&handle, &copy)
    if job != NULL and copy.state == JOB_RUNNING and visibility_of(&copy) > SEES_PLACE:
        pid = process_of(job, handle.cookie)
    fcinfo.isnull = pid == 0
    return Int32GetDatum(pid)


# ---- outcome

cdef void set_outcome(Datum *values, cbool *nulls, Job *job, Job *copy) noexcept nogil:
    """The columns for a job of which something is known, to who may see that."""
    cdef ErrorData *error = error_of_job(job, copy)
    memset(nulls, 0, OUTCOME_COLUMNS * sizeof(cbool))
    values[OUTCOME_PID] = Int32GetDatum(copy.pid)
    values[OUTCOME_COOKIE] = Int64GetDatum(<int64_t>copy.cookie)
    set_text(values, nulls, OUTCOME_STATE, state_name(copy.state))
    values[OUTCOME_CONSUMED] = BoolGetDatum(copy.was_read or copy.reader == READER_READING)
    values[OUTCOME_COMPLETED] = BoolGetDatum(is_final(copy.state))
    values[OUTCOME_HAS_ERROR] = BoolGetDatum(error != NULL)
    set_end(values, nulls, OUTCOME_ROW_COUNT, copy)
    set_text(values, nulls, OUTCOME_SQLSTATE, unpack_sql_state(error.sqlerrcode) if error != NULL else NULL)
    set_text(values, nulls, OUTCOME_ERROR_MESSAGE,
             error.message if error != NULL and visibility_of(copy) == SEES_ALL else NULL)
    set_label(values, nulls, OUTCOME_LABEL, copy)
    values[OUTCOME_LAUNCHED_AT] = TimestampTzGetDatum(copy.launched_at)


cdef void set_unknown_outcome(Datum *values, cbool *nulls, Handle *handle) noexcept nogil:
    """That nothing is known: neither a state nor whether it has ended."""
    memset(nulls, 1, OUTCOME_COLUMNS * sizeof(cbool))
    values[OUTCOME_PID] = Int32GetDatum(handle.pid)
    values[OUTCOME_COOKIE] = Int64GetDatum(<int64_t>handle.cookie)
    nulls[OUTCOME_PID] = False
    nulls[OUTCOME_COOKIE] = False


cdef public Datum pgbg_outcome(FunctionCallInfo fcinfo) noexcept nogil:
    """Never an error for a handle, whatever has become of it: of a stranger's job nothing is known either."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef Job copy
    cdef Job *job
    cdef Datum values[OUTCOME_COLUMNS]
    cdef cbool nulls[OUTCOME_COLUMNS]
    join_sessions()
    job = look_up(&handle, &copy)
    if job != NULL and visibility_of(&copy) > SEES_PLACE:
        set_outcome(values, nulls, job, &copy)
    else:
        set_unknown_outcome(values, nulls, &handle)
    return row_datum(fcinfo, outcome_types(), values, nulls)
