# A launch that waits until a worker has its job, which is in the backlog meanwhile (on_full => 'wait').

cdef bint is_queued(Job *job, uint64_t cookie) noexcept nogil:
    cdef bint queued
    share_registry()
    queued = is_same_job(job, cookie) and job.state == JOB_QUEUED
    unlock_registry()
    return queued


cdef void raise_why_it_waits(Pending *pending) noexcept nogil:
    """What a launch that does not wait would say."""
    cdef Job *job = pending.job
    cdef bint of_session, of_role, of_database, of_server
    share_registry()
    of_session = running_of_session(job) >= job.session_limit
    of_role = has_all_workers(role_usage(job).running, job.role_limits.workers, job.identity.login, False)
    of_database = has_all_workers(database_usage(job).running, job.database_limits.workers, job.identity.database, True)
    of_server = registry.live_workers >= most_workers(job.may_take_reserve)
    unlock_registry()
    if of_session:
        raise_session_limit()
    if of_role:
        raise_past_role_limit(ROLE_HAS_ALL_WORKERS, job.identity.login, &pending.launch.role_limits)
    if of_database:
        raise_past_database_limit(DATABASE_HAS_ALL_WORKERS, job.identity.database, &pending.launch.database_limits)
    raise_no_worker(NO_PLACE if of_server else NO_SLOT, pending.launch)


cdef void wait_for_worker(Pending *pending) noexcept nogil:
    """Return once a worker has the job; raises like a launch that does not wait when the time is up."""
    cdef Job *job = pending.job
    cdef int32_t timeout = pending.launch.timeout
    cdef TimestampTz start = GetCurrentTimestamp()
    cdef long left = -1
    cdef long nap
    start_waiting(&pending.wait, job, pending.cookie)
    ConditionVariablePrepareToSleep(&job.changed)
    while is_queued(job, pending.cookie):
        nap = DeadlockTimeout
        if timeout > 0:
            left = timeout - TimestampDifferenceMilliseconds(start, GetCurrentTimestamp())
            if left <= 0:
                raise_why_it_waits(pending)
            nap = left if left < nap else nap
        if ConditionVariableTimedSleep(&job.changed, nap, PG_WAIT_EXTENSION) and nap == DeadlockTimeout:
            ConditionVariableCancelSleep()
            check_deadlock(left if left < 0 else left - nap)
            ConditionVariablePrepareToSleep(&job.changed)
    ConditionVariableCancelSleep()
    release_holds(pending.wait.hold.outer)
