# A worker becomes what a job's launcher was: system user, session user, libraries, settings, role. From the moment that
# it takes the job until all that is in force the job has not begun: what this process cannot become another one can, so
# it leaves and the job goes to a fresh process. Only in a fresh one a failure is the job's.

cdef bint job_has_begun             # the running one
cdef bint job_goes_back             # ... to the backlog, as this process ends
cdef bint is_half_taken_over        # interrupted, so that the process is neither the last job's nor the next one's
cdef bint login_was_superuser       # as this process connected

cdef char *restored_settings        # what a launcher sent that is in force here
cdef uint32_t restored_size
cdef Size restored_capacity
cdef char *restored_libraries
cdef uint32_t restored_libraries_size
cdef Size restored_libraries_capacity
cdef Oid restored_role
cdef char *own_settings             # what this process serialised to right after restoring them
cdef Size own_size
cdef Size own_capacity
cdef bint stand_as_restored         # as compared after the last job, and nothing has changed settings since


cdef void keep_copy(char **buffer, Size *capacity, const char *data, Size size) noexcept nogil:
    """Copy into a buffer of TopMemoryContext, which grows if need be."""
    ensure_capacity(buffer, capacity, size)
    memcpy(buffer[0], data, size)


cdef void leave_to_fresh_worker() noexcept nogil:
    """End this process; worker_exit gives its job to a fresh one. Not for a fresh one itself."""
    global job_goes_back
    job_goes_back = True
    proc_exit(0)


# ---- the name in pg_stat_activity and the log

cdef void show_name(const char *name) noexcept nogil:
    SetConfigOption("application_name", name, PGC_USERSET, PGC_S_SESSION)


cdef void show_trace(const char *traceparent) noexcept nogil:
    """As the setting has it in the job; empty: none."""
    if strcmp(setting_traceparent, traceparent) != 0:
        SetConfigOption("pg_background.traceparent", traceparent, PGC_USERSET, PGC_S_SESSION)


cdef void show_idle_name() noexcept nogil:
    """Between jobs: the same in all workers, so that settings compare equal whatever the jobs' names and traces are."""
    show_name("pg_background")
    show_trace("")


# ---- settings

cdef void use_server_encoding() noexcept nogil:
    """Rows and messages stay in the server's encoding, whatever the launcher's client speaks or the job sets."""
    SetClientEncoding(GetDatabaseEncoding())


cdef bint are_settings_in_force(JobRequest *request, uint64_t hash) noexcept nogil:
    """Whether the last restored settings are the wanted ones and nothing has changed them since.

    Restoring costs a hundred times more than this comparison, nearly all of it in re-reading the time zone
    abbreviations.
    """
    if (my_worker.settings != hash or request.settings_size != restored_size or request.role != restored_role
            or GetCurrentRoleId() != restored_role      # in some releases not among the serialised settings
            or not are_variables_the_same()
            or memcmp(request_settings(request), restored_settings, restored_size) != 0):
        return False
    return stand_as_restored or do_own_settings_stand()


cdef bint do_own_settings_stand() noexcept nogil:
    """Whether this process's settings are those that it restored; under the name of an idle worker."""
    cdef Size size = serialize_settings()
    return size == own_size and memcmp(settings_buffer, own_settings, size) == 0


cdef void compare_settings_body(void *arg) noexcept nogil:
    """After a job's reset; may raise for want of memory."""
    global stand_as_restored
    stand_as_restored = my_worker.settings != 0 and do_own_settings_stand()


cdef void compare_settings() noexcept nogil:
    """While nobody waits for this worker, so that the next job need not; what can't be told now is told then."""
    cdef MemoryContext old = MemoryContextSwitchTo(job_context)
    catch_error(compare_settings_body, NULL, False)
    MemoryContextSwitchTo(old)


cdef void forget_comparison() noexcept nogil:
    """Before anything between two jobs that may change a setting."""
    global stand_as_restored
    stand_as_restored = False


cdef void load_libraries(JobRequest *request) noexcept nogil:
    """What the launcher has loaded, such as auto_explain; a library cannot be unloaded after the job."""
    global restored_libraries_size
    if (request.libraries_size == restored_libraries_size
            and memcmp(request_libraries(request), restored_libraries, restored_libraries_size) == 0):
        return
    forget_comparison()
    StartTransactionCommand()
    RestoreLibraryState(request_libraries(request))
    CommitTransactionCommand()
    keep_copy(&restored_libraries, &restored_libraries_capacity, request_libraries(request), request.libraries_size)
    restored_libraries_size = request.libraries_size


