# Telling the end of a job to sessions that listen: NOTIFY, where the launcher's pg_background.notify_channel says so.

cdef char due_channel[NAMEDATALEN]


cdef void choose_channel(Job *job) noexcept nogil:
    """The job's own setting, or that of its launch while it has not begun; before its memory may go."""
    cdef const char *channel = setting_notify_channel
    if not job_has_begun:
        channel = (<JobRequest *>address(job.request)).notify_channel
    snprintf(due_channel, NAMEDATALEN, b"%s", channel)


cdef void notify_body(void *payload) noexcept nogil:
    """Send the NOTIFY in a transaction of its own; raises what that raises, for notify_end to catch."""
    StartTransactionCommand()
    disable_transaction_timeout()
    Async_Notify(due_channel, <char *>payload)
    CommitTransactionCommand()


cdef void notify_end(int32_t pid) noexcept nogil:
    """In a transaction of its own after the end: it tells of failures too, and who is told finds the job final.

    A notice that can't be given, as when the server's queue of them is full, is no failure of the job. On a standby
    nobody can listen.
    """
    cdef char payload[16]
    if due_channel[0] == 0 or RecoveryInProgress():
        return
    snprintf(payload, sizeof(payload), b"%d", pid)
    if catch_error(notify_body, payload, True) != NULL:
        clean_up_after_error()
    MemoryContextSwitchTo(job_context)
