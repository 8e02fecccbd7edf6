# Run a job: its statements as one implicit transaction, as the server runs a simple query.

cdef void run_job(Job *job) noexcept nogil:
    """Run the job that this worker has taken, tell its end, and make the session clean for the next one."""
    cdef ErrorData *error
    cdef int32_t pid = job.pid
    MemoryContextSwitchTo(job_context)
    open_output(job)
    error = catch_error(transaction_body, job, True)
    if error != NULL:
        clean_up_after_error()
    debug_point("job_before_finish")
    close_output()
    choose_channel(job)
    note_traces()
    finish_job(job, error)
    notify_end(pid)
    if my_worker.state == WORKER_LEAVING:
        proc_exit(0)
    debug_point("worker_before_reset")
    reset_session()
    debug_point("worker_after_reset")
    pgstat_report_stat(True)
    pgstat_report_activity(STATE_IDLE, NULL)


cdef void transaction_body(void *arg) noexcept nogil:
    global debug_query_string
    cdef Job *job = <Job *>arg
    cdef JobRequest *request = <JobRequest *>address(job.request)
    cdef char *sql = request_sql(request)
    SetCurrentStatementStartTimestamp()
    debug_query_string = sql
    if my_worker.cancel_cookie == running_cookie or my_worker.terminate_cookie == running_cookie:
        raise_error(ERRCODE_QUERY_CANCELED, b"canceling statement due to user request")
    take_over(job)
    MemoryContextSwitchTo(job_context)
    pgstat_report_activity(STATE_RUNNING, sql)
    # before the transaction starts: after a ROLLBACK in a procedure the user of that moment comes back
    SetUserIdAndSecContext(job.identity.user, 0)
    if setting_worker_timeout > 0:
        enable_timeout_after(job_timeout, setting_worker_timeout)
    MemoryContextSwitchTo(job_context)
    debug_point("job_before_statements")
    log_duration(request, run_statements(job, request))
    debug_query_string = NULL


cdef void stop_cancels() noexcept nogil:
    """The job has committed or failed: a cancel that comes now must neither undo that nor hit the next job."""
    global running_cookie, QueryCancelPending
    running_cookie = 0
    disable_timeout(job_timeout, False)
    QueryCancelPending = 0


cdef void clean_up_after_error() noexcept nogil:
    """What the server does after an error in a session, in its order."""
    global debug_query_string
    hold_interrupts()
    stop_cancels()
    disable_all_timeouts(False)
    debug_query_string = NULL
    AbortCurrentTransaction()
    PortalErrorCleanup()
    release_replication_slots()
    jit_reset_after_error()
    MemoryContextSwitchTo(job_context)
    resume_interrupts()


cdef void start_statement_timeout() noexcept nogil:
    if StatementTimeout > 0:
        enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout)


cdef bint is_statement_logged(List *statements) noexcept nogil:
    cdef int i
    if log_statement == LOGSTMT_NONE:
        return False
    if log_statement == LOGSTMT_ALL:
        return True
    for i in range(list_length(statements)):
        if GetCommandLogLevel(<Node *>list_nth(statements, i)) <= log_statement:
            return True
    return False


cdef void log_duration(JobRequest *request, bint was_logged) noexcept nogil:
    cdef char milliseconds[32]
    cdef int how = check_log_duration(milliseconds, was_logged)
    if how == 1:
        report_hidden_statement(LOG, NULL, b"duration: %s ms", milliseconds)
    elif how == 2:
        report_hidden_statement(LOG, parameters_for_log(request), b"duration: %s ms  statement: %s", milliseconds,
                                request_sql(request))


cdef void check_allowed(RawStmt *statement) noexcept nogil:
    if nodeTag(statement.stmt) == T_TransactionStmt:
        raise_error(ERRCODE_FEATURE_NOT_SUPPORTED,
                    b"transaction control statements are not allowed in pg_background")


