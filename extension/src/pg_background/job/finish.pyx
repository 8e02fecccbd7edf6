# How a job ended: its final state, and the error where there is one.

cdef enum:
    ERROR_TEXTS = 10


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
    cdef Size size = sizeof(JobError)
    cdef int n
    for n in range(ERROR_TEXTS):
        if error_text(error, n) != NULL:
            size += strlen(error_text(error, n)) + 1
    return size


cdef void pack_error(ErrorData *error, void *place) noexcept nogil:
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


cdef void bring_error_here(ErrorData *error, int encoding) noexcept nogil:
    """Bring its texts from a job's encoding into this database's: a ? stands for what that lacks."""
    cdef int n
    for n in range(ERROR_TEXTS):
        if error_text(error, n) != NULL:
            set_error_text(error, n, shown_here(error_text(error, n), encoding))


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


cdef int final_state(ErrorData *error) noexcept nogil:
    if error == NULL:
        return JOB_STOPPED
    if error.sqlerrcode == ERRCODE_QUERY_CANCELED:
        if timeout_seen or my_job.overdue:
            return JOB_TIMED_OUT
        # a statement_timeout has the same code, but nobody asked for it
        if cancel_seen or my_worker.cancel_cookie == my_job.cookie:
            return JOB_CANCELED
    return JOB_ERROR


cdef const char *timeout_name(Job *job) noexcept nogil:
    return b"the timeout of its caller" if job.overdue else b"pg_background.worker_timeout"


cdef void end_job(Job *job, int state, int32_t sqlstate) noexcept nogil:
    """Make the job final and count it; under the lock."""
    cdef Session *session = &registry.sessions[job.session]
    cdef TimestampTz now = GetCurrentTimestamp()
    cdef bint was_running = job.state != JOB_QUEUED
    job.state = state
    job.sqlstate = sqlstate
    job.finished_at = now
    job.worker = -1
    if job.orphaned_at != 0:
        job.orphaned_at = now
    count_end(job)
    tell_watchers(job)
    if session.id != job.session_id:
        return
    session.active -= was_running
    if state == JOB_STOPPED:
        session.completed += 1
    elif state == JOB_CANCELED:
        session.canceled += 1
    elif state == JOB_TIMED_OUT:
        session.timed_out += 1
    else:
        session.failed += 1
    if job.started_at != 0:
        session.execution_ms += <double>(now - job.started_at) / 1000.0
        session.executed += 1


cdef void finish_job(Job *job, ErrorData *error) noexcept nogil:
    """Tell the end. In this order: the worker can be given its next job, the job is final, then those who wait wake,
    so that a launch right after a wait finds this worker warm."""
    global my_job
    cdef Garbage garbage
    cdef PGPROC *reader
    cdef dsa_pointer packed = InvalidDsaPointer
    cdef uint32_t packed_size = 0
    cdef int state = final_state(error)
    cdef Turn turn = NO_TURN
    cdef bint others_wait
    memset(&garbage, 0, sizeof(garbage))
    if error != NULL:
        if error.message == NULL:
            error.message = pstrdup(b"missing error text")
        if state == JOB_TIMED_OUT:
            error.message = psprintf(b"canceling background job due to %s", timeout_name(job))
            report(LOG, b"%s", error.message)
        copy_clipped(job.message, MESSAGE_BYTES, error.message, <int>strlen(error.message), MESSAGE_BYTES, job.encoding)
        packed_size = <uint32_t>packed_error_size(error)
        # where there is no room, the code and the start of the message in the entry have to do
        packed = allocate(packed_size)
        if packed != InvalidDsaPointer:
            pack_error(error, address(packed))
    SetUserIdAndSecContext(my_worker.identity.login, 0)
    lock_registry()
    if packed != InvalidDsaPointer:
        job.error = packed
        job.error_size = packed_size
    end_job(job, state, error.sqlerrcode if error != NULL else 0)
    reader = job.reader_proc
    settle(job, &garbage)
    my_job = NULL
    my_worker.job = -1
    my_worker.cookie = 0
    # a process that is to end, as by a terminate that came too late for this job, must not get the next one; nor must
    # one in which the job has left a backup, which only the process's end ends; nor one that was a login
    if (setting_worker_idle_timeout == 0 or ProcDiePending or my_worker.terminate_cookie == job.cookie
            or session_has_backup() or is_half_taken_over or job.identity.is_away):
        my_worker.state = WORKER_LEAVING
    else:
        my_worker.state = WORKER_RESETTING
        turn = take_turn(my_worker)
        if turn == TURN_OF_ANOTHER:
            my_worker.state = WORKER_LEAVING
    my_worker.since = GetCurrentTimestamp()
    others_wait = registry.backlog_size > 0 and turn == NO_TURN
    unlock_registry()
    wake_waiters(job, reader)
    dispose(&garbage)
    if others_wait:
        wake_keeper()


cdef void raise_lost(int32_t pid) noexcept nogil:
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
        error.internalpos = error.cursorpos
        error.internalquery = shown_here(pstrdup(request_sql(<JobRequest *>address(job.request))), job.encoding)
    error.cursorpos = 0
    if error.context != NULL:
        error.context = psprintf(b"%s\n%s", error.context, place)
    else:
        error.context = <char *>place
    ThrowErrorData(error)
