# What waits for what on the nodes of a Citus cluster: for locks, which Citus knows, and for jobs, which the registry of
# each node does. Processes have global pids there; what Citus opens for a session on another node has the session's.
#
# To look takes connections to all nodes. It is done as the current user, by names in pg_catalog alone, in a
# subtransaction: that it fails, or takes too long, is no reason for a wait to fail.

cdef enum:
    LOOK_MS = 5000              # the longest: a node may not answer, and the job may end meanwhile
    SHORTEST_LOOK_MS = 100

cdef struct ClusterWait:
    int64_t waiter              # global pids
    int64_t waited_for
    cbool is_for_job
    cbool needs_all             # of those that the waiter waits for, else one


cdef struct ClusterWaits:
    int64_t me                  # the global pid of this session
    int64_t base                # a process of this node has this and its pid
    ClusterWait *waits
    uint64_t count
    MemoryContext context       # of the waits
    bint asks_for_jobs
    bint was_followed           # a search has come to one of them


cdef const char *place_query() noexcept nogil:
    """The global pids of this session and, without its pid, of a process of this node."""
    return (b"SELECT pg_catalog.citus_backend_gpid(), pg_catalog.citus_calculate_gpid(n.nodeid, 0) "
            b"FROM pg_catalog.pg_dist_node AS n JOIN pg_catalog.pg_dist_local_group AS g ON g.groupid = n.groupid "
            b"WHERE n.noderole::text = 'primary'")


cdef const char *locks_query() noexcept nogil:
    return (b"SELECT DISTINCT w.waiting_gpid, w.blocking_gpid, false, true FROM pg_catalog.citus_lock_waits AS w "
            b"WHERE w.waiting_gpid <> w.blocking_gpid")


cdef const char *jobs_query() noexcept nogil:
    """A node that does not answer, or not to this user, has none. Where the extension is in another schema on one of
    them, none is asked: a function of that name may be anybody's there."""
    return (b"WITH here AS (SELECT n.nspname FROM pg_catalog.pg_extension AS e "
            b"JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_background') "
            b"SELECT w.waiter, pg_catalog.citus_calculate_gpid(r.nodeid, w.worker_pid), true, w.needs_all "
            b"FROM (SELECT pg_catalog.format('SELECT COALESCE(pg_catalog.json_agg(w), ''[]''::pg_catalog.json) "
            b"FROM %I.pg_background_job_waits() AS w', h.nspname) FROM here AS h WHERE NOT EXISTS ("
            b"SELECT FROM pg_catalog.run_command_on_all_nodes('SELECT n.nspname FROM pg_catalog.pg_extension AS e "
            b"JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace "
            b"WHERE e.extname OPERATOR(pg_catalog.=) ''pg_background''::pg_catalog.name') AS s "
            b"WHERE s.success AND s.result IS DISTINCT FROM h.nspname::text) OFFSET 0) AS c(command) "
            b"CROSS JOIN LATERAL pg_catalog.run_command_on_all_nodes(c.command) AS r "
            b"CROSS JOIN LATERAL pg_catalog.json_to_recordset(CASE WHEN r.success THEN r.result::json ELSE '[]' END) "
            b"AS w(waiter int8, worker_pid int4, needs_all bool)")


cdef inline bint is_elsewhere(int64_t pid) noexcept nogil:
    """Whether it is a global pid, of a process on another node."""
    return pid > <int64_t>0x7fffffff


cdef inline int64_t found_int(uint64_t row, int number) noexcept nogil:
    """A column of what SPI has found; 0 for NULL."""
    cdef cbool is_null = False
    cdef Datum value = SPI_getbinval(SPI_tuptable.vals[row], SPI_tuptable.tupdesc, number, &is_null)
    return 0 if is_null else DatumGetInt64(value)


cdef inline cbool found_bool(uint64_t row, int number) noexcept nogil:
    cdef cbool is_null = False
    cdef Datum value = SPI_getbinval(SPI_tuptable.vals[row], SPI_tuptable.tupdesc, number, &is_null)
    return not is_null and DatumGetBool(value)


