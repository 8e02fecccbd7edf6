# cancel. Nothing is ever signalled by pid alone: the signal says
# "look", and the worker acts only if the cookie noted in its place is that of the job it runs.

cdef bint signal_locked(Job *job, bint terminate) noexcept nogil:
    """Ask the job's worker to cancel it, or to end with it; False when it is final. Under the lock, where the worker
    cannot have left yet, so that the pid is still its own.

    A job whose launch still looks for a worker is canceled as soon as it has one.
    """
    cdef Worker *worker
    if is_final(job.state):
        return False
    job.canceled = True
    if job.worker < 0:
        return True
    worker = &registry.workers[job.worker]
    if terminate:
        worker.terminate_cookie = job.cookie
    else:
        worker.cancel_cookie = job.cookie
    kill(worker.pid, SIGUSR2)
    return True


cdef bint signal_worker(Job *job, uint64_t cookie, bint terminate) noexcept nogil:
    """Ask the job's worker to cancel it, or to end with it; False when the job is final already, as one is that was
    still queued."""
    cdef Garbage garbage
    cdef bint running = False
    cdef bint ended = False
    cdef PGPROC *reader = NULL
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    if is_same_job(job, cookie):
        if job.state == JOB_QUEUED:
            reader = job.reader_proc
            ended = True
            end_without_worker(job, JOB_CANCELED, ERRCODE_QUERY_CANCELED,
                               b"canceling statement due to user request", &garbage)
        else:
            running = signal_locked(job, terminate)
    unlock_registry()
    if ended:
        wake_waiters(job, reader)
        dispose(&garbage)
    return running


cdef enum:
    TERMINATE_WAIT_MS = 1000    # a process that has not ended by then is reported


cdef void report_still_running(int32_t pid) noexcept nogil:
    """Warn the caller of a job that neither its cancel nor the end of its process has ended."""
    report(WARNING, b"background job with PID %d still runs", pid)


cdef void end_overdue_job(Job *job, uint64_t cookie, bint terminate) noexcept nogil:
    """Cancel a job as its caller's time is up, which is no cancel in its state and in the statistics."""
    lock_registry()
    if is_same_job(job, cookie) and not is_final(job.state):
        job.overdue = True
    unlock_registry()
    signal_worker(job, cookie, terminate)


cdef void cancel_job(Job *job, Handle *handle, int32_t grace) noexcept nogil:
    """Cancel the statement; with a grace period in milliseconds wait that long, then end the process too."""
    if not signal_worker(job, handle.cookie, False) or grace <= 0:
        return
    # no check for a deadlock: the terminate ends it
    if wait_for_job(job, handle, grace if grace < MAX_GRACE_MS else MAX_GRACE_MS, False):
        return
    if not signal_worker(job, handle.cookie, True):
        return
    if not wait_for_job(job, handle, TERMINATE_WAIT_MS, False):
        report_still_running(handle.pid)


cdef public Datum pgbg_cancel(FunctionCallInfo fcinfo) noexcept nogil:
    """cancel(handle, grace_ms = 0): raises what find_job raises; members of pg_signal_backend may, too."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef int32_t grace = 0
    if arg_count(fcinfo) > handle.rest:
        grace = arg_int32(fcinfo, handle.rest)
    join_sessions()
    cancel_job(find_job(&handle, ROLE_PG_SIGNAL_BACKEND), &handle, grace)
    return 0
