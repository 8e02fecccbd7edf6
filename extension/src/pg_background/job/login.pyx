# A job in another database is there what a login of its launcher would be. Whether jobs from elsewhere may come is for
# the target to say; its settings, libraries, limits and triggers for logins hold. On top comes what the launcher's
# session has set, as far as it might set it there. Each such job has a fresh process, as each login has.

# ---- in the job's process, which has connected, and so has the settings of a login

cdef int logins_from_elsewhere(Oid database, Oid role) noexcept nogil:
    """Workers that stand for a login, in this database or of this role; InvalidOid: whichever."""
    cdef Worker *worker
    cdef int32_t i
    cdef int count = 0
    share_registry()
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if (worker.state != WORKER_FREE and worker.pid != 0 and worker.identity.is_away
                and (database == InvalidOid or worker.identity.database == database)
                and (role == InvalidOid or worker.identity.login == role)):
            count += 1
    unlock_registry()
    return count


cdef void require_connection(Identity *identity) noexcept nogil:
    """The limits that the server knows for sessions only. As there, two at the same time may both be refused."""
    cdef int limit
    if superuser_arg(identity.login):
        return
    limit = role_connection_limit(identity.login)
    if limit >= 0 and (CountUserBackends(identity.login)
                       + logins_from_elsewhere(InvalidOid, identity.login)) > limit:
        raise_error(ERRCODE_TOO_MANY_CONNECTIONS, b"too many connections for role \"%s\"",
                    GetUserNameFromId(identity.login, False))
    limit = database_connection_limit(identity.database)
    if limit >= 0 and (CountDBConnections(identity.database)
                       + logins_from_elsewhere(identity.database, InvalidOid)) > limit:
        raise_error(ERRCODE_TOO_MANY_CONNECTIONS, b"too many connections for database \"%s\"",
                    get_database_name(identity.database))


cdef void set_as_launcher(char *settings, uint32_t size) noexcept nogil:
    """What it might not set here is skipped; in a transaction."""
    cdef char *place = settings + sizeof(Size)
    cdef Setting setting
    cdef int context
    while read_setting(place, settings + size, &setting):
        place = setting.end
        context = setting.context
        # it counts as a superuser's while who has set it is one; before 15 the server doesn't say who it was
        if context == PGC_SUSET and setting.role != InvalidOid and not superuser_arg(setting.role):
            context = PGC_USERSET
        try_to_set(setting.name, setting.value, context, setting.source, setting.role)


cdef void log_in(Job *job, JobRequest *request) noexcept nogil:
    """As a session begins: may it be, then the libraries, then the triggers; and last what its client would set."""
    StartTransactionCommand()
    disable_transaction_timeout()
    if not setting_jobs_from_other_databases:
        raise_not_from_elsewhere(job.identity.database)
    require_rights(&job.identity, request.role)
    require_connection(&job.identity)
    process_session_preload_libraries()
    CommitTransactionCommand()
    fire_login_triggers()
    assume_session_user(job.identity.session_user)
    StartTransactionCommand()
    disable_transaction_timeout()
    set_as_launcher(request_settings(request), request.settings_size)
    assume_role(request.role)
    # as this database has it
    job.keeps_history = setting_history and not RecoveryInProgress()
    CommitTransactionCommand()
    use_server_encoding()
    note_placeholders()