cdef void assume_system_user(JobRequest *request) noexcept nogil:
    """As the server does in a parallel worker. A process has one for as long as it lives; of others, the identity tells
    all but those whose hashes are the same."""
    cdef uint32_t size = <uint32_t>system_user_size()
    cdef char *own
    if size == 0 and request.system_user_size > 0:
        become_system_user(request_system_user(request))
        return
    own = <char *>palloc(size + 1)
    if size > 0:
        write_system_user(size, own)
    if size != request.system_user_size or memcmp(own, request_system_user(request), size) != 0:
        leave_to_fresh_worker()


cdef void assume_session_user(Oid user) noexcept nogil:
    """A superuser's SET SESSION AUTHORIZATION holds in the job too; before the settings, which are checked by it."""
    if GetSessionUserId() == user:
        return
    forget_comparison()
    StartTransactionCommand()
    SetSessionAuthorization(user, superuser_arg(user))
    CommitTransactionCommand()


cdef void assume_role(Oid role) noexcept nogil:
    """As SET ROLE does; in a transaction."""
    cdef const char *name = "none"
    if role != InvalidOid:
        name = GetUserNameFromId(role, False)
    if GetCurrentRoleId() != role:
        SetConfigOption("role", name, PGC_USERSET, PGC_S_SESSION)


cdef const char *name_for_now(Job *job, JobRequest *request, Setting *setting) noexcept nogil:
    """Of the role that a setting names; NULL: it names none."""
    if is_named(setting, b"session_authorization"):
        return GetUserNameFromId(job.identity.session_user, False)
    if is_named(setting, b"role") and request.role != InvalidOid:
        return GetUserNameFromId(request.role, False)
    return NULL


cdef char *settings_for_now(Job *job, JobRequest *request) noexcept nogil:
    """What the launcher sent, with the names that its roles have now: as settings they have no other identity, and a
    renamed role's name may be another's. In a transaction, in whose memory it lies."""
    cdef char *place = request_settings(request) + sizeof(Size)
    cdef char *end = request_settings(request) + request.settings_size
    cdef char *packed = <char *>MemoryContextAllocExtended(
        CurrentMemoryContext, request.settings_size + 2 * NAMEDATALEN, MCXT_ALLOC_HUGE)
    cdef char *to = packed + sizeof(Size)
    cdef const char *value
    cdef Setting setting
    cdef Size length
    while read_setting(place, end, &setting):
        place = setting.end
        value = name_for_now(job, request, &setting)
        length = setting.value - setting.name
        memcpy(to, setting.name, length)
        to += length
        if value == NULL:
            value = setting.value
        length = strlen(value) + 1
        memcpy(to, value, length)
        to += length
        memcpy(to, setting.rest, setting.end - setting.rest)
        to += setting.end - setting.rest
    length = to - packed - sizeof(Size)
    memcpy(packed, &length, sizeof(Size))
    return packed


cdef void restore_settings(Job *job, JobRequest *request) noexcept nogil:
    """Bring the launcher's settings into force, in a committed transaction of their own: in the job's, a ROLLBACK
    in a procedure would bring the old ones back."""
    global restored_size, restored_role, own_size, placeholders_at_first, XactReadOnly
    if are_settings_in_force(request, job.settings):
        forget_comparison()
        use_server_encoding()
        return
    forget_comparison()
    if my_worker.is_fresh:
        placeholders_at_first = count_placeholders()
    elif my_worker.temp_buffers != 0 and my_worker.temp_buffers != TEMP_BUFFERS_AT_BOOT:
        # restoring goes by way of the built-in values
        leave_to_fresh_worker()
    my_worker.settings = 0
    StartTransactionCommand()
    disable_transaction_timeout()
    # so that a job that may not be says why: the role would be just one of many settings
    require_rights(&job.identity, request.role)
    # it sets all to their defaults first, and during recovery a transaction can't be set to writing: so it is already
    XactReadOnly = False
    RestoreGUCState(settings_for_now(job, request))
    assume_role(request.role)
    CommitTransactionCommand()
    use_server_encoding()
    show_idle_name()
    # also where it is empty: from here on it counts as set, as after each job that has one
    SetConfigOption("pg_background.traceparent", "", PGC_USERSET, PGC_S_SESSION)
    note_placeholders()
    if not my_worker.is_fresh and my_worker.placeholders != 0 and my_worker.placeholders != job.placeholders:
        leave_to_fresh_worker()
    keep_copy(&restored_settings, &restored_capacity, request_settings(request), request.settings_size)
    own_size = serialize_settings()
    keep_copy(&own_settings, &own_capacity, settings_buffer, own_size)
    restored_role = request.role
    restored_size = request.settings_size
    my_worker.settings = job.settings


