# progress and get_progress: the worker writes between two increments of a version, readers retry when it changed.

cdef void store_progress(Job *job, int32_t percent, text *message) noexcept nogil:
    """Tell the progress of the running job, in its worker. Only the clipping may raise, and that comes first."""
    cdef uint32_t version = pg_atomic_read_u32(&job.progress_version)
    cdef char clipped[PROGRESS_BYTES]
    if message != NULL:
        copy_clipped(clipped, PROGRESS_BYTES, VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message), PROGRESS_BYTES,
                     job.encoding)
    # nothing may raise between the two increments
    pg_atomic_write_u32(&job.progress_version, version + 1)
    pg_memory_barrier()
    job.progress_pct = percent
    job.progress_has_text = message != NULL
    if message != NULL:
        memcpy(job.progress_text, clipped, PROGRESS_BYTES)
    pg_memory_barrier()
    pg_atomic_write_u32(&job.progress_version, version + 2)


cdef bint read_progress(Job *job, int32_t *percent, char *message, bint *has_text) noexcept nogil:
    """A consistent copy; False when nothing was reported."""
    cdef uint32_t version
    while True:
        CHECK_FOR_INTERRUPTS()
        version = pg_atomic_read_u32(&job.progress_version)
        pg_memory_barrier()
        percent[0] = job.progress_pct
        has_text[0] = job.progress_has_text
        memcpy(message, job.progress_text, PROGRESS_BYTES)
        pg_memory_barrier()
        if version % 2 == 0 and pg_atomic_read_u32(&job.progress_version) == version:
            return percent[0] >= 0


cdef int32_t percent_argument(FunctionCallInfo fcinfo) noexcept nogil:
    """0..100, clamped; NaN counts as 0."""
    cdef double value
    if argument_type(fcinfo, 0) == INT4OID:
        value = arg_int32(fcinfo, 0)
    else:
        value = arg_float8(fcinfo, 0)
    if not value >= 0:
        return 0
    return <int32_t>value if value < 100 else 100


cdef public Datum pgbg_report_progress(FunctionCallInfo fcinfo) noexcept nogil:
    """progress(pct, msg = NULL), called by the job's own SQL: raises 0A000 elsewhere, 22004 without a number."""
    if my_job == NULL:
        raise_error(ERRCODE_FEATURE_NOT_SUPPORTED,
                    b"pg_background_report_progress can only be called from a background worker")
    if arg_isnull(fcinfo, 0):
        raise_error(ERRCODE_NULL_VALUE_NOT_ALLOWED, b"pct parameter cannot be NULL")
    store_progress(my_job, percent_argument(fcinfo), NULL if arg_isnull(fcinfo, 1) else arg_text(fcinfo, 1))
    return 0


cdef public Datum pgbg_get_progress(FunctionCallInfo fcinfo) noexcept nogil:
    """One row: what the job has reported, else what the server knows of its command; of NULLs when that is nothing, or
    the handle is unknown."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef Job *job
    cdef Job copy
    cdef Datum values[PROGRESS_COLUMNS]
    cdef cbool nulls[PROGRESS_COLUMNS]
    nulls[PROGRESS_PROGRESS_PCT] = True
    nulls[PROGRESS_PROGRESS_MSG] = True
    join_sessions()
    job = look_up(&handle, &copy)
    if job != NULL and copy.tracked:
        require_right(copy.identity.user, ROLE_PG_READ_ALL_STATS, handle.pid)
        forget_backend_snapshot()
        set_progress(values, nulls, PROGRESS_PROGRESS_PCT, job, &copy, process_of(job, handle.cookie))
    return row_datum(fcinfo, progress_types(), values, nulls)
