# What this backend keeps: its place among the sessions, and random numbers for cookies.

cdef Session *my_session
cdef enum:
    RANDOM_POOL = 64

cdef uint64_t random_pool[RANDOM_POOL]
cdef int random_left
cdef bint exit_registered


cdef uint64_t random_bits() noexcept nogil:
    """64 random bits; raises when the system has none to give."""
    global random_left
    if random_left == 0:
        if not pg_strong_random(random_pool, sizeof(random_pool)):
            raise_error(ERRCODE_INTERNAL_ERROR, b"could not generate random cookie")
        random_left = RANDOM_POOL
    random_left -= 1
    return random_pool[random_left]


cdef double random_fraction() noexcept nogil:
    """From 0 to less than 1, in steps of 2^-53; raises as random_bits."""
    return <double>(random_bits() >> 11) / 9007199254740992.0


cdef uint64_t new_cookie() noexcept nogil:
    """1..2^63-1, so that it is never negative and its hexadecimal form always fits int8."""
    cdef uint64_t cookie = 0
    while cookie == 0:
        cookie = random_bits() & <uint64_t>0x7fffffffffffffff
    return cookie


cdef void join_sessions() noexcept nogil:
    """Be in the registry as a session; each call that acts on jobs starts with it."""
    global my_session, exit_registered
    require_registry()
    attach_area()
    if not exit_registered:
        exit_registered = True
        before_shmem_exit(leave_sessions, 0)
    if my_session != NULL:
        return
    my_session = &registry.sessions[my_proc_number()]
    lock_registry()
    memset(my_session, 0, sizeof(Session))
    my_session.first_job = -1
    my_session.last_job = -1
    my_session.id = pg_atomic_fetch_add_u64(&registry.last_session, 1) + 1
    my_session.pid = MyProcPid
    unlock_registry()


cdef void end_session() noexcept nogil:
    """Leave the registry: unread results of this session are kept for pg_background.result_retention from now."""
    global my_session
    cdef Job *job
    cdef TimestampTz now
    cdef int steps = 0
    cdef bint any_left = False
    if my_session == NULL:
        return
    now = GetCurrentTimestamp()
    lock_registry()
    while my_session.first_job >= 0:
        job = &registry.jobs[my_session.first_job]
        unlink_of_session(job)
        if not job.submitted:
            job.orphaned_at = now
            any_left = True
        steps += 1
        if steps % LOOK_STEP == 0:
            # launches of others come in between
            unlock_registry()
            lock_registry()
    registry.has_orphans |= any_left
    my_session.id = 0
    my_session.waits_for = 0
    unlock_registry()
    my_session = NULL
    if any_left:
        wake_keeper()


cdef void leave_sessions(int code, Datum arg) noexcept nogil:
    """Before the transaction is aborted: what calls hold lies in their frames, which are still there."""
    release_holds(NULL)
    end_session()


# ---- what this session waits for

# Raises 40P01 where the wait can never end; those who wait call it every deadlock_timeout, and say how many
# milliseconds they have left, negative where there is no limit. The search knows more of workers and jobs than a wait
# needs to.
cdef void (*check_deadlock)(long left) noexcept nogil


cdef struct ShownWait:
    Hold hold
    int32_t outer_job           # the wait in which this one lies, as it was shown before
    uint64_t outer_cookie


cdef void show_wait(int32_t index, uint64_t cookie) noexcept nogil:
    """Whoever sees the one without the other takes it for no wait."""
    my_session.waits_for_job = index
    pg_write_barrier()
    my_session.waits_for = cookie


cdef void start_waiting(ShownWait *wait, Job *job, uint64_t cookie) noexcept nogil:
    """Show this session's wait to the searches of others, until the hold is released."""
    wait.outer_job = my_session.waits_for_job
    wait.outer_cookie = my_session.waits_for
    take_hold(&wait.hold, stop_waiting, wait)
    show_wait(job_index(job), cookie)


cdef void stop_waiting(void *what) noexcept nogil:
    """Show the outer wait again, or none; the hold of start_waiting."""
    cdef ShownWait *wait = <ShownWait *>what
    show_wait(wait.outer_job, wait.outer_cookie)


# ---- its tracked jobs

cdef struct JobName:
    # an entry, and which of its jobs is meant
    Job *job
    uint64_t cookie


cdef JobName *tracked_here(int32_t *count) noexcept nogil:
    """This session's tracked jobs, the oldest first. Only this session adds to them, so the room does for all."""
    cdef JobName *names = <JobName *>MemoryContextAllocExtended(
        CurrentMemoryContext, sizeof(JobName) * (my_session.tracked + 1), MCXT_ALLOC_HUGE)
    cdef int32_t i
    count[0] = 0
    share_registry()
    i = my_session.first_job
    while i >= 0:
        names[count[0]].job = &registry.jobs[i]
        names[count[0]].cookie = registry.jobs[i].cookie
        count[0] += 1
        i = registry.jobs[i].next_of_session
    unlock_registry()
    return names
