# Room for Citus, where it is loaded. It has workers of its own: executors of background tasks, and a maintenance daemon
# for each database. A shard move for which none can be started waits for ever.

cdef bint are_databases_noted


cdef inline const char *citus_executors() noexcept nogil:
    """Its setting, or NULL where it is not loaded; may be asked under the registry's lock."""
    return GetConfigOption("citus.max_background_task_executors", True, False)


cdef int workers_of_citus() noexcept nogil:
    """How many Citus may need, by its setting and the databases last counted."""
    cdef const char *executors = citus_executors()
    return atoi(executors) + registry.databases if executors != NULL else 0


cdef int32_t count_databases() noexcept nogil:
    """Those that sessions can be in."""
    cdef Relation relation = table_open(DatabaseRelationId, AccessShareLock)
    cdef SysScanDesc scan = systable_beginscan(relation, InvalidOid, False, NULL, 0, NULL)
    cdef HeapTuple tuple = systable_getnext(scan)
    cdef int32_t count = 0
    while tuple != NULL:
        count += accepts_connections(tuple)
        tuple = systable_getnext(scan)
    systable_endscan(scan)
    table_close(relation, AccessShareLock)
    return count


cdef void note_databases() noexcept nogil:
    """Once in a session that launches: nobody is told when a database is made."""
    global are_databases_noted
    if are_databases_noted or citus_executors() == NULL:
        return
    are_databases_noted = True
    registry.databases = count_databases()
