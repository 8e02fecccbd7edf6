# The job that a bare pid means.

cdef int count_pinned(int32_t pid, uint64_t *cookie) noexcept nogil:
    """How many different jobs somebody may still ask for by this pid, with the cookie of one; under the lock."""
    cdef int i
    cdef int count = 0
    for i in range(pin_count):
        if pins[i].pid == pid and is_pin_needed(&pins[i]) and pins[i].cookie != cookie[0]:
            count += 1
            cookie[0] = pins[i].cookie
    return count


cdef int count_since(int32_t pid, TimestampTz since, uint64_t *cookie) noexcept nogil:
    """How many jobs of this session launched since then have this pid, with the cookie of one; under the lock.

    A finished submitted job is meant only where there is no other: nobody has to read or detach it.
    """
    cdef Job *job
    cdef TimestampTz done = 0
    cdef int32_t i = my_session.first_job
    cdef int count = 0
    while i >= 0:
        job = &registry.jobs[i]
        i = job.next_of_session
        if job.pid != pid or job.launched_at < since:
            continue
        if not (job.submitted and is_final(job.state)):
            count += 1
            cookie[0] = job.cookie
        elif count == 0 and job.launched_at >= done:
            done = job.launched_at
            cookie[0] = job.cookie
    return count


cdef Handle bare_pid_handle(int32_t pid) noexcept nogil:
    """The job of this session that a bare pid means; 42704 when there is none, 42725 when there are several.

    It is the one that the pid was given out for. Where that is over, one launched since, never one from before.
    """
    cdef Handle handle
    cdef Pin *last
    cdef int count
    handle.pid = pid
    handle.cookie = 0
    handle.rest = 1
    join_sessions()
    share_registry()
    count = count_pinned(pid, &handle.cookie)
    if count == 0:
        last = last_pin(pid)
        count = count_since(pid, last.launched_at if last != NULL else 0, &handle.cookie)
    unlock_registry()
    if count > 1:
        raise_with_hint(ERRCODE_AMBIGUOUS_FUNCTION, b"Use pid and cookie.", b"PID %d has several jobs", pid)
    if handle.cookie == 0:
        raise_unknown(pid)
    return handle


cdef Handle handle_argument(FunctionCallInfo fcinfo) noexcept nogil:
    """The handle that a call begins with; a bare pid where it is all that there is."""
    if arg_count(fcinfo) == 1 and argument_type(fcinfo, 0) == INT4OID:
        return bare_pid_handle(arg_int32(fcinfo, 0))
    return handle_at(fcinfo, 0)
