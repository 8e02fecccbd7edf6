# The end of a job, in its worker: its final state, and the error where there is one.

cdef int final_state(ErrorData *error) noexcept nogil:
    """JobState of the running job, by the error that it has ended with, or NULL."""
    if error == NULL:
        return JOB_STOPPED
    if error.sqlerrcode == ERRCODE_QUERY_CANCELED:
        if timeout_seen or my_job.overdue:
            return JOB_TIMED_OUT
        # a statement_timeout has the same code, but nobody asked for it
        if cancel_seen or my_worker.cancel_cookie == my_job.cookie:
            return JOB_CANCELED
    return JOB_ERROR


cdef void finish_job(Job *job, ErrorData *error) noexcept nogil:
    """Tell the end. In this order: the worker can be given its next job, the job is final, then those who wait wake,
    so that a launch right after a wait finds this worker warm."""
    global my_job
    cdef Garbage garbage, packed
    cdef PGPROC *reader
    cdef int state = final_state(error)
    cdef Turn turn = NO_TURN
    cdef bint others_wait
    memset(&garbage, 0, sizeof(garbage))
    memset(&packed, 0, sizeof(packed))
    if error != NULL:
        if error.message == NULL:
            error.message = pstrdup(b"missing error text")
        if state == JOB_TIMED_OUT:
            error.message = psprintf(b"canceling background job due to %s", timeout_name(job))
            report(LOG, b"%s", error.message)
        copy_clipped(job.message, MESSAGE_BYTES, error.message, <int>strlen(error.message), MESSAGE_BYTES, job.encoding)
        pack_in_job_memory(error, job, &packed)
    SetUserIdAndSecContext(my_worker.identity.login, 0)
    note_taken(job)
    lock_registry()
    keep_error(job, &packed)
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
        my_worker.since = GetCurrentTimestamp()
        turn = take_turn(my_worker)
        if turn == TURN_OF_ANOTHER:
            my_worker.state = WORKER_LEAVING
    my_worker.since = GetCurrentTimestamp()
    others_wait = turn == NO_TURN and is_any_ready(True)
    unlock_registry()
    wake_waiters(job, reader)
    dispose(&garbage)
    dispose(&packed)
    if others_wait:
        wake_keeper()
