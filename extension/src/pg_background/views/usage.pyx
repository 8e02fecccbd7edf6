# What the server, each database and each role use, against their limits, for the view pg_background_usage.

cdef struct UsageRows:
    Tuplestorestate *store
    TupleDesc desc
    Datum values[USAGE_COLUMNS]
    cbool nulls[USAGE_COLUMNS]


cdef inline void set_usage(UsageRows *rows, int column, int64_t value, bint is_wide) noexcept nogil:
    rows.values[column] = Int64GetDatum(value) if is_wide else Int32GetDatum(<int32_t>value)


cdef inline void set_limit(UsageRows *rows, int column, int64_t limit, bint is_wide) noexcept nogil:
    """NULL where there is none."""
    rows.nulls[column] = limit == 0
    set_usage(rows, column, limit, is_wide)


cdef void put_usage(UsageRows *rows, const char *kind, Usage *usage) noexcept nogil:
    """Of a role, or of a database, which has no memory and files counted, or of the server, without an owner."""
    rows.values[<int>USAGE_KIND] = CStringGetTextDatum(kind)
    rows.values[<int>USAGE_OWNER] = ObjectIdGetDatum(usage.owner)
    rows.nulls[<int>USAGE_OWNER] = usage.owner == InvalidOid
    set_usage(rows, USAGE_JOBS, usage.jobs, False)
    set_limit(rows, USAGE_MAX_JOBS, usage.limits.jobs, False)
    set_usage(rows, USAGE_WORKERS, usage.running, False)
    set_limit(rows, USAGE_MAX_WORKERS, usage.limits.workers, False)
    set_usage(rows, USAGE_QUEUED, usage.queued, False)
    set_usage(rows, USAGE_MEMORY_BYTES, usage.memory, True)
    set_limit(rows, USAGE_MAX_MEMORY_BYTES, <int64_t>usage.limits.memory * 1024, True)
    set_usage(rows, USAGE_RESULT_BYTES, <int64_t>pg_atomic_read_u64(&usage.file_bytes), True)
    set_limit(rows, USAGE_MAX_RESULT_BYTES, <int64_t>usage.limits.result_size * 1024, True)
    tuplestore_putvalues(rows.store, rows.desc, rows.values, rows.nulls)


cdef void sum_usage(Usage *all) noexcept nogil:
    """Of the whole server; under the lock."""
    cdef Usage *usage
    cdef int32_t i
    memset(all, 0, sizeof(Usage))
    for i in range(registry.usages_size):
        usage = &registry.usages[i]
        if usage.holders > 0 and not usage.is_database:
            all.running += usage.running
    all.jobs = registry.used_jobs
    all.queued = registry.backlog_size
    all.memory = <int64_t>pg_atomic_read_u64(&registry.area_bytes)
    pg_atomic_init_u64(&all.file_bytes, pg_atomic_read_u64(&registry.file_bytes))
    all.limits.jobs = registry.jobs_size
    all.limits.workers = total_worker_limit()
    all.limits.memory = setting_job_memory
    all.limits.result_size = setting_max_total_result_size


cdef Usage *copy_usages(Usage *all, int *count) noexcept nogil:
    """Those that there are, as they are now, and the sum over the server."""
    cdef Usage *copies = <Usage *>MemoryContextAllocExtended(
        CurrentMemoryContext, sizeof(Usage) * registry.usages_size, MCXT_ALLOC_HUGE)
    cdef int32_t i
    count[0] = 0
    share_registry()
    sum_usage(all)
    for i in range(registry.usages_size):
        if registry.usages[i].holders > 0:
            copies[count[0]] = registry.usages[i]
            count[0] += 1
    unlock_registry()
    return copies


cdef public Datum pgbg_usage(FunctionCallInfo fcinfo) noexcept nogil:
    """Rows of (kind, owner, jobs, max_jobs, workers, max_workers, queued, memory_bytes, max_memory_bytes, result_bytes,
    max_result_bytes): of the roles whose jobs the caller may use, of all, the databases and the server for members of
    pg_read_all_stats."""
    cdef UsageRows rows
    cdef Usage all
    cdef Usage *usages
    cdef int count = 0
    cdef int i
    cdef bint sees_all
    require_registry()
    memset(&rows, 0, sizeof(rows))
    rows.store = materialized_as(fcinfo, usage_types(), &rows.desc)
    usages = copy_usages(&all, &count)
    sees_all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS)
    if sees_all:
        put_usage(&rows, b"server", &all)
    for i in range(count):
        if usages[i].is_database and sees_all:
            put_usage(&rows, b"database", &usages[i])
        elif not usages[i].is_database and (sees_all or has_right(usages[i].owner, InvalidOid)):
            put_usage(&rows, b"role", &usages[i])
    return 0
