# wait: until one job is final.

cdef bint is_finished(Job *job, uint64_t cookie) noexcept nogil:
    """An entry that another job has by now is one that this job has left, so it has finished too."""
    cdef bint finished = is_final(job.state)
    pg_read_barrier()
    return finished or not is_same_job(job, cookie)


cdef struct Wait:
    Job *job
    uint64_t cookie
    long timeout                # milliseconds; negative: for ever
    bint checks_deadlock
    bint finished
    ShownWait shown


cdef void wait_body(void *arg) noexcept nogil:
    """Sleep until the job is final or the time is up; looks for a cycle every deadlock_timeout."""
    cdef Wait *wait = <Wait *>arg
    cdef TimestampTz start = GetCurrentTimestamp()
    cdef long left = -1
    cdef long nap
    start_waiting(&wait.shown, wait.job, wait.cookie)
    ConditionVariablePrepareToSleep(&wait.job.changed)
    while not is_finished(wait.job, wait.cookie):
        nap = DeadlockTimeout
        if wait.timeout >= 0:
            left = wait.timeout - TimestampDifferenceMilliseconds(start, GetCurrentTimestamp())
            if left <= 0:
                return
            nap = left if left < nap else nap
        if (ConditionVariableTimedSleep(&wait.job.changed, nap, PG_WAIT_EXTENSION) and nap == DeadlockTimeout
                and wait.checks_deadlock):
            # the search takes locks that wake through the same latch
            ConditionVariableCancelSleep()
            check_deadlock(left if left < 0 else left - nap)
            ConditionVariablePrepareToSleep(&wait.job.changed)
    wait.finished = True


cdef bint wait_for_job(Job *job, Handle *handle, long timeout, bint checks_deadlock) noexcept nogil:
    """True once the job is final, False when the time is up first; milliseconds, negative: no limit."""
    cdef Wait wait
    wait.job = job
    wait.cookie = handle.cookie
    wait.timeout = timeout
    wait.checks_deadlock = checks_deadlock
    wait.finished = False
    if is_finished(job, handle.cookie):
        return True
    if timeout == 0:
        return False
    run_guarded(wait_body, &wait, my_holds)
    return wait.finished


cdef public Datum pgbg_wait(FunctionCallInfo fcinfo) noexcept nogil:
    """wait(handle, timeout_ms = 0): no limit at 0 or less."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef Job *job
    cdef long timeout = -1
    if arg_count(fcinfo) > handle.rest and arg_int32(fcinfo, handle.rest) > 0:
        timeout = arg_int32(fcinfo, handle.rest)
    join_sessions()
    job = find_job(&handle, InvalidOid)
    return BoolGetDatum(wait_for_job(job, &handle, timeout, True))


cdef public Datum pgbg_wait_timeout(FunctionCallInfo fcinfo) noexcept nogil:
    """wait_v2_timeout(handle, timeout_ms): polls once at 0 or less."""
    cdef Handle handle = handle_argument(fcinfo)
    cdef Job *job
    cdef long timeout = arg_int32(fcinfo, handle.rest)
    join_sessions()
    job = find_job(&handle, InvalidOid)
    return BoolGetDatum(wait_for_job(job, &handle, timeout if timeout > 0 else 0, True))


cdef public Datum pgbg_await(FunctionCallInfo fcinfo) noexcept nogil:
    """CALL await(pid, cookie, timeout_ms = 0, INOUT finished): waits without a snapshot and never commits, so that
    a job that waits for all older snapshots to go, as CREATE INDEX CONCURRENTLY does, can be waited for."""
    cdef Handle handle
    cdef Job *job
    cdef long timeout
    cdef Datum value
    cdef cbool is_null = False
    if arg_isnull(fcinfo, 0) or arg_isnull(fcinfo, 1):
        raise_error(ERRCODE_NULL_VALUE_NOT_ALLOWED, b"a background job's handle must not have NULLs")
    handle = handle_argument(fcinfo)
    timeout = -1 if arg_isnull(fcinfo, 2) or arg_int32(fcinfo, 2) <= 0 else arg_int32(fcinfo, 2)
    join_sessions()
    job = find_job(&handle, InvalidOid)
    drop_call_snapshot()
    value = BoolGetDatum(wait_for_job(job, &handle, timeout, True))
    EnsurePortalSnapshotExists()
    return row_datum(fcinfo, b"b", &value, &is_null)
