# The process that writes the history of one database, and prunes it. The keeper starts it when jobs have ended there,
# and it stays until none has for a while, or another database needs it.
#
# Workers do not write: theirs is the next job, and nothing of the last one's settings, of its temporary tables or of
# what it has left in the process may have a say in what a superuser does. And for a job whose process has died, or that
# was canceled in the queue, there is none.

cdef enum:
    WRITTEN_AT_ONCE = 64        # jobs in one transaction
    NAP_MS = 50                 # between two of them, so that many short jobs make few
    FAILED_NAP_MS = 1000        # doubled with each failure in a row, as a broken table fails each time ...
    LONGEST_NAP_MS = 30000      # ... up to this
    MOST_FAILURES = 3           # of one job: then it is left out
    SHIFT_MS = 1000             # of writing, until it sees to what else there is
    LAST_MS = 1000              # once it is to end, for one transaction and for all that is left
    PRUNE_MS = 600000
    PRUNING_MS = 200            # in one go

cdef struct TakenJob:
    Job *job
    uint64_t cookie

cdef TakenJob taken_jobs[WRITTEN_AT_ONCE]
cdef int taken_count
cdef Oid written_database
cdef bint writer_is_connected
cdef int32_t writer_refusal         # why it is not, 0 if that is not known
cdef ErrorContextCallback writer_watch
cdef MemoryContext writer_context
cdef bint has_table
cdef TimestampTz pruned_at          # when no old row was left; 0: some may be
cdef int64_t pruned_rows            # by the last try
cdef bint is_in_transaction
cdef int nap_after_failure


cdef bint take_due(Job *copy) noexcept nogil:
    """The next job of this database that is to be written; False: there is none, or no more at once."""
    global taken_count
    cdef Usage *database
    cdef Job *job
    cdef bint found = False
    if taken_count == WRITTEN_AT_ONCE:
        return False
    lock_registry()
    database = find_usage(written_database, True)
    if database != NULL and database.due_chain.first >= 0:
        job = &registry.jobs[database.due_chain.first]
        # one that has failed may be at fault for the others
        if taken_count == 0 or job.history_failures == 0:
            remove_due(job)
            job.history = HISTORY_TAKEN
            copy[0] = job[0]
            taken_jobs[taken_count].job = job
            taken_jobs[taken_count].cookie = job.cookie
            taken_count += 1
            found = True
    unlock_registry()
    return found


cdef int give_up_taken(bint are_written, bint have_failed) noexcept nogil:
    """Done with them, or they are due again, but for those that have failed too often: returns how many those are. An
    entry may have another job by now."""
    global taken_count
    cdef Job *job
    cdef int left_out = 0
    lock_registry()
    while taken_count > 0:
        taken_count -= 1
        job = taken_jobs[taken_count].job
        if not is_same_job(job, taken_jobs[taken_count].cookie) or job.history != HISTORY_TAKEN:
            continue
        job.history = HISTORY_NONE
        if are_written:
            continue
        job.history_failures += have_failed
        if job.history_failures < MOST_FAILURES:
            add_due(job, True)
        else:
            left_out += 1
    unlock_registry()
    return left_out


cdef bint is_any_due() noexcept nogil:
    """In this database."""
    cdef Usage *database
    cdef bint any
    share_registry()
    database = find_usage(written_database, True)
    any = database != NULL and database.due_chain.first >= 0
    unlock_registry()
    return any


cdef bint may_sleep() noexcept nogil:
    """Where none is due in any database: the next job's end wakes this process, be it to make room."""
    cdef bint may
    lock_registry()
    may = registry.due_count == 0
    registry.writer_sleeps = may
    unlock_registry()
    return may


cdef bint are_others_due() noexcept nogil:
    """In other databases."""
    cdef Usage *database
    cdef bint others
    share_registry()
    database = find_usage(written_database, True)
    others = registry.due_count > (database.due if database != NULL else 0)
    unlock_registry()
    return others


cdef void forget_due() noexcept nogil:
    """Where there is no table for them, or no database any more."""
    cdef Job copy
    while take_due(&copy):
        give_up_taken(True, False)


# ---- what it does

cdef void write_body(void *arg) noexcept nogil:
    """Take what is due, and write it in one transaction."""
    global has_table
    cdef Job copy
    has_table = begin_on_table()
    debug_point("history_before_rows")
    while has_table and take_due(&copy):
        insert_row(&copy)
    debug_point("history_before_commit")
    # written and no more due, or neither
    hold_interrupts()
    end_on_table()
    give_up_taken(True, False)
    resume_interrupts()


