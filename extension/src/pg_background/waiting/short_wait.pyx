# Sleep until this process's latch is set. A process that sleeps is woken by a signal, which costs both sides more than
# a short job itself; one that yields its core meanwhile is not.

cdef enum ShortWait:
    WAITS_FOR_JOB = 0
    WAITS_FOR_OUTPUT = 1

cdef bint last_was_short[2]         # of each ShortWait: only then the next is likely to be short, too

# Of a yield that took longer another process has had a slice of this core, and is no part of the job, which takes less.
# Then all cores are busy, and yielding would put this process behind those that have slept: for a while it sleeps, too.
cdef enum:
    ANOTHER_HAS_RUN = 400           # microseconds
    SLEEPS_AT_ONCE = 50000          # microseconds from then on

cdef TimestampTz cores_seen_busy


cdef int wait_for_latch(ShortWait wait, int events, long timeout) noexcept nogil:
    """As WaitLatch. With pg_background.yield_time it first gives the core to whoever wants it, for so long at most."""
    cdef TimestampTz start
    cdef int found
    if setting_yield_time == 0:
        return WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION)
    start = GetCurrentTimestamp()
    if last_was_short[<int>wait] and not has_lasted_less(start - cores_seen_busy, SLEEPS_AT_ONCE):
        yield_until_latch(start)
    # returns at once where it is set
    found = WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION)
    last_was_short[<int>wait] = has_lasted_less(GetCurrentTimestamp() - start, setting_yield_time)
    return found


cdef inline bint has_lasted_less(int64_t elapsed, int limit) noexcept nogil:
    """False, too, where the clock has been set back meanwhile."""
    return 0 <= elapsed < limit


cdef void yield_until_latch(TimestampTz start) noexcept nogil:
    global cores_seen_busy
    cdef TimestampTz before
    cdef TimestampTz now = start
    while not is_latch_set() and has_lasted_less(now - start, setting_yield_time):
        before = now
        sched_yield()
        now = GetCurrentTimestamp()
        if now - before > ANOTHER_HAS_RUN:
            cores_seen_busy = now
            return
