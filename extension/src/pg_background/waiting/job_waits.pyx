# The sessions of this node that wait for jobs, for the search for deadlocks on another node of a Citus cluster.

cdef struct GlobalWaiter:
    int64_t global_pid
    int32_t pid


cdef GlobalWaiter *waiters_that_looked(int32_t *count) noexcept nogil:
    """Those that have looked at the nodes: all that are part of a ring do so themselves."""
    cdef GlobalWaiter *waiters = <GlobalWaiter *>MemoryContextAllocExtended(
        CurrentMemoryContext, sizeof(GlobalWaiter) * (registry.sessions_size + 1), MCXT_ALLOC_HUGE)
    cdef Session *session
    cdef int32_t i
    count[0] = 0
    share_registry()
    for i in range(registry.sessions_size):
        session = &registry.sessions[i]
        if session.id != 0 and session.global_pid != 0 and (session.waits_for != 0 or session.watch_count > 0):
            waiters[count[0]].global_pid = session.global_pid
            waiters[count[0]].pid = session.pid
            count[0] += 1
    unlock_registry()
    return waiters


cdef void put_job_waits(Tuplestorestate *store, TupleDesc desc, GlobalWaiter *session) noexcept nogil:
    """One row for each worker. A queued job has none, and may still get one: who needs that job alone of several may
    go on, so nothing is said of him."""
    cdef Datum values[WAITING_COLUMNS]
    cdef cbool nulls[WAITING_COLUMNS]
    cdef WaitGraph graph
    cdef Waiter waiter
    cdef int i
    begin_graph(&graph)
    memset(&waiter, 0, sizeof(waiter))
    waiter.pid = session.pid
    add_jobs_waited_for(&graph, &waiter)
    for i in range(waiter.count):
        if graph.edges[i] < 0 and not waiter.needs_all:
            return
    memset(nulls, 0, sizeof(nulls))
    for i in range(waiter.count):
        if graph.edges[i] > 0:
            values[<int>WAITING_WAITER] = Int64GetDatum(session.global_pid)
            values[<int>WAITING_WORKER_PID] = Int32GetDatum(<int32_t>graph.edges[i])
            values[<int>WAITING_NEEDS_ALL] = BoolGetDatum(waiter.needs_all)
            tuplestore_putvalues(store, desc, values, nulls)


cdef public Datum pgbg_job_waits(FunctionCallInfo fcinfo) noexcept nogil:
    """Rows of (waiter, worker_pid, needs_all): pids alone, which pg_stat_activity shows to everybody."""
    cdef TupleDesc desc = NULL
    cdef Tuplestorestate *store
    cdef GlobalWaiter *waiters
    cdef int32_t count = 0
    cdef int32_t i
    join_sessions()
    store = materialized_as(fcinfo, job_waits_types(), &desc)
    waiters = waiters_that_looked(&count)
    for i in range(count):
        put_job_waits(store, desc, &waiters[i])
    return 0
