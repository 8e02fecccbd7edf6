# A job's session state: the settings and roles of its launch point before it, nothing of it left after it.

cdef char *restored_settings        # what a launcher sent that is in force here
cdef uint32_t restored_size
cdef Size restored_capacity
cdef char *restored_libraries
cdef uint32_t restored_libraries_size
cdef Size restored_libraries_capacity
cdef Oid restored_role
cdef char *own_settings             # what this process serialised to right after restoring them
cdef uint32_t own_size
cdef Size own_capacity
cdef bint appname_has_label


cdef void keep_copy(char **buffer, Size *capacity, const char *data, uint32_t size) noexcept nogil:
    ensure_capacity(buffer, capacity, size)
    memcpy(buffer[0], data, size)


cdef bint are_settings_in_force(JobRequest *request) noexcept nogil:
    """Whether the last restored settings are the wanted ones and nothing has changed them since.

    Restoring costs a hundred times more than this comparison, nearly all of it in re-reading the time zone
    abbreviations.
    """
    cdef uint32_t size
    if (request.settings_size != restored_size or request.role != restored_role
            or GetCurrentRoleId() != restored_role      # not among the serialised settings
            or memcmp(request_settings(request), restored_settings, restored_size) != 0):
        return False
    size = serialize_settings()
    return size == own_size and memcmp(settings_buffer, own_settings, size) == 0


cdef void load_libraries(JobRequest *request) noexcept nogil:
    """What the launcher has loaded, such as auto_explain; a library cannot be unloaded after the job."""
    global restored_libraries_size
    if (request.libraries_size == restored_libraries_size
            and memcmp(request_libraries(request), restored_libraries, restored_libraries_size) == 0):
        return
    StartTransactionCommand()
    RestoreLibraryState(request_libraries(request))
    CommitTransactionCommand()
    keep_copy(&restored_libraries, &restored_libraries_capacity, request_libraries(request), request.libraries_size)
    restored_libraries_size = request.libraries_size


cdef const char *role_name(Oid role) noexcept nogil:
    """As SET ROLE takes it."""
    if role == InvalidOid:
        return "none"
    return GetUserNameFromId(role, False)


cdef void use_server_encoding() noexcept nogil:
    """Rows and messages stay in the server's encoding, whatever the launcher's client speaks or the job sets."""
    SetClientEncoding(GetDatabaseEncoding())


cdef void restore_settings(JobRequest *request) noexcept nogil:
    """Bring the launcher's settings into force, in a committed transaction of their own: in the job's, a ROLLBACK
    in a procedure would bring the old ones back."""
    global restored_size, restored_role, own_size, XactReadOnly
    if are_settings_in_force(request):
        use_server_encoding()
        return
    restored_size = 0
    StartTransactionCommand()
    disable_transaction_timeout()
    # it sets all to their defaults first, and during recovery a transaction can't be set to writing: so it is already
    XactReadOnly = False
    RestoreGUCState(request_settings(request))
    if GetCurrentRoleId() != request.role:
        SetConfigOption("role", role_name(request.role), PGC_USERSET, PGC_S_SESSION)
    CommitTransactionCommand()
    use_server_encoding()
    keep_copy(&restored_settings, &restored_capacity, request_settings(request), request.settings_size)
    own_size = serialize_settings()
    keep_copy(&own_settings, &own_capacity, settings_buffer, own_size)
    restored_role = request.role
    restored_size = request.settings_size


cdef void assume_session_user(JobRequest *request) noexcept nogil:
    """A superuser's SET SESSION AUTHORIZATION holds in the job too; before the settings, which are checked by it."""
    if GetSessionUserId() != request.session_user:
        SetSessionAuthorization(request.session_user, request.session_user_is_superuser)


cdef void require_role(Oid role) noexcept nogil:
    """Raise 42704 when the job's role was dropped while it waited: PUBLIC's rights would be left of it."""
    if GetUserNameFromId(role, True) == NULL:
        raise_error(ERRCODE_UNDEFINED_OBJECT, b"role with OID %u does not exist", role)


cdef void show_application_name(Job *job) noexcept nogil:
    """The label in pg_stat_activity; without one, the launcher's application_name."""
    global appname_has_label
    if job.label[0] != 0 and not job.is_hidden:
        pgstat_report_appname(psprintf(b"pg_background: %s", job.label))
        appname_has_label = True
    elif appname_has_label:
        pgstat_report_appname(application_name)
        appname_has_label = False


# ---- the security context of a SECURITY DEFINER function, which its job keeps
#
# A transaction must begin without one, and ends with the user and context that it began with. So the context is left
# as a transaction ends and entered as the next one begins, before any SQL runs in that one. What a COMMIT or ROLLBACK
# in a procedure begins calls nothing of ours, but it takes in invalidations first: one is sent for that.

cdef Oid kept_user
cdef int kept_context               # of the running job, 0 for most
cdef bint is_context_due


cdef void enter_security_context() noexcept nogil:
    global is_context_due
    if is_context_due:
        is_context_due = False
        SetUserIdAndSecContext(kept_user, kept_context)


cdef void keep_security_context(Job *job) noexcept nogil:
    """Enter the job's context, in its first transaction, and in each that follows until forget_security_context."""
    global kept_user, kept_context, is_context_due
    kept_user = job.user
    kept_context = job.security_context
    is_context_due = kept_context != 0
    enter_security_context()


cdef void forget_security_context() noexcept nogil:
    global kept_context, is_context_due
    kept_context = 0
    is_context_due = False


cdef void on_transaction_end(int event, void *arg) noexcept nogil:
    global is_context_due
    if kept_context != 0 and (event == XACT_EVENT_COMMIT or event == XACT_EVENT_ABORT):
        SetUserIdAndSecContext(kept_user, 0)
        is_context_due = True
        send_own_invalidation()


cdef void on_invalidation(Datum arg, int cache, uint32_t hash_value) noexcept nogil:
    if is_own_invalidation(hash_value):
        enter_security_context()


cdef void set_up_identity() noexcept nogil:
    RegisterXactCallback(on_transaction_end, NULL)
    CacheRegisterSyscacheCallback(OWN_INVALIDATION_CACHE, on_invalidation, 0)


# ---- after the job

cdef void reset_body(void *arg) noexcept nogil:
    """All that DISCARD ALL does but for the settings, which the next job's replace."""
    global XactIsoLevel
    cdef Oid temp_namespace = InvalidOid
    cdef Oid toast_namespace = InvalidOid
    release_replication_slots()
    StartTransactionCommand()
    disable_transaction_timeout()
    if GetSessionUserId() != my_worker.user:
        SetSessionAuthorization(my_worker.user, superuser_arg(my_worker.user))
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
    forget_security_context()
    SetUserIdAndSecContext(my_worker.user, 0)
    if catch_error(reset_body, NULL, True) != NULL:
        proc_exit(1)
    MemoryContextSwitchTo(TopMemoryContext)
    MemoryContextReset(job_context)
