# Run a job: its statements as one implicit transaction, as the server runs a simple query.

cdef void run_job(Job *job) noexcept nogil:
    """Run the job that this worker has taken, tell its end, and make the session clean for the next one."""
    global is_last_commit, debug_query_string, synchronous_commit
    cdef ErrorData *error
    cdef int32_t pid = job.pid
    cdef int wanted_sync
    MemoryContextSwitchTo(job_context)
    begin_taking()
    open_output(job)
    error = catch_error(transaction_body, job, True)
    # how it ended is known: a request to end this process waits until it is told
    hold_interrupts()
    is_last_commit = False
    stop_cancels()
    if error != NULL:
        clean_up_after_error()
        move_error_position(error, request_sql(<JobRequest *>address(job.request)))
        name_statement(error)
    debug_point("job_before_finish")
    end_output(job)
    debug_query_string = NULL
    choose_channel(job)
    note_traces()
    finish_job(job, NULL if has_committed else error)
    resume_interrupts()
    # what follows is not worth a wait for a standby, which nobody could cancel
    wanted_sync = synchronous_commit
    synchronous_commit = SYNCHRONOUS_COMMIT_OFF
    notify_end(pid)
    if my_worker.state == WORKER_LEAVING:
        proc_exit(0)
    debug_point("worker_before_reset")
    reset_session()
    synchronous_commit = wanted_sync
    show_client(NULL)
    compare_settings()
    debug_point("worker_after_reset")
    pgstat_report_stat(True)
    pgstat_report_activity(STATE_IDLE, NULL)


cdef void show_statement(const char *text) noexcept nogil:
    """As what runs now: in pg_stat_activity, in the log with an error, and as current_query()."""
    global debug_query_string
    debug_query_string = text
    pgstat_report_activity(STATE_RUNNING, shown_sql(my_job, text))


cdef void transaction_body(void *arg) noexcept nogil:
    """All of a job that may fail: become its launcher, run its statements, commit. Called by run_job, which catches its
    error; in job_context."""
    global debug_query_string, statement_start, statement_number
    cdef Job *job = <Job *>arg
    cdef JobRequest *request = <JobRequest *>address(job.request)
    cdef char *sql = request_sql(request)
    SetCurrentStatementStartTimestamp()
    show_client(&request.client)
    debug_query_string = sql
    statement_start = 0
    statement_number = 0
    if my_worker.cancel_cookie == running_cookie or my_worker.terminate_cookie == running_cookie:
        raise_error(ERRCODE_QUERY_CANCELED, b"canceling statement due to user request")
    if not job.identity.is_away:
        # it is known before the settings are restored, which may wait for others' locks
        start_worker_timeout(job, request.worker_timeout)
    take_over(job)
    MemoryContextSwitchTo(job_context)
    show_statement(sql)
    # before the transaction starts: after a ROLLBACK in a procedure the user of that moment comes back
    SetUserIdAndSecContext(job.identity.user, 0)
    if job.identity.is_away:
        start_worker_timeout(job, setting_worker_timeout)
    MemoryContextSwitchTo(job_context)
    debug_point("job_before_statements")
    run_statements(job, request)


cdef void start_worker_timeout(Job *job, int32_t timeout) noexcept nogil:
    """From when this worker took the job, however long it has taken since to become what the launcher was."""
    if timeout > 0:
        enable_timeout_at(job_timeout, job.started_at + <TimestampTz>timeout * 1000)


cdef void clean_up_after_error() noexcept nogil:
    """What the server does after an error in a session, in its order."""
    global debug_query_string
    hold_interrupts()
    disable_all_timeouts(False)
    debug_query_string = NULL
    AbortCurrentTransaction()
    PortalErrorCleanup()
    release_replication_slots()
    jit_reset_after_error()
    MemoryContextSwitchTo(job_context)
    resume_interrupts()


cdef void start_statement_timeout() noexcept nogil:
    """statement_timeout as the job's settings have it, for one statement or for the whole implicit transaction."""
    if StatementTimeout > 0:
        enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout)


cdef void check_allowed(RawStmt *statement) noexcept nogil:
    """Raise 0A000 for BEGIN, COMMIT and the like: the job's transaction is the worker's."""
    if nodeTag(statement.stmt) == T_TransactionStmt:
        raise_error(ERRCODE_FEATURE_NOT_SUPPORTED,
                    b"transaction control statements are not allowed in pg_background")


cdef void begin_statement(JobRequest *request, Script *script, int i) noexcept nogil:
    """The first has begun with the job. In one transaction statement_timestamp() stands still, as where a session sends
    several statements at once; now() is that of the transaction."""
    global statement_start, statement_number, statement_count
    if i > 0:
        start_statement_timeout()
        begin_log(GetCurrentStatementStartTimestamp() if request.each_statement else GetCurrentTimestamp())
    if script.count > 1:
        statement_start = script.statements[i].start
        statement_number = i + 1
        statement_count = script.count
        show_statement(script.statements[i].text)
    log_statement_text(request, &script.statements[i])


