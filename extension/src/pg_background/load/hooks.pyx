# Hooks into other sessions' statements: idle workers must not stand in the way of DROP DATABASE and the like, and a
# job that swallowed its cancel (cancel/signals.pyx) starts no further statement.

cdef enum:
    EVICT_POLL_MS = 10          # a worker that has become idle tells nobody

cdef ProcessUtility_hook_type previous_utility
cdef ExecutorStart_hook_type previous_executor_start


cdef const char *template_of(List *options) noexcept nogil:
    """The database that CREATE DATABASE copies."""
    cdef int i
    cdef DefElem *option
    for i in range(list_length(options)):
        option = <DefElem *>list_nth(options, i)
        # without an argument it is TEMPLATE DEFAULT
        if strcmp(option.defname, b"template") == 0 and option.arg != NULL:
            return defGetString(option)
    return b"template1"


cdef const char *database_to_be_alone_with(Node *statement) noexcept nogil:
    """The database whose sessions the statement will count, or NULL."""
    cdef int tag = nodeTag(statement)
    if tag == T_DropdbStmt:
        return (<DropdbStmt *>statement).dbname
    if tag == T_CreatedbStmt:
        return template_of((<CreatedbStmt *>statement).options)
    if tag == T_AlterDatabaseStmt:
        return (<AlterDatabaseStmt *>statement).dbname
    if tag == T_RenameStmt and (<RenameStmt *>statement).renameType == OBJECT_DATABASE:
        return (<RenameStmt *>statement).subname
    return NULL


cdef bint has_right_to(Node *statement, Oid database) noexcept nogil:
    """Whether the statement will get past the server's own check: who may not drop a database must not empty it of
    its workers either."""
    cdef int tag = nodeTag(statement)
    if (tag == T_CreatedbStmt or tag == T_RenameStmt) and not may_create_databases():
        return False
    return owns_database(database, GetUserId()) or (tag == T_CreatedbStmt and is_template(database))


cdef bint ask_idle_to_leave(Oid database) noexcept nogil:
    """Ask idle workers of the database to leave; True while one that was asked is still there."""
    cdef Worker *worker
    cdef int32_t i
    cdef bint any_there = False
    lock_registry()
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if worker.identity.database != database:
            continue
        if worker.state == WORKER_IDLE:
            worker.state = WORKER_LEAVING
            SetLatch(proc_latch(worker.proc))
        if worker.state == WORKER_LEAVING or worker.state == WORKER_RESETTING or is_started_for_any(worker):
            any_there = True
    if registry.writer != NULL and registry.writer_database == database:
        # it writes what there is first, or the keeper would start the next one for that
        registry.writer_leaves = True
        SetLatch(proc_latch(registry.writer))
        any_there = True
    unlock_registry()
    return any_there


cdef void empty_database_of_idle_workers(const char *name, Node *statement) noexcept nogil:
    """Wait at most EVICT_MS: a worker that stays is reported by the statement itself, as any session is."""
    cdef Oid database = get_database_oid(name, True)
    cdef TimestampTz start = GetCurrentTimestamp()
    if database == InvalidOid or not has_right_to(statement, database):
        return
    while ask_idle_to_leave(database):
        if TimestampDifferenceMilliseconds(start, GetCurrentTimestamp()) > EVICT_MS:
            return
        ConditionVariablePrepareToSleep(&registry.worker_left)
        ConditionVariableTimedSleep(&registry.worker_left, EVICT_POLL_MS, PG_WAIT_EXTENSION)
        ConditionVariableCancelSleep()
        CHECK_FOR_INTERRUPTS()


cdef void utility_hook(PlannedStmt *planned, const char *sql, cbool read_only, int context, void *parameters,
                       void *environment, DestReceiver *receiver, QueryCompletion *completion) noexcept nogil:
    """Before a utility statement: end a job that swallowed its cancel, ask idle workers to leave a database that is to
    be dropped or copied, hide the SQL of a definer's job, keep one from writing that can only read."""
    cdef const char *database = database_to_be_alone_with(planned.utilityStmt)
    cdef bint hidden
    end_if_cancel_was_swallowed()
    enter_security_context()
    refuse_unseen_write(planned.utilityStmt)
    if database != NULL:
        empty_database_of_idle_workers(database, planned.utilityStmt)
    hidden = hide_from_utility()
    if previous_utility != NULL:
        previous_utility(planned, sql, read_only, context, parameters, environment, receiver, completion)
    else:
        standard_ProcessUtility(planned, sql, read_only, context, parameters, environment, receiver, completion)
    if hidden:
        show_to_log()


cdef void executor_start_hook(QueryDesc *query, int flags) noexcept nogil:
    """Before a plan runs: end a job that swallowed its cancel, hide the SQL of a definer's job from parallel
    workers."""
    end_if_cancel_was_swallowed()
    enter_security_context()
    if previous_executor_start != NULL:
        previous_executor_start(query, flags)
    else:
        standard_ExecutorStart(query, flags)
    hide_from_executor(query)
