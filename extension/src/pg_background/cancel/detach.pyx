# detach: a job goes on, its handle is forgotten.

cdef bint detach_job(Job *job, uint64_t cookie) noexcept nogil:
    """Stop tracking: the job goes on, its output is dropped, its handle is unknown from now on. False when it was."""
    cdef Garbage garbage
    cdef bint known
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    known = is_same_job(job, cookie) and job.tracked
    if known:
        forget_job(job, &garbage)
    unlock_registry()
    dispose(&garbage)
    return known


cdef public Datum pgbg_detach(FunctionCallInfo fcinfo) noexcept nogil:
    """detach(handle): raises what find_job raises; a job that runs goes on."""
    cdef Handle handle = handle_argument(fcinfo)
    join_sessions()
    # as unread results take what all share, who may cancel a job may also free its output
    detach_job(find_job(&handle, ROLE_PG_SIGNAL_BACKEND), handle.cookie)
    return 0
