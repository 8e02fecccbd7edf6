# wait_any: until the first of several jobs has ended.

cdef void set_and_timeout(FunctionCallInfo fcinfo, WaitForSet *wait, JobSet *set, bint all) noexcept nogil:
    """The arguments (handles, timeout_ms = 0): no limit at 0 or less."""
    join_sessions()
    set[0] = read_set(fcinfo)
    wait.set = set
    wait.all = all
    wait.timeout = arg_int32(fcinfo, 1) if arg_int32(fcinfo, 1) > 0 else -1


cdef public Datum pgbg_wait_any(FunctionCallInfo fcinfo) noexcept nogil:
    """The first of the handles whose job has ended; NULL when the time is up, or of no handles."""
    cdef JobSet set
    cdef WaitForSet wait
    set_and_timeout(fcinfo, &wait, &set, False)
    if set.count > 0:
        wait_for_set(&wait)
        if wait.finished >= 0:
            return handle_datum(row_type(fcinfo, handle_types()), &set.handles[wait.finished])
    fcinfo.isnull = True
    return 0
