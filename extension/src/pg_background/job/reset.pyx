# The reset after a job: nothing of it is left for the next one. What cannot be taken away stays with its identity.

cdef void reset_body(void *arg) noexcept nogil:
    """All that DISCARD ALL does but for the settings, which the next job's replace."""
    global XactIsoLevel
    cdef Oid temp_namespace = InvalidOid
    cdef Oid toast_namespace = InvalidOid
    release_replication_slots()
    StartTransactionCommand()
    disable_transaction_timeout()
    if GetSessionUserId() != my_worker.identity.login:
        SetSessionAuthorization(my_worker.identity.login, superuser_arg(my_worker.identity.login))
    PortalHashTableDeleteAll()
    DropAllPreparedStatements()
    Async_UnlistenAll()
    LockReleaseAll(USER_LOCKMETHOD, True)
    GetTempNamespaceState(&temp_namespace, &toast_namespace)
    if temp_namespace != InvalidOid:
        # by the job's defaults the snapshot might have to wait for others' transactions
        XactIsoLevel = XACT_READ_COMMITTED
        # dropping temporary tables deletes catalog rows
        PushActiveSnapshot(GetTransactionSnapshot())
        ResetTempTableNamespace()
        PopActiveSnapshot()
    ResetSequenceCaches()
    # a new table that hides another, as a temporary one may, invalidates no plan by itself
    ResetPlanCache()
    reset_replication_origin()
    CommitTransactionCommand()
    reseed_random(<double>(<int64_t>random_bits()) / 9223372036854775808.0)


cdef void reset_session() noexcept nogil:
    """Leave nothing of the last job; a process that cannot be cleaned ends."""
    end_session()
    forget_pins()
    forget_security_context()
    SetUserIdAndSecContext(my_worker.identity.login, 0)
    if catch_error(reset_body, NULL, True) != NULL:
        proc_exit(1)
    MemoryContextSwitchTo(TopMemoryContext)
    MemoryContextReset(job_context)
