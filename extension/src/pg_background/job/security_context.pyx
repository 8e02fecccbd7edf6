# The security context of a SECURITY DEFINER function, which its job keeps.
#
# A transaction must begin without one, and ends with the user and context that it began with. So the context is left
# as a transaction ends and entered as the next one begins, before any SQL runs in that one. What a COMMIT or ROLLBACK
# in a procedure begins calls nothing of ours, but it takes in invalidations first: one is sent for that.

cdef Oid kept_user
cdef int kept_context               # of the running job, 0 for most
cdef bint is_context_due


cdef void enter_security_context() noexcept nogil:
    """Enter the kept context, unless the transaction has entered it already."""
    global is_context_due
    if is_context_due:
        is_context_due = False
        SetUserIdAndSecContext(kept_user, kept_context)


cdef void keep_security_context(Job *job) noexcept nogil:
    """Enter the job's context, in its first transaction, and in each that follows until forget_security_context."""
    global kept_user, kept_context, is_context_due
    kept_user = job.identity.user
    kept_context = job.identity.security_context
    is_context_due = kept_context != 0
    enter_security_context()


cdef void forget_security_context() noexcept nogil:
    """From the end of the job on no transaction gets its context."""
    global kept_context, is_context_due
    kept_context = 0
    is_context_due = False


cdef void on_transaction_end(XactEvent event, void *arg) noexcept nogil:
    """Callback of transactions: leave the context, and see that the next one enters it."""
    global is_context_due
    if kept_context != 0 and (event == XACT_EVENT_COMMIT or event == XACT_EVENT_ABORT):
        SetUserIdAndSecContext(kept_user, 0)
        is_context_due = True
        send_own_invalidation()


cdef void on_invalidation(Datum arg, int cache, uint32_t hash_value) noexcept nogil:
    """Callback for invalidations: the one that on_transaction_end has sent comes as the next transaction begins."""
    if is_own_invalidation(hash_value):
        enter_security_context()


cdef void set_up_security_context() noexcept nogil:
    """Once in a worker."""
    RegisterXactCallback(on_transaction_end, NULL)
    CacheRegisterSyscacheCallback(OWN_INVALIDATION_CACHE, on_invalidation, 0)