cdef void run_statements(Job *job, JobRequest *request) noexcept nogil:
    """The whole string as one transaction, in which each statement sees the effects of those before it; or each
    statement in its own."""
    global statement_number
    cdef Script script
    cdef int i
    cdef MemoryContext context
    begin_log(GetCurrentStatementStartTimestamp())
    StartTransactionCommand()
    begin(job, request)
    keep_security_context(job)
    start_statement_timeout()
    MemoryContextSwitchTo(job_context)
    parse_script(&script, request_sql(request))
    if request.parameters >= 0 and script.count > 1:
        raise_error(ERRCODE_SYNTAX_ERROR, b"a job with parameters must be a single statement")
    for i in range(script.count):
        check_allowed(script.statements[i].tree)
    for i in range(script.count):
        if i > 0 and request.each_statement:
            SetCurrentStatementStartTimestamp()
            StartTransactionCommand()
        begin_statement(request, &script, i)
        if script.count > 1 and not request.each_statement:
            BeginImplicitTransactionBlock()
        CHECK_FOR_INTERRUPTS()
        context = create_context(job_context, "pg_background statement")
        MemoryContextSwitchTo(context)
        run_statement(job, request, &script.statements[i], i == script.count - 1)
        MemoryContextSwitchTo(job_context)
        disable_timeout(STATEMENT_TIMEOUT, False)
        if i == script.count - 1:
            break
        if request.each_statement:
            commit_statement()
        else:
            CommandCounterIncrement()
        log_duration_of(request, script.statements[i].text)
        MemoryContextDelete(context)
    debug_point("job_before_commit")
    # before the commit: rows that cannot be kept must fail the job
    flush_rows()
    if script.count > 1 and not request.each_statement:
        EndImplicitTransactionBlock()
        # the commit is that of all
        statement_number = 0
    disable_timeout(STATEMENT_TIMEOUT, False)
    commit_job()


cdef List *plan_statement(JobRequest *request, Statement *statement, void **parameters,
                          bint *rules_answer) noexcept nogil:
    """Analyse, rewrite and plan; `parameters` are bound values, or NULL where none were given."""
    cdef const char *sql = statement.text
    cdef Oid *types = NULL
    cdef int count = 0
    cdef List *trees
    parameters[0] = NULL
    if request.parameters < 0:
        trees = pg_analyze_and_rewrite_fixedparams(statement.tree, sql, NULL, 0, NULL)
    else:
        trees = pg_analyze_and_rewrite_varparams(statement.tree, sql, &types, &count, NULL)
        parameters[0] = bind_parameters(request, types, count)
    rules_answer[0] = do_rules_answer(trees)
    return pg_plan_queries(trees, sql, CURSOR_OPT_PARALLEL_OK, parameters[0])


cdef bint do_rules_answer(List *trees) noexcept nogil:
    """Whether rows that rules select are the result: where the statement itself, or what a rule has put in its place,
    returns none."""
    cdef Query *query
    cdef int i
    for i in range(list_length(trees)):
        query = <Query *>list_nth(trees, i)
        if query.canSetTag and query.returningList != NULL:
            return False
    return True


cdef void run_statement(Job *job, JobRequest *request, Statement *statement, bint is_last) noexcept nogil:
    """Plan one statement and run it in an unnamed portal; rows of the last one go into the output. In the transaction,
    and in the statement's memory context, which the caller deletes; raises the statement's error."""
    cdef List *plans
    cdef Portal portal
    cdef QueryCompletion completion
    cdef void *parameters = NULL
    cdef bint rules_answer = False
    cdef DestReceiver *receiver = None_Receiver
    cdef int tag = CreateCommandTag(statement.tree.stmt)
    # the input functions of parameters may need one too
    cdef bint needs_snapshot = analyze_requires_snapshot(statement.tree) or request.parameters > 0
    if is_last and not job.submitted and not job.discards_rows:
        receiver = rows_receiver()
    # a statement before this one may have set another
    use_server_encoding()
    set_ps_display(GetCommandTagName(tag))
    if needs_snapshot:
        PushActiveSnapshot(GetTransactionSnapshot())
    plans = plan_statement(request, statement, &parameters, &rules_answer)
    if needs_snapshot:
        PopActiveSnapshot()
    CHECK_FOR_INTERRUPTS()
    portal = CreatePortal("", True, True)
    portal.visible = False
    PortalDefineQuery(portal, NULL, statement.text, tag, plans, NULL)
    PortalStart(portal, parameters, 0, InvalidSnapshot)
    InitializeQueryCompletion(&completion)
    portal_run(portal, receiver, receiver if rules_answer else None_Receiver, &completion)
    PortalDrop(portal, False)
    note_completion(job, &completion)