cdef bint find_place(ClusterWaits *waits) noexcept nogil:
    """False on a server that is not among the nodes."""
    if SPI_execute(place_query(), True, 1) != SPI_OK_SELECT or SPI_processed == 0:
        return False
    waits.me = found_int(0, 1)
    waits.base = found_int(0, 2)
    # what the nodes say of jobs names this session so
    my_session.global_pid = waits.me
    return waits.me != 0 and waits.base != 0


cdef void keep_waits(ClusterWaits *waits, const char *query) noexcept nogil:
    """Of a query's rows: waiter, whom it waits for, whether for a job, whether for all."""
    cdef ClusterWait *larger
    cdef ClusterWait *wait
    cdef uint64_t row
    if SPI_execute(query, True, 0) != SPI_OK_SELECT:
        return
    larger = <ClusterWait *>MemoryContextAllocExtended(
        waits.context, sizeof(ClusterWait) * (waits.count + SPI_processed + 1), MCXT_ALLOC_HUGE)
    if waits.count > 0:
        memcpy(larger, waits.waits, sizeof(ClusterWait) * waits.count)
    waits.waits = larger
    for row in range(SPI_processed):
        wait = &larger[waits.count]
        wait.waiter = found_int(row, 1)
        wait.waited_for = found_int(row, 2)
        wait.is_for_job = found_bool(row, 3)
        wait.needs_all = found_bool(row, 4)
        # all other numbers are pids of this node, or what stands for its queued jobs
        if is_elsewhere(wait.waiter) and is_elsewhere(wait.waited_for):
            waits.count += 1


cdef void ask_nodes(void *arg) noexcept nogil:
    """What Citus runs for its views it looks up by the search_path, and nodes that are down are warned of. What is set
    for now is over with the subtransaction."""
    cdef ClusterWaits *waits = <ClusterWaits *>arg
    set_for_now("search_path", "pg_catalog, pg_temp")
    set_for_now("client_min_messages", "error")
    SPI_connect()
    if waits.asks_for_jobs:
        keep_waits(waits, jobs_query())
    elif find_place(waits):
        keep_waits(waits, locks_query())
    SPI_finish()
    debug_point("look_before_end")


cdef bint look_at_nodes(ClusterWaits *waits, TimestampTz deadline) noexcept nogil:
    """Ask for the waits for locks, or for jobs; False when that has failed, or was not done by the deadline."""
    cdef MemoryContext context = CurrentMemoryContext
    cdef ResourceOwner owner = CurrentResourceOwner
    cdef bint is_canceled
    cdef ErrorData *error
    BeginInternalSubTransaction(NULL)
    MemoryContextSwitchTo(context)
    begin_look(deadline)
    error = catch_error(ask_nodes, waits, False)
    is_canceled = end_look(error)
    # also of what has succeeded nothing is to be kept: neither its locks
    RollbackAndReleaseCurrentSubTransaction()
    MemoryContextSwitchTo(context)
    set_resource_owner(owner)
    if is_canceled and error != NULL and error.sqlerrcode == ERRCODE_QUERY_CANCELED:
        ReThrowError(error)
    CHECK_FOR_INTERRUPTS()
    if error != NULL:
        report(DEBUG1, b"could not look what waits on other nodes: %s", error.message)
    return error == NULL


# ---- as the search for deadlocks sees it

cdef int64_t global_pid_of(ClusterWaits *waits, int64_t pid) noexcept nogil:
    if pid == MyProcPid:
        return waits.me
    return pid if is_elsewhere(pid) else waits.base + pid


cdef int64_t pid_of_global(ClusterWaits *waits, int64_t global_pid) noexcept nogil:
    """On this node that of the process; what runs here for a session of another node is not that session."""
    cdef int64_t pid = global_pid - waits.base
    if global_pid == waits.me:
        return MyProcPid
    return pid if pid > 0 and not is_elsewhere(pid) else global_pid
