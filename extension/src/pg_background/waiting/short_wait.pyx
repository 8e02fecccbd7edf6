# Sleep until this process's latch is set. A process that sleeps is woken by a signal, which costs both sides more than
# a short job itself; one that yields its core meanwhile is not.

cdef enum ShortWait:
    WAITS_FOR_JOB = 0
    WAITS_FOR_OUTPUT = 1

# Of each ShortWait. What a wait takes that has slept says little of how long it would take without the sleep, here and
# in the client: some times the longest yield are worth a try. But a try that is in vain keeps a core from sleeping, so
# each in a row makes the next one rarer.
cdef bint may_be_short[2]
cdef int yields_in_vain[2]
cdef int waits_without[2]           # still to come, before it is tried again
cdef enum:
    WORTH_A_TRY = 4                 # times pg_background.yield_time, by what the last wait took
    MOST_IN_VAIN = 6                # counted; then one wait of 64 yields

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
    if is_yield_worth_it(wait, start):
        yield_until_latch(start)
        count_yield(wait, is_latch_set())
    # returns at once where it is set
    found = WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION)
    may_be_short[<int>wait] = has_lasted_less(GetCurrentTimestamp() - start, WORTH_A_TRY * setting_yield_time)
    return found


cdef bint is_yield_worth_it(ShortWait wait, TimestampTz now) noexcept nogil:
    if not may_be_short[<int>wait] or has_lasted_less(now - cores_seen_busy, SLEEPS_AT_ONCE):
        return False
    if waits_without[<int>wait] > 0:
        waits_without[<int>wait] -= 1
        return False
    return True


cdef void count_yield(ShortWait wait, bint was_enough) noexcept nogil:
    if was_enough:
        yields_in_vain[<int>wait] = 0
    else:
        yields_in_vain[<int>wait] = min(yields_in_vain[<int>wait] + 1, MOST_IN_VAIN)
        waits_without[<int>wait] = (1 << yields_in_vain[<int>wait]) - 1


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
