# Sleep until this process's latch is set. A process that sleeps is woken by a signal, which costs both sides more than
# a short job itself; one that yields its core meanwhile is not.

cdef enum ShortWait:
    WAITS_FOR_JOB = 0
    WAITS_FOR_OUTPUT = 1

cdef bint last_was_short[2]         # of each ShortWait: only then the next is likely to be short, too


cdef int wait_for_latch(ShortWait wait, int events, long timeout) noexcept nogil:
    """As WaitLatch. With pg_background.yield_time it first gives the core to whoever wants it, for so long at most."""
    cdef TimestampTz start
    cdef int found
    if setting_yield_time == 0:
        return WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION)
    start = GetCurrentTimestamp()
    if last_was_short[<int>wait]:
        while not is_latch_set() and GetCurrentTimestamp() - start < setting_yield_time:
            sched_yield()
    # returns at once where it is set
    found = WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION)
    last_was_short[<int>wait] = GetCurrentTimestamp() - start < setting_yield_time
    return found
