# drain_server and resume_server: let the jobs of the whole server end before a restart.

cdef struct Drained:
    int32_t finished
    int32_t canceled
    int32_t running


cdef struct LiveJob:
    Job *job
    uint64_t cookie
    Oid owner
    bint is_mine                # to cancel


cdef void require_right_to_drain(const char *what) noexcept nogil:
    """Raise 42501 unless the caller may cancel the jobs of others. Those of superusers stay out of reach of others, and
    a drain tells them as running."""
    if not has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND):
        raise_with_hint(ERRCODE_INSUFFICIENT_PRIVILEGE,
                        b"Only superusers and roles with privileges of pg_signal_backend may do that.",
                        b"permission denied to %s background jobs", what)


cdef void set_draining(bint draining) noexcept nogil:
    """From here on all launches are refused, or accepted again; it takes the lock."""
    lock_registry()
    registry.draining = draining
    unlock_registry()


cdef LiveJob *live_jobs(int *count) noexcept nogil:
    """All jobs that have not ended, but for the one that this is called in."""
    cdef LiveJob *live = <LiveJob *>palloc(sizeof(LiveJob) * registry.jobs_size)
    cdef int32_t i
    count[0] = 0
    share_registry()
    for i in range(registry.jobs_size):
        if i % LOOK_STEP == LOOK_STEP - 1:
            # others' calls come in between; while it drains no launch does
            unlock_registry()
            share_registry()
        if (registry.cookies[i] != 0 and not is_final(registry.jobs[i].state)
                and &registry.jobs[i] != my_job):
            live[count[0]].job = &registry.jobs[i]
            live[count[0]].cookie = registry.cookies[i]
            live[count[0]].owner = registry.jobs[i].identity.user
            count[0] += 1
    unlock_registry()
    for i in range(count[0]):
        live[i].is_mine = has_right(live[i].owner, ROLE_PG_SIGNAL_BACKEND)
    return live


cdef void wait_for_all(LiveJob *live, int count, long timeout) noexcept nogil:
    """Until all have ended or the time is up, in milliseconds."""
    cdef TimestampTz start = GetCurrentTimestamp()
    cdef long left
    cdef int i
    for i in range(count):
        ConditionVariablePrepareToSleep(&live[i].job.changed)
        while not is_finished(live[i].job, live[i].cookie):
            left = timeout - TimestampDifferenceMilliseconds(start, GetCurrentTimestamp())
            if left <= 0:
                break
            ConditionVariableTimedSleep(&live[i].job.changed, left, PG_WAIT_EXTENSION)
        ConditionVariableCancelSleep()


cdef void count_drained(LiveJob *live, int count, Drained *drained) noexcept nogil:
    """What has become of the jobs; one whose entry another job has by now counts as finished. It takes the lock."""
    cdef int i
    memset(drained, 0, sizeof(Drained))
    share_registry()
    for i in range(count):
        if not is_finished(live[i].job, live[i].cookie):
            drained.running += 1
        elif is_same_job(live[i].job, live[i].cookie) and live[i].job.state == JOB_CANCELED:
            drained.canceled += 1
        else:
            drained.finished += 1
    unlock_registry()


cdef int32_t signal_all(LiveJob *live, int count, bint terminate) noexcept nogil:
    """Cancel all that have not ended and that the caller may, or end them with their processes; returns how many
    there were.

    Those that wait for a worker come first: a worker that becomes free would begin them.
    """
    cdef int32_t signalled = 0
    cdef int i
    cdef bint running
    for running in range(2):
        for i in range(count):
            if (live[i].is_mine and not is_finished(live[i].job, live[i].cookie)
                    and (running or live[i].job.state == JOB_QUEUED)):
                signal_worker(live[i].job, live[i].cookie, terminate)
                signalled += 1
    return signalled


cdef void end_all(LiveJob *live, int count, bint terminate) noexcept nogil:
    """Cancel those that have not ended, or end them with their processes, and give them a second."""
    signal_all(live, count, terminate)
    wait_for_all(live, count, 1000)


cdef public Datum pgbg_drain_server(FunctionCallInfo fcinfo) noexcept nogil:
    """Refuse launches, wait, cancel the rest and report; the refusal stays until resume_server or a restart."""
    cdef TupleDesc desc = NULL
    cdef Tuplestorestate *store = materialized_as(fcinfo, drained_types(), &desc)
    cdef long timeout = arg_int32(fcinfo, 0)
    cdef Drained drained
    cdef LiveJob *live
    cdef int count = 0
    cdef Datum values[DRAINED_COLUMNS]
    cdef cbool nulls[DRAINED_COLUMNS]
    join_sessions()
    require_right_to_drain(b"drain")
    set_draining(True)
    live = live_jobs(&count)
    wait_for_all(live, count, timeout)
    end_all(live, count, False)
    end_all(live, count, True)
    count_drained(live, count, &drained)
    memset(nulls, 0, sizeof(nulls))
    values[DRAINED_FINISHED] = Int32GetDatum(drained.finished)
    values[DRAINED_CANCELED] = Int32GetDatum(drained.canceled)
    values[DRAINED_RUNNING] = Int32GetDatum(drained.running)
    tuplestore_putvalues(store, desc, values, nulls)
    return 0


cdef public Datum pgbg_resume_server(FunctionCallInfo fcinfo) noexcept nogil:
    """resume_server(): accept launches again; for superusers only, else 42501."""
    join_sessions()
    require_right_to_drain(b"resume")
    set_draining(False)
    return 0
