# The cast of a handle to int4, for callers that know jobs by a pid alone: it pins the job's worker.

cdef public Datum pgbg_pid(FunctionCallInfo fcinfo) noexcept nogil:
    """The cast of a handle to int4."""
    cdef cbool pid_is_null = False
    cdef cbool cookie_is_null = False
    cdef HeapTupleHeader record = arg_record(fcinfo, 0)
    cdef Datum pid = GetAttributeByNum(record, HANDLE_PID + 1, &pid_is_null)
    cdef Datum cookie = GetAttributeByNum(record, HANDLE_COOKIE + 1, &cookie_is_null)
    fcinfo.isnull = pid_is_null
    if not pid_is_null and not cookie_is_null:
        pin_worker(DatumGetInt32(pid), <uint64_t>DatumGetInt64(cookie))
    return pid
