# What each job took of the server, for the view pg_background_resources.

cdef void store_resources(Job *_job, Job *copy, int32_t _worker_pid, Tuplestorestate *store,
                          TupleDesc desc) noexcept nogil:
    """One row; what a job took is known once it has ended."""
    cdef Datum values[RESOURCES_COLUMNS]
    cdef cbool nulls[RESOURCES_COLUMNS]
    if visibility_of(copy) == SEES_PLACE:
        return
    memset(nulls, 0, sizeof(nulls))
    values[RESOURCES_PID] = Int32GetDatum(copy.pid)
    values[RESOURCES_COOKIE] = Int64GetDatum(<int64_t>copy.cookie)
    nulls[RESOURCES_COOKIE] = not may_cancel(copy)
    values[RESOURCES_DATABASE] = ObjectIdGetDatum(copy.identity.database)
    values[RESOURCES_ROLE] = ObjectIdGetDatum(copy.identity.user)
    set_label(values, nulls, RESOURCES_LABEL, copy)
    set_text(values, nulls, RESOURCES_STATE, state_name(copy.state))
    if is_final(copy.state):
        set_resources(&values[RESOURCES_CPU_USER_MS], copy.resources)
    else:
        memset(&nulls[RESOURCES_CPU_USER_MS], 1, RESOURCES)
    tuplestore_putvalues(store, desc, values, nulls)


cdef public Datum pgbg_resources(FunctionCallInfo fcinfo) noexcept nogil:
    """Of the jobs whose state the current user may see."""
    return rows_of_jobs(fcinfo, resources_types(), store_resources)
