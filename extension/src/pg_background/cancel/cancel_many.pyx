# cancel_all, cancel_by_label, detach_all and purge: over the jobs of this session.

cdef enum Which:
    WHICH_ALL = 0
    WHICH_LIVE
    WHICH_FINAL

cdef struct OwnJob:
    Job *job
    Handle handle
    Oid user
    int32_t encoding
    char label[LABEL_BYTES]


cdef OwnJob *own_jobs(Which which, int *count) noexcept nogil:
    """This session's tracked jobs that the current role may act on."""
    cdef OwnJob *found
    cdef OwnJob *next
    cdef JobName *names
    cdef Job *job
    cdef bint is_meant
    cdef int32_t room = 0
    cdef int32_t i
    join_sessions()
    names = tracked_here(&room)
    found = <OwnJob *>MemoryContextAllocExtended(CurrentMemoryContext, sizeof(OwnJob) * (room + 1), MCXT_ALLOC_HUGE)
    count[0] = 0
    for i in range(room):
        job = names[i].job
        next = &found[count[0]]
        # one at a time, as they may be many
        share_registry()
        is_meant = (is_same_job(job, names[i].cookie) and job.tracked
                    and (which == WHICH_ALL or is_final(job.state) == (which == WHICH_FINAL)))
        if is_meant:
            next.job = job
            next.handle.pid = job.pid
            next.handle.cookie = job.cookie
            next.user = job.identity.user
            next.encoding = job.encoding
            memcpy(next.label, job.label, LABEL_BYTES)
        unlock_registry()
        count[0] += is_meant and has_privs_of_role(GetUserId(), next.user)
    pfree(names)
    return found


cdef int32_t cancel_jobs(OwnJob *jobs, int count, int32_t grace) noexcept nogil:
    """Cancel all at once; with a grace period in milliseconds wait that long for all together, then end the
    processes of those that still run. Returns how many jobs were live."""
    cdef LiveJob *live = <LiveJob *>palloc(sizeof(LiveJob) * (count + 1))
    cdef int32_t canceled
    cdef int i
    for i in range(count):
        live[i].job = jobs[i].job
        live[i].cookie = jobs[i].handle.cookie
        live[i].is_mine = True
    canceled = signal_all(live, count, False)
    if grace <= 0:
        return canceled
    wait_for_all(live, count, grace if grace < MAX_GRACE_MS else MAX_GRACE_MS)
    end_all(live, count, True)
    for i in range(count):
        if not is_finished(live[i].job, live[i].cookie):
            report_still_running(jobs[i].handle.pid)
    return canceled


cdef int32_t detach_jobs(Which which) noexcept nogil:
    """Detach those of this session that the current role may act on; returns how many were tracked until then."""
    cdef int count = 0
    cdef OwnJob *jobs = own_jobs(which, &count)
    cdef int32_t detached = 0
    cdef int i
    for i in range(count):
        detached += detach_job(jobs[i].job, jobs[i].handle.cookie)
    return detached


cdef public Datum pgbg_cancel_all(FunctionCallInfo fcinfo) noexcept nogil:
    """cancel_all(): returns how many of this session's jobs were asked to end, without a grace period."""
    cdef int count = 0
    cdef OwnJob *jobs = own_jobs(WHICH_LIVE, &count)
    return Int32GetDatum(cancel_jobs(jobs, count, 0))


cdef public Datum pgbg_cancel_by_label(FunctionCallInfo fcinfo) noexcept nogil:
    """cancel_by_label(pattern, grace_ms = 0): those whose label is LIKE it; nothing is LIKE a NULL."""
    cdef text *pattern
    cdef int count = 0
    cdef int matching = 0
    cdef OwnJob *jobs
    cdef int i
    if arg_isnull(fcinfo, 0):
        return Int32GetDatum(0)
    pattern = arg_text(fcinfo, 0)
    jobs = own_jobs(WHICH_LIVE, &count)
    # all before the first is canceled: a bad pattern raises
    for i in range(count):
        if jobs[i].label[0] != 0 and is_like(entry_text_here(jobs[i].label, jobs[i].encoding), pattern):
            jobs[matching] = jobs[i]
            matching += 1
    return Int32GetDatum(cancel_jobs(jobs, matching, int_argument(fcinfo, 1)))


cdef public Datum pgbg_detach_all(FunctionCallInfo fcinfo) noexcept nogil:
    """detach_all(): returns how many jobs were detached, whether they have ended or not."""
    return Int32GetDatum(detach_jobs(WHICH_ALL))


cdef public Datum pgbg_purge(FunctionCallInfo fcinfo) noexcept nogil:
    """Detach those that have ended."""
    return Int32GetDatum(detach_jobs(WHICH_FINAL))
