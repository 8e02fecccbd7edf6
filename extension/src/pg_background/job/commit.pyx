# The commit of a job, after which nothing may fail it: it is `stopped`, whatever becomes of its process, of what it has
# still to tell, and of a cancel that comes now.

cdef bint is_last_commit            # the transaction being ended is the job's last
cdef bint has_committed             # the job that this process has, as a whole


cdef void on_commit(XactEvent event, void *arg) noexcept nogil:
    """Called when the commit is on disk, and on the standbys that it was to wait for."""
    global has_committed
    if event == XACT_EVENT_COMMIT and is_last_commit:
        has_committed = True


cdef void set_up_commit() noexcept nogil:
    """Once in a worker."""
    RegisterXactCallback(on_commit, NULL)


cdef void commit_job() noexcept nogil:
    """The caller holds interrupts off before it does anything else."""
    global is_last_commit
    is_last_commit = True
    CommitTransactionCommand()
    debug_point("job_after_commit")
    is_last_commit = False


cdef void commit_statement() noexcept nogil:
    """Commit one statement of several, and heed a cancel that has only ended the commit's wait for a standby: a session
    goes on after it, but here all of the job was meant."""
    global cancel_seen, statement_number
    cdef int seen_before = cancel_seen
    cancel_seen = 0
    CommitTransactionCommand()
    # it is committed: what fails from here on is none of its own
    statement_number = 0
    if cancel_seen:
        raise_error(ERRCODE_QUERY_CANCELED, b"canceling statement due to user request")
    cancel_seen = seen_before


cdef void tell_rest(void *arg) noexcept nogil:
    """What a job has still to tell when its last transaction is over."""
    cdef Job *job = <Job *>arg
    write_deferred()
    if has_committed and debug_query_string != NULL:
        log_duration_of(<JobRequest *>address(job.request), debug_query_string)


cdef void end_output(Job *job) noexcept nogil:
    """Tell the rest and close the output. What finds no memory, or no place on disk, is dropped.

    An error gives up the caller's hold on interrupts, which is taken again.
    """
    cdef ErrorData *error = catch_error(tell_rest, job, False)
    close_output()
    if error != NULL:
        hold_interrupts()
        report(LOG, b"the last messages of a background job are lost: %s", error.message)
