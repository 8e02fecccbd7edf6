# The error that a job has ended with, as it travels, and raised for who reads the result.

cdef char *error_text(ErrorData *error, int n) noexcept nogil:
    """The texts of an error in the order in which JobError keeps them."""
    if n == 0:
        return error.message
    if n == 1:
        return error.detail
    if n == 2:
        return error.hint
    if n == 3:
        return error.context
    if n == 4:
        return error.schema_name
    if n == 5:
        return error.table_name
    if n == 6:
        return error.column_name
    if n == 7:
        return error.datatype_name
    if n == 8:
        return error.constraint_name
    return error.internalquery


cdef void set_error_text(ErrorData *error, int n, char *text) noexcept nogil:
    """The other way round; the text is not copied."""
    if n == 0:
        error.message = text
    elif n == 1:
        error.detail = text
    elif n == 2:
        error.hint = text
    elif n == 3:
        error.context = text
    elif n == 4:
        error.schema_name = text
    elif n == 5:
        error.table_name = text
    elif n == 6:
        error.column_name = text
    elif n == 7:
        error.datatype_name = text
    elif n == 8:
        error.constraint_name = text
    else:
        error.internalquery = text


cdef Size packed_error_size(ErrorData *error) noexcept nogil:
    """What pack_error takes."""
    cdef Size size = sizeof(JobError)
    cdef int n
    for n in range(ERROR_TEXTS):
        if error_text(error, n) != NULL:
            size += strlen(error_text(error, n)) + 1
    return size


cdef void pack_error(ErrorData *error, void *place) noexcept nogil:
    """Write the error to `place`, of packed_error_size; unpack_error reads it. Never raises."""
    cdef JobError *packed = <JobError *>place
    cdef char *p = <char *>place + sizeof(JobError)
    cdef int n
    packed.cursorpos = error.cursorpos
    packed.internalpos = error.internalpos
    for n in range(ERROR_TEXTS):
        packed.length[n] = -1
        if error_text(error, n) != NULL:
            packed.length[n] = <int32_t>strlen(error_text(error, n))
            memcpy(p, error_text(error, n), packed.length[n] + 1)
            p += packed.length[n] + 1


cdef void pack_in_job_memory(ErrorData *error, Job *job, Garbage *packed) noexcept nogil:
    """Copy an error into job memory, for keep_error; where there is no room nothing is there: the SQLSTATE and the
    start of the message in the entry have to do. NULL as job: it is not known yet whose it will be, and so whether it
    may take of the reserve. Never raises; never under the lock."""
    packed.error_size = <uint32_t>packed_error_size(error)
    packed.bytes = taken(packed.error_size)
    if job == NULL or may_take(job, packed.bytes):
        packed.error = allocate(packed.error_size, job != NULL and job.may_take_reserve)
    if packed.error == InvalidDsaPointer:
        packed.bytes = 0
    else:
        pack_error(error, address(packed.error))


cdef void bring_error_here(ErrorData *error, int encoding) noexcept nogil:
    """Bring its texts from a job's encoding into this database's: a ? stands for what that lacks."""
    cdef int n
    if error.internalquery != NULL:
        error.internalpos = position_here(error.internalquery, error.internalpos, encoding)
    for n in range(ERROR_TEXTS):
        if error_text(error, n) != NULL:
            set_error_text(error, n, shown_here(error_text(error, n), encoding))


cdef int position_here(const char *query, int position, int encoding) noexcept nogil:
    """Of a character, from 1 on, once the query is shown here: one character there may be several here."""
    cdef int size = <int>strlen(query)
    if position <= 0 or encoding == GetDatabaseEncoding():
        return position
    size = clipped_length(query, size, size, position - 1, encoding)
    return pg_mbstrlen(shown_here(pnstrdup(query, size), encoding)) + 1


cdef void unpack_error(void *place, ErrorData *error, int encoding) noexcept nogil:
    """Copies into the current memory context."""
    cdef JobError *packed = <JobError *>place
    cdef char *p = <char *>place + sizeof(JobError)
    cdef int n
    error.cursorpos = packed.cursorpos
    error.internalpos = packed.internalpos
    for n in range(ERROR_TEXTS):
        if packed.length[n] >= 0:
            set_error_text(error, n, pstrdup(p))
            p += packed.length[n] + 1
    bring_error_here(error, encoding)


cdef const char *timeout_name(Job *job) noexcept nogil:
    """What has run out, as messages say it."""
    return b"the timeout of its caller" if job.overdue else b"pg_background.worker_timeout"


cdef void raise_lost(int32_t pid) noexcept nogil:
    """Raise 08006: the process has ended, and the job with it."""
    raise_error(ERRCODE_CONNECTION_FAILURE, b"lost connection to worker process with PID %d", pid)


cdef const char *end_reason(Job *job) noexcept nogil:
    """Why a job did not succeed, also where its process ended before it could say so."""
    if job.message[0] != 0:
        return shown_here(job.message, job.encoding)
    if job.state == JOB_CANCELED:
        return "terminating background job due to cancel request"
    if job.state == JOB_TIMED_OUT:
        return psprintf(b"terminating background job due to %s", timeout_name(job))
    return psprintf(b"lost connection to worker process with PID %d", job.pid)


cdef void raise_job_error(Job *job, int32_t pid) noexcept nogil:
    """Raise the error that the job ended with, as its own; the caret points into the job's SQL."""
    cdef ErrorData *error
    cdef char *query
    cdef const char *place = psprintf(b"background worker, pid %d", pid)
    if job.state == JOB_LOST:
        raise_lost(pid)
    error = <ErrorData *>palloc0(sizeof(ErrorData))
    error.elevel = ERROR
    error.sqlerrcode = job.sqlstate if job.sqlstate != 0 else ERRCODE_QUERY_CANCELED
    if job.error != InvalidDsaPointer:
        unpack_error(address(job.error), error, job.encoding)
    else:
        error.message = pstrdup(end_reason(job))
    if error.cursorpos > 0 and error.internalquery == NULL and job.request != InvalidDsaPointer:
        query = pstrdup(request_sql(<JobRequest *>address(job.request)))
        error.internalpos = position_here(query, error.cursorpos, job.encoding)
        error.internalquery = shown_here(query, job.encoding)
    error.cursorpos = 0
    if error.context != NULL:
        error.context = psprintf(b"%s\n%s", error.context, place)
    else:
        error.context = <char *>place
    ThrowErrorData(error)