# ---- all together

cdef void take_over_body(void *arg) noexcept nogil:
    """Take over identity, libraries, settings and name. Raises what any of them raises; take_over says what that
    means."""
    cdef Job *job = <Job *>arg
    cdef JobRequest *request = <JobRequest *>address(job.request)
    if job.identity.system_user != 0:
        assume_system_user(request)
    if job.identity.is_away:
        log_in(job, request)
    else:
        assume_session_user(job.identity.session_user)
        # before the settings, which may be theirs
        load_libraries(request)
        restore_settings(job, request)
    show_name(request.application_name)
    show_trace(job.traceparent)


cdef bint is_interruption(ErrorData *error) noexcept nogil:
    """Whether the job, not this process, was asked to end."""
    return error.sqlerrcode == ERRCODE_QUERY_CANCELED or error.sqlerrcode == ERRCODE_ADMIN_SHUTDOWN


cdef void take_over(Job *job) noexcept nogil:
    """Become what its launcher was, or leave. May wait for others' locks on the catalogues, and be interrupted."""
    global is_half_taken_over
    cdef ErrorData *error = NULL
    is_half_taken_over = True
    if my_worker.is_fresh:
        take_over_body(job)
    else:
        error = catch_error(take_over_body, job, False)
    if error != NULL and not is_interruption(error):
        leave_to_fresh_worker()
    if error != NULL:
        ReThrowError(error)
    is_half_taken_over = False


cdef bint is_superuser_shown() noexcept nogil:
    """The setting is_superuser, which the server keeps for the outer role."""
    return strcmp(GetConfigOption("is_superuser", False, False), b"on") == 0


cdef void note_login() noexcept nogil:
    """As this process has connected."""
    global login_was_superuser
    login_was_superuser = is_superuser_shown()


cdef void begin(Job *job, JobRequest *request) noexcept nogil:
    """In the job's first transaction: its rights are there still, and this process has no others than those."""
    global job_has_begun
    cdef Identity *identity = &job.identity
    cdef Oid outer = request.role if request.role != InvalidOid else identity.session_user
    cdef bint was_fresh = my_worker.is_fresh
    my_worker.is_fresh = False
    require_rights(identity, request.role)
    # the server itself remembers this for as long as a session lives
    if not was_fresh and (superuser_arg(identity.login) != login_was_superuser
                          or superuser_arg(outer) != is_superuser_shown()):
        leave_to_fresh_worker()
    job_has_begun = True


cdef bint does_fatal_return_job(int32_t sqlstate) noexcept nogil:
    """Whether another process may well do what has ended this one; asked by the hook for log lines."""
    return (my_job != NULL and not job_has_begun and not my_worker.is_fresh and sqlstate != ERRCODE_ADMIN_SHUTDOWN)


cdef void note_traces_body(void *arg) noexcept nogil:
    """Note temp_buffers and custom settings in this worker's place; may raise for want of memory."""
    my_worker.temp_buffers = NLocBuffer
    # before the comparison: the name takes memory, too
    show_idle_name()
    if not are_variables_the_same():
        note_placeholders()


cdef void note_traces() noexcept nogil:
    """What a job leaves that no reset can take away, before the next job is given to this worker.

    The job may have committed, so nothing is raised: a process that can't tell what is left takes no other job. An
    error gives up the caller's hold on interrupts, which is taken again.
    """
    global is_half_taken_over
    if catch_error(note_traces_body, NULL, False) != NULL:
        hold_interrupts()
        is_half_taken_over = True
