# How a look at the nodes of a cluster ends in time: it cancels itself. A cancel by somebody else meanwhile must not be
# taken for that. Those come by SIGINT, as the server's timeouts do, or are noted for a job; that of the look is none.

cdef int look_timeout               # 0: none is registered yet
cdef volatile int look_ran_out
cdef volatile int others_cancel     # SIGINT has come during the look
cdef sigaction_t sigint_before      # how it is handled otherwise


cdef void on_look_timeout() noexcept nogil:
    """Handler."""
    global look_ran_out
    look_ran_out = 1
    request_statement_cancel()


cdef void on_sigint_in_look(int sig, siginfo_t *info, void *context) noexcept nogil:
    """Handler. A lock_timeout is over with what waited for the lock."""
    global others_cancel
    if not get_timeout_indicator(LOCK_TIMEOUT, False):
        others_cancel = 1
    if sigint_before.sa_flags & SA_SIGINFO:
        sigint_before.sa_sigaction(sig, info, context)
    elif sigint_before.sa_handler != SIG_IGN and sigint_before.sa_handler != SIG_DFL:
        sigint_before.sa_handler(sig)


cdef void begin_look(TimestampTz deadline) noexcept nogil:
    """From here to `end_look`, which nothing may skip."""
    global look_timeout, look_ran_out, others_cancel, sigint_before
    cdef sigaction_t mine
    if look_timeout == 0:
        look_timeout = RegisterTimeout(USER_TIMEOUT, on_look_timeout)
    look_ran_out = 0
    others_cancel = 0
    sigaction(SIGINT, NULL, &sigint_before)
    mine = sigint_before
    mine.sa_sigaction = on_sigint_in_look
    mine.sa_flags |= SA_SIGINFO
    sigaction(SIGINT, &mine, NULL)
    enable_timeout_at(look_timeout, deadline)


cdef bint end_look(ErrorData *error) noexcept nogil:
    """Tell whether somebody else has canceled meanwhile. That cancel is pending again, unless the error is one.

    First what is pending is forgotten, and then looked whether anybody has canceled: who does so in between is seen.
    """
    global QueryCancelPending
    cdef bint is_canceled
    disable_timeout(look_timeout, False)
    if look_ran_out:
        QueryCancelPending = 0
    is_canceled = others_cancel or (running_cookie != 0 and cancel_binds)
    if is_canceled and (error == NULL or error.sqlerrcode != ERRCODE_QUERY_CANCELED):
        request_statement_cancel()
    sigaction(SIGINT, &sigint_before, NULL)
    return is_canceled