cdef void prune_body(void *arg) noexcept nogil:
    """Delete some old rows in a transaction."""
    global pruned_rows
    pruned_rows = delete_old_rows() if begin_on_table() else 0
    end_on_table()


cdef bint run_apart(catch_body body, const char *failure) noexcept nogil:
    """In a transaction that it begins; False when it has failed, which the log tells."""
    global is_in_transaction, QueryCancelPending
    cdef ErrorData *error
    MemoryContextSwitchTo(writer_context)
    pgstat_report_activity(STATE_RUNNING, b"history of background jobs")
    is_in_transaction = True
    if is_to_end():
        enable_timeout_after(STATEMENT_TIMEOUT, LAST_MS)
    error = catch_error(body, NULL, False)
    is_in_transaction = False
    disable_timeout(STATEMENT_TIMEOUT, False)
    # it was for this transaction
    QueryCancelPending = False
    if error != NULL:
        hold_interrupts()
        disable_all_timeouts(False)
        AbortCurrentTransaction()
        resume_interrupts()
        report(LOG, b"%s: %s", failure, error.message)
    MemoryContextSwitchTo(TopMemoryContext)
    MemoryContextReset(writer_context)
    pgstat_report_stat(True)
    pgstat_report_activity(STATE_IDLE, NULL)
    return error == NULL


cdef bint has_taken_longer(TimestampTz start, int64_t milliseconds) noexcept nogil:
    """True, too, where the clock has been set back meanwhile."""
    cdef TimestampTz taken = GetCurrentTimestamp() - start
    return taken < 0 or taken >= milliseconds * 1000


cdef bint write_due() noexcept nogil:
    """What is due, as much as a shift has time for; False when it has failed."""
    cdef TimestampTz start = GetCurrentTimestamp()
    while is_any_due() and not has_taken_longer(start, LAST_MS if is_to_end() else SHIFT_MS):
        if not run_apart(write_body, b"could not write the history of background jobs"):
            # a cancel by the request to end is none of the job's failures
            tell_left_out(give_up_taken(False, not is_to_end()))
            return False
        if not has_table:
            forget_due()
    return True


cdef void tell_left_out(int count) noexcept nogil:
    if count > 0:
        report(LOG, b"background jobs that are left out of the history: %d", count)


cdef void tell_missed() noexcept nogil:
    """How many jobs are not in the history, as their entries had to be used again before this process came to them."""
    cdef int64_t missed
    lock_registry()
    missed = registry.due_missed
    registry.due_missed = 0
    unlock_registry()
    if missed > 0:
        report(LOG, b"background jobs that are missing in the history, as more ended at once than "
               b"pg_background.max_jobs has room for: %lld", <long long>missed)


cdef bint prune() noexcept nogil:
    """At its start and then now and then; True while more old rows may be left. However many they are, what is due and
    a request to end do not wait for them."""
    global pruned_at, pruned_rows
    cdef TimestampTz start = GetCurrentTimestamp()
    if setting_history_retention < 0 or (pruned_at != 0 and not has_taken_longer(pruned_at, PRUNE_MS)):
        return False
    pruned_at = 0
    while not is_to_end() and not has_taken_longer(start, PRUNING_MS):
        pruned_rows = 0
        run_apart(prune_body, b"could not prune the history of background jobs")
        if pruned_rows < PRUNED_AT_ONCE:
            pruned_at = GetCurrentTimestamp()
            return False
    return True


# ---- its life

cdef inline bint is_to_end() noexcept nogil:
    return ShutdownRequestPending or registry.writer_leaves


cdef void end_writer(int number) noexcept nogil:
    """Handler of SIGTERM. What is due is written first; but what takes long, as a trigger of the table may, is not
    waited for: the server may be stopping."""
    SignalHandlerForShutdownRequest(number)
    if is_in_transaction:
        request_statement_cancel()


cdef void writer_exit(int code, Datum arg) noexcept nogil:
    """However it ends; what it has taken and not committed is due again. Whose row has ended this process, it may end
    the next one, too."""
    if not writer_is_connected and (writer_refusal == ERRCODE_UNDEFINED_DATABASE
                                    or writer_refusal == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE):
        # it is gone, or takes no connections
        forget_due()
    tell_left_out(give_up_taken(False, code != 0))
    lock_registry()
    if registry.writer == MyProc:
        registry.writer = NULL
        registry.writer_leaves = False
    registry.writers_done += code == 0
    unlock_registry()
    ConditionVariableBroadcast(&registry.worker_left)
    # the postmaster tells the keeper that has started this process, which need not be the one that is there by now
    wake_keeper()


