# When those who wait look whether they wait for themselves, and what they are told then.
#
# On this server that takes microseconds, and is done every deadlock_timeout. The nodes of a cluster are asked more and
# more rarely, and only by a session that somebody can wait for: one that holds locks, or works for a session of another
# node, which may.

cdef enum:
    LONGEST_PAUSE_MS = 60000
    PAUSE_FOR_LOOK = 20         # times as long as the look took

cdef struct Looks:
    # of one transaction: its locks are what others wait for
    TimestampTz transaction
    TimestampTz next
    long pause

cdef Looks my_looks


cdef bint may_be_waited_for() noexcept nogil:
    return holds_locks() or strncmp(application_name, "citus_", strlen("citus_")) == 0


cdef bint is_time_to_look(long left) noexcept nogil:
    """Whether to ask the nodes now, if there are any. That takes a snapshot, which a wait without one is to do without:
    its job may wait for all older ones to go."""
    if 0 <= left < SHORTEST_LOOK_MS:
        return False
    if my_looks.transaction != GetCurrentTransactionStartTimestamp():
        my_looks.transaction = GetCurrentTransactionStartTimestamp()
        my_looks.next = 0
        my_looks.pause = DeadlockTimeout
    return (GetCurrentTimestamp() >= my_looks.next and ActiveSnapshotSet() and may_be_waited_for()
            and get_relname_relid("citus_lock_waits", PG_CATALOG_NAMESPACE) != InvalidOid)


cdef void note_look(TimestampTz start) noexcept nogil:
    cdef TimestampTz now = GetCurrentTimestamp()
    cdef long pause = TimestampDifferenceMilliseconds(start, now) * PAUSE_FOR_LOOK
    if pause < my_looks.pause:
        pause = my_looks.pause
    my_looks.next = now + <TimestampTz>pause * 1000
    my_looks.pause *= 2
    if my_looks.pause > LONGEST_PAUSE_MS:
        my_looks.pause = LONGEST_PAUSE_MS


cdef int64_t search_nodes(ClusterWaits *waits, TimestampTz deadline) noexcept nogil:
    """As worker_that_waits_for_me. Waits for jobs are asked for where those for locks lead to somebody."""
    cdef int64_t worker
    memset(waits, 0, sizeof(ClusterWaits))
    waits.context = CurrentMemoryContext
    if not look_at_nodes(waits, deadline) or waits.count == 0:
        return 0
    worker = worker_that_waits_for_me(waits)
    waits.asks_for_jobs = True
    if worker == 0 and waits.was_followed and look_at_nodes(waits, deadline):
        worker = worker_that_waits_for_me(waits)
    return worker


cdef int64_t worker_that_waits_on_nodes(ClusterWaits *waits, long left) noexcept nogil:
    """The same in a cluster, found twice: nodes answer one after another, so a ring may never have been there at one
    time. Of a real one nobody gets on, as this session does not."""
    cdef TimestampTz start = GetCurrentTimestamp()
    cdef long limit = LOOK_MS if left < 0 or left > LOOK_MS else left
    cdef TimestampTz deadline = start + <TimestampTz>limit * 1000
    cdef int64_t worker = search_nodes(waits, deadline)
    if worker != 0 and search_nodes(waits, deadline) != worker:
        worker = 0
    note_look(start)
    return worker


cdef void raise_deadlock(const char *detail) noexcept nogil:
    raise_with_detail(ERRCODE_T_R_DEADLOCK_DETECTED, detail, b"Commit before waiting for the job, or cancel it.",
                      b"deadlock detected")


cdef void check_for_deadlock(long left) noexcept nogil:
    """Raise 40P01 when what this session waits for waits for what this session holds. The wait may go on for so many
    milliseconds; negative: for ever."""
    # the search, and what it asks of the server, leaves some 15 kB, and a wait may take a thousand a second
    cdef MemoryContext context = create_context(CurrentMemoryContext, "pg_background deadlock check")
    cdef MemoryContext old = MemoryContextSwitchTo(context)
    cdef ClusterWaits waits
    cdef int64_t pid = worker_that_waits_for_me(NULL)
    cdef int64_t pid_on_nodes = 0
    if pid == 0 and is_time_to_look(left):
        pid_on_nodes = worker_that_waits_on_nodes(&waits, left)
    MemoryContextSwitchTo(old)
    MemoryContextDelete(context)
    if pid < 0 or pid_on_nodes < 0:
        raise_deadlock(psprintf(
            b"Process %d waits for a queued background job; all that could run it wait for process %d.",
            MyProcPid, MyProcPid))
    if pid > 0:
        raise_deadlock(psprintf(
            b"Process %d waits for the background job of process %d; the job waits for process %d.",
            MyProcPid, <int>pid, MyProcPid))
    if pid_on_nodes > 0:
        raise_deadlock(psprintf(
            b"Process %d waits for the background job of process %d; the job waits, through other nodes, for the "
            b"session with global pid %lld.", MyProcPid, <int>pid_on_nodes, <long long>waits.me))
