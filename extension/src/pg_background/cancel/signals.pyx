# How a cancel reaches the running job: what the worker's signal handlers note, and how it is acted on.

cdef uint64_t running_cookie        # of the job that this worker runs, 0 between jobs
cdef int cancel_seen                # a cancel or timeout was delivered to the running job
cdef int timeout_seen               # ... by pg_background.worker_timeout
cdef int cancel_binds               # ... by us: SQL that swallows it is not let go on


cdef void on_sigint(int sig) noexcept nogil:
    """pg_cancel_backend: between jobs there is nothing to cancel, and an idle worker would die of it.

    The server's own timeouts send this signal too, after they have set their indicator.
    """
    global cancel_seen
    if running_cookie == 0:
        return
    if not get_timeout_indicator(STATEMENT_TIMEOUT, False) and not get_timeout_indicator(LOCK_TIMEOUT, False):
        cancel_seen = 1
    request_statement_cancel()


cdef void on_sigusr2(int sig) noexcept nogil:
    """A cancel by cookie: one that comes late finds another cookie here and hits nobody."""
    global cancel_seen, cancel_binds
    if running_cookie == 0 or my_worker == NULL:
        return
    if my_worker.terminate_cookie == running_cookie:
        die(SIGTERM)
    elif my_worker.cancel_cookie == running_cookie:
        cancel_seen = 1
        cancel_binds = 1
        request_statement_cancel()


cdef void on_worker_timeout() noexcept nogil:
    """Handler of pg_background.worker_timeout, which binds as a cancel by cookie does."""
    global cancel_seen, cancel_binds, timeout_seen
    if running_cookie != 0:
        cancel_seen = 1
        cancel_binds = 1
        timeout_seen = 1
        request_statement_cancel()


cdef void end_if_cancel_was_swallowed() noexcept nogil:
    """Once a cancel was thrown, only SQL that caught it gets here: it ends with its process."""
    if my_worker != NULL and running_cookie != 0 and cancel_binds and not QueryCancelPending:
        raise_fatal(ERRCODE_QUERY_CANCELED, b"terminating background job that ignored its cancel")


cdef void stop_cancels() noexcept nogil:
    """The job has committed or failed: a cancel that comes now must neither undo that nor hit the next job."""
    global running_cookie, QueryCancelPending
    running_cookie = 0
    disable_timeout(job_timeout, False)
    QueryCancelPending = 0