cdef void watch_connecting(void *arg) noexcept nogil:
    """Callback for the context of errors: keep why it cannot connect."""
    global writer_refusal
    if not writer_is_connected:
        writer_refusal = geterrcode()


cdef void set_for_writer(const char *name, const char *value) noexcept nogil:
    SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE)


cdef void settle_in() noexcept nogil:
    """What the owner of the database may have set for all its sessions is not for this one."""
    set_for_writer("search_path", "pg_catalog, pg_temp")
    set_for_writer("default_transaction_read_only", "off")
    set_for_writer("default_transaction_isolation", "read committed")
    set_for_writer("default_transaction_deferrable", "off")
    set_for_writer("session_replication_role", "origin")
    set_for_writer("row_security", "off")
    set_for_writer("synchronous_commit", "off")
    set_for_writer("lock_timeout", "1s")
    set_for_writer("jit", "off")
    set_for_writer("exit_on_error", "off")
    set_for_writer("application_name", "pg_background history")


cdef bint check_in_writer() noexcept nogil:
    """False where there is one already, of a keeper that has ended meanwhile."""
    cdef bint mine
    lock_registry()
    mine = registry.writer == NULL
    if mine:
        registry.writer = MyProc
        registry.writer_database = written_database
        registry.writer_sleeps = False
        registry.writer_leaves = False
    unlock_registry()
    return mine


cdef void rest_a_while(int events, long timeout) noexcept nogil:
    """And see to what came meanwhile."""
    global ConfigReloadPending
    WaitLatch(MyLatch, events | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout, PG_WAIT_EXTENSION)
    ResetLatch(MyLatch)
    CHECK_FOR_INTERRUPTS()
    if catchupInterruptPending:
        ProcessCatchupInterrupt()
    if ConfigReloadPending:
        ConfigReloadPending = 0
        ProcessConfigFile(PGC_SIGHUP)


cdef void do_shift() noexcept nogil:
    """Write what is due, and rest until it is time for more."""
    global nap_after_failure
    if write_due():
        nap_after_failure = 0
        rest_a_while(0, NAP_MS)
    elif not is_to_end():
        nap_after_failure = min(2 * nap_after_failure, LONGEST_NAP_MS) if nap_after_failure > 0 else FAILED_NAP_MS
        # woken to end only: who ends a job wakes a process that sleeps, as this one does not say that it does
        rest_a_while(WL_LATCH_SET, nap_after_failure)


cdef public void pgbg_history_main(Datum main_arg) noexcept nogil:
    """Entry of the process, for the postmaster; the argument is the database."""
    global error_context_stack, writer_is_connected, writer_context, written_database
    cdef TimestampTz last_written
    cdef bint has_worked
    pqsignal(SIGTERM, end_writer)
    pqsignal(SIGHUP, SignalHandlerForConfigReload)
    BackgroundWorkerUnblockSignals()
    attach_area()
    written_database = DatumGetObjectId(main_arg)
    if not check_in_writer():
        proc_exit(0)
    before_shmem_exit(writer_exit, 0)
    writer_watch.callback = watch_connecting
    writer_watch.previous = error_context_stack
    error_context_stack = &writer_watch
    BackgroundWorkerInitializeConnectionByOid(written_database, InvalidOid, 0)
    writer_is_connected = True
    settle_in()
    watch_plans()
    writer_context = create_context(TopMemoryContext, "pg_background history")
    last_written = GetCurrentTimestamp()
    while True:
        tell_missed()
        has_worked = is_any_due()
        if has_worked:
            do_shift()
            last_written = GetCurrentTimestamp()
        has_worked |= prune()
        if is_to_end():
            # once more, but not for ever
            write_due()
            proc_exit(0)
        if are_others_due():
            proc_exit(0)
        if has_worked:
            # between two goes of pruning, too: settings and requests
            rest_a_while(0, 0)
        elif has_taken_longer(last_written, setting_worker_idle_timeout):
            proc_exit(0)
        elif may_sleep():
            rest_a_while(WL_LATCH_SET, setting_worker_idle_timeout)
