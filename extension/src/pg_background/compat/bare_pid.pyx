# Callers that know jobs by a pid alone: the cast of a handle to int4, which pins, and the look-up by pid.
#
# A worker gives the same pid to one job after the other. So once a caller has a handle as a bare pid, this session's
# launches leave that worker alone until the job is consumed or detached: each such job has a pid of its own. What the
# worker ran before for a caller with handles may be unread still; nobody means that by the pid.

cdef public Datum pgbg_pid(FunctionCallInfo fcinfo) noexcept nogil:
    """The cast of a handle to int4."""
    cdef cbool pid_is_null = False
    cdef cbool cookie_is_null = False
    cdef HeapTupleHeader record = arg_record(fcinfo, 0)
    cdef Datum pid = GetAttributeByNum(record, 1, &pid_is_null)
    cdef Datum cookie = GetAttributeByNum(record, 2, &cookie_is_null)
    fcinfo.isnull = pid_is_null
    if not pid_is_null and not cookie_is_null:
        pin_worker(DatumGetInt32(pid), <uint64_t>DatumGetInt64(cookie))
    return pid
