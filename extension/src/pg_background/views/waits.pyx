# What jobs have waited for, by samples, for the view pg_background_waits.

cdef const char *wait_type(uint32_t event) noexcept nogil:
    """NULL where the process did not wait."""
    if event == OTHER_WAITS:
        return b"Other"
    return pgstat_get_wait_event_type(event)


cdef const char *wait_name(uint32_t event) noexcept nogil:
    if event == OTHER_WAITS:
        return b"Other"
    return pgstat_get_wait_event(event)


cdef void store_waits(Job *_job, Job *copy, int32_t _worker_pid, Tuplestorestate *store,
                      TupleDesc desc) noexcept nogil:
    """A row for each event."""
    cdef Datum values[WAITS_COLUMNS]
    cdef cbool nulls[WAITS_COLUMNS]
    cdef int i
    if visibility_of(copy) == SEES_PLACE:
        return
    memset(nulls, 0, sizeof(nulls))
    values[WAITS_PID] = Int32GetDatum(copy.pid)
    values[WAITS_COOKIE] = Int64GetDatum(<int64_t>copy.cookie)
    nulls[WAITS_COOKIE] = not may_cancel(copy)
    for i in range(copy.wait_kinds):
        set_text(values, nulls, WAITS_WAIT_EVENT_TYPE, wait_type(copy.waits[i].event))
        set_text(values, nulls, WAITS_WAIT_EVENT, wait_name(copy.waits[i].event))
        values[WAITS_SAMPLES] = Int64GetDatum(copy.waits[i].samples)
        tuplestore_putvalues(store, desc, values, nulls)


cdef public Datum pgbg_waits(FunctionCallInfo fcinfo) noexcept nogil:
    """Of the jobs whose state the current user may see."""
    return rows_of_jobs(fcinfo, waits_types(), store_waits)