cdef bint run_statements(Job *job, JobRequest *request) noexcept nogil:
    """The whole string as one transaction, in which each statement sees the effects of those before it; or each
    statement in its own.

    Returns whether the statements were logged.
    """
    cdef const char *sql = request_sql(request)
    cdef List *statements
    cdef bint was_logged
    cdef int i, count
    cdef MemoryContext context
    StartTransactionCommand()
    begin(job, request)
    keep_security_context(job)
    start_statement_timeout()
    MemoryContextSwitchTo(job_context)
    statements = pg_parse_query(sql)
    count = list_length(statements)
    was_logged = is_statement_logged(statements)
    if was_logged:
        report_hidden_statement(LOG, parameters_for_log(request), b"statement: %s", sql)
    if request.parameters >= 0 and count > 1:
        raise_error(ERRCODE_SYNTAX_ERROR, b"a job with parameters must be a single statement")
    for i in range(count):
        check_allowed(<RawStmt *>list_nth(statements, i))
    for i in range(count):
        if i > 0 and request.each_statement:
            CommitTransactionCommand()
            StartTransactionCommand()
        if i > 0:
            start_statement_timeout()
        if count > 1 and not request.each_statement:
            BeginImplicitTransactionBlock()
        CHECK_FOR_INTERRUPTS()
        context = create_context(job_context, "pg_background statement")
        MemoryContextSwitchTo(context)
        run_statement(job, request, <RawStmt *>list_nth(statements, i), i == count - 1)
        MemoryContextSwitchTo(job_context)
        disable_timeout(STATEMENT_TIMEOUT, False)
        if i < count - 1:
            if not request.each_statement:
                CommandCounterIncrement()
            MemoryContextDelete(context)
    debug_point("job_before_commit")
    # before the commit: rows that cannot be kept must fail the job
    flush_rows()
    if count > 1 and not request.each_statement:
        EndImplicitTransactionBlock()
    disable_timeout(STATEMENT_TIMEOUT, False)
    CommitTransactionCommand()
    stop_cancels()
    return was_logged


cdef List *plan_statement(JobRequest *request, RawStmt *statement, void **parameters) noexcept nogil:
    """Analyse, rewrite and plan; `parameters` are bound values, or NULL where none were given."""
    cdef const char *sql = request_sql(request)
    cdef Oid *types = NULL
    cdef int count = 0
    cdef List *trees
    parameters[0] = NULL
    if request.parameters < 0:
        trees = pg_analyze_and_rewrite_fixedparams(statement, sql, NULL, 0, NULL)
    else:
        trees = pg_analyze_and_rewrite_varparams(statement, sql, &types, &count, NULL)
        parameters[0] = bind_parameters(request, types, count)
    return pg_plan_queries(trees, sql, CURSOR_OPT_PARALLEL_OK, parameters[0])


cdef void run_statement(Job *job, JobRequest *request, RawStmt *statement, bint is_last) noexcept nogil:
    cdef List *plans
    cdef Portal portal
    cdef QueryCompletion completion
    cdef void *parameters = NULL
    cdef DestReceiver *receiver = None_Receiver
    cdef int tag = CreateCommandTag(statement.stmt)
    # the input functions of parameters may need one too
    cdef bint needs_snapshot = analyze_requires_snapshot(statement) or request.parameters > 0
    if is_last and not job.submitted and not job.discards_rows:
        receiver = rows_receiver()
    # a statement before this one may have set another
    use_server_encoding()
    set_ps_display(GetCommandTagName(tag))
    if needs_snapshot:
        PushActiveSnapshot(GetTransactionSnapshot())
    plans = plan_statement(request, statement, &parameters)
    if needs_snapshot:
        PopActiveSnapshot()
    CHECK_FOR_INTERRUPTS()
    portal = CreatePortal("", True, True)
    portal.visible = False
    PortalDefineQuery(portal, NULL, request_sql(request), tag, plans, NULL)
    PortalStart(portal, parameters, 0, InvalidSnapshot)
    InitializeQueryCompletion(&completion)
    portal_run(portal, receiver, None_Receiver, &completion)
    PortalDrop(portal, False)
    note_completion(job, &completion)
