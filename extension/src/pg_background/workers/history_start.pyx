# The keeper's part in the history: it starts the process that writes, for one database at a time, in which jobs have
# ended or old rows may have to go.

cdef enum:
    HISTORY_PAUSE_MS = 1000     # after a process that could not be started, or has failed
    PRUNE_EVERY_MS = 3600000
    PRUNED_DATABASES = 64       # that it remembers for that

cdef BackgroundWorkerHandle *history_handle     # of that process; NULL: none
cdef uint64_t done_before           # registry.writers_done as it was started
cdef TimestampTz history_pause      # none is started before
cdef int32_t last_served            # index of the database's usage
cdef Oid pruned_databases[PRUNED_DATABASES]
cdef TimestampTz prune_due[PRUNED_DATABASES]
cdef int next_pruned                # where the next database goes, in turn


cdef long sooner(long a, long b) noexcept nogil:
    """Of two timeouts in milliseconds, -1 for none."""
    if a < 0 or (b >= 0 and b < a):
        return b
    return a


cdef Oid next_database_due() noexcept nogil:
    """In turn, one with jobs that are to be written, or InvalidOid."""
    global last_served
    cdef Usage *usage
    cdef Oid found = InvalidOid
    cdef int32_t i
    share_registry()
    for i in range(registry.usages_size):
        if i % LOOK_STEP == LOOK_STEP - 1:
            unlock_registry()
            share_registry()
        last_served = (last_served + 1) % registry.usages_size
        usage = &registry.usages[last_served]
        if usage.holders > 0 and usage.is_database and usage.due_chain.first >= 0:
            found = usage.owner
            break
    unlock_registry()
    return found


cdef Oid next_database_to_prune(TimestampTz now, long *left) noexcept nogil:
    """One of which nothing has been written for long, or InvalidOid and the milliseconds until there may be one."""
    cdef int i
    cdef long due
    left[0] = -1
    for i in range(PRUNED_DATABASES):
        if prune_due[i] == 0:
            continue
        due = <long>((prune_due[i] - now) // 1000)
        # or the clock has been set back
        if due <= 0 or due > PRUNE_EVERY_MS:
            return pruned_databases[i]
        left[0] = sooner(left[0], due)
    return InvalidOid


cdef void note_pruned(Oid database, TimestampTz now) noexcept nogil:
    """The process that is started for it does that, too."""
    global next_pruned
    cdef int i
    for i in range(PRUNED_DATABASES):
        if prune_due[i] != 0 and pruned_databases[i] == database:
            break
    else:
        i = next_pruned
        next_pruned = (next_pruned + 1) % PRUNED_DATABASES
    pruned_databases[i] = database
    prune_due[i] = now + <TimestampTz>PRUNE_EVERY_MS * 1000


cdef BackgroundWorkerHandle *register_writer(Oid database) noexcept nogil:
    """Ask the postmaster for it; NULL when all max_worker_processes slots are taken."""
    cdef BackgroundWorker process
    cdef BackgroundWorkerHandle *handle = NULL
    memset(&process, 0, sizeof(process))
    process.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION
    process.bgw_start_time = BgWorkerStart_RecoveryFinished
    process.bgw_restart_time = BGW_NEVER_RESTART
    snprintf(process.bgw_library_name, BGW_MAXLEN, b"pg_background")
    snprintf(process.bgw_function_name, BGW_MAXLEN, b"pgbg_history_main")
    snprintf(process.bgw_name, BGW_MAXLEN, b"pg_background history")
    snprintf(process.bgw_type, BGW_MAXLEN, b"pg_background history")
    process.bgw_main_arg = ObjectIdGetDatum(database)
    process.bgw_notify_pid = MyProcPid
    if not RegisterDynamicBackgroundWorker(&process, &handle):
        return NULL
    return handle


cdef bint is_writer_there() noexcept nogil:
    """Of this keeper, which it has asked for, or of the one before it."""
    global history_handle, history_pause
    cdef pid_t pid = 0
    if history_handle == NULL:
        return registry.writer != NULL
    if GetBackgroundWorkerPid(history_handle, &pid) != BGWH_STOPPED:
        return True
    pfree(history_handle)
    history_handle = NULL
    if registry.writers_done == done_before:
        history_pause = GetCurrentTimestamp() + HISTORY_PAUSE_MS * 1000
    return registry.writer != NULL


cdef long serve_history() noexcept nogil:
    """Start the process if it is needed; returns milliseconds until the next look is due, or -1."""
    global history_handle, history_pause, done_before
    cdef TimestampTz now
    cdef Oid database = InvalidOid
    cdef long left = -1
    # before the look: what comes meanwhile is for the next one
    registry.is_writer_wanted = False
    pg_memory_barrier()
    if registry.due_count == 0 and prune_due[0] == 0 and history_handle == NULL:
        return -1
    if is_writer_there():
        # the postmaster tells this process when that one is gone, unless a keeper before it has asked for that
        return HISTORY_PAUSE_MS if registry.due_count > 0 or history_handle == NULL else -1
    now = GetCurrentTimestamp()
    if 0 < history_pause - now <= HISTORY_PAUSE_MS * 1000:
        return <long>((history_pause - now) // 1000) + 1
    if registry.due_count > 0:
        database = next_database_due()
    if database == InvalidOid:
        database = next_database_to_prune(now, &left)
    if database == InvalidOid:
        return left
    note_pruned(database, now)
    done_before = registry.writers_done
    history_handle = register_writer(database)
    if history_handle != NULL:
        return -1
    history_pause = now + HISTORY_PAUSE_MS * 1000
    return HISTORY_PAUSE_MS
