# What all jobs of a database and role have come to, for the view pg_background_totals.

cdef public Datum pgbg_totals(FunctionCallInfo fcinfo) noexcept nogil:
    """Rows of (database oid, role oid, launched, completed, failed, canceled, timed_out, lost, execution_ms, queue_ms,
    since)."""
    cdef TupleDesc desc = NULL
    cdef Tuplestorestate *store = materialized(fcinfo, &desc)
    cdef Totals *copies
    cdef Datum values[11]
    cdef cbool nulls[11]
    cdef int i
    require_registry()
    copies = <Totals *>palloc(sizeof(Totals) * TOTALS_SIZE)
    share_registry()
    memcpy(copies, registry.totals, sizeof(Totals) * TOTALS_SIZE)
    unlock_registry()
    memset(nulls, 0, sizeof(nulls))
    for i in range(TOTALS_SIZE):
        if copies[i].launched == 0 or not has_right(copies[i].user, ROLE_PG_READ_ALL_STATS):
            continue
        values[0] = ObjectIdGetDatum(copies[i].database)
        values[1] = ObjectIdGetDatum(copies[i].user)
        values[2] = Int64GetDatum(copies[i].launched)
        values[3] = Int64GetDatum(copies[i].ended[<int>JOB_STOPPED])
        values[4] = Int64GetDatum(copies[i].ended[<int>JOB_ERROR])
        values[5] = Int64GetDatum(copies[i].ended[<int>JOB_CANCELED])
        values[6] = Int64GetDatum(copies[i].ended[<int>JOB_TIMED_OUT])
        values[7] = Int64GetDatum(copies[i].ended[<int>JOB_LOST])
        values[8] = Float8GetDatum(copies[i].execution_ms)
        values[9] = Float8GetDatum(copies[i].queue_ms)
        values[10] = TimestampTzGetDatum(registry.since)
        tuplestore_putvalues(store, desc, values, nulls)
    return 0
