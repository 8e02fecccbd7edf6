# drain: wait for several jobs, and have done with them.

cdef public Datum pgbg_drain(FunctionCallInfo fcinfo) noexcept nogil:
    """Wait for all; an outcome each, in their order. Those that have ended are detached, once all rows are made."""
    cdef JobSet set
    cdef WaitForSet wait
    cdef TupleDesc desc = NULL
    cdef Tuplestorestate *store = rows_of_declared_type(fcinfo, outcome_types(), &desc)
    cdef MemoryContext row_context, old
    cdef Job copy
    cdef Job *job
    cdef cbool *ended
    cdef Datum values[OUTCOME_COLUMNS]
    cdef cbool nulls[OUTCOME_COLUMNS]
    cdef int i
    set_and_timeout(fcinfo, &wait, &set, True)
    wait_for_set(&wait)
    ended = <cbool *>allocate_many(sizeof(cbool), set.count)
    row_context = create_context(CurrentMemoryContext, "pg_background row")
    for i in range(set.count):
        CHECK_FOR_INTERRUPTS()
        old = MemoryContextSwitchTo(row_context)
        job = look_up(&set.handles[i], &copy)
        ended[i] = job != NULL and is_final(copy.state)
        if job != NULL:
            set_outcome(values, nulls, job, &copy)
        else:
            set_unknown_outcome(values, nulls, &set.handles[i])
        tuplestore_putvalues(store, desc, values, nulls)
        MemoryContextSwitchTo(old)
        MemoryContextReset(row_context)
    MemoryContextDelete(row_context)
    for i in range(set.count):
        CHECK_FOR_INTERRUPTS()
        if ended[i]:
            detach_job(set.jobs[i], set.handles[i].cookie)
    return 0
