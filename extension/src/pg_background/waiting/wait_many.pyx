# Waiting for several jobs together. A process can sleep on one condition variable only, so the jobs know whom to
# wake: each has a list of those that watch it, whose entries are one piece of the job memory per waiting session.

cdef struct JobSet:
    Handle *handles
    Job **jobs
    int count


cdef enum:
    WATCH_STEP = 256            # watches linked, unlinked or followed while the lock is held


cdef struct Watching:
    Hold hold
    Room room                   # of the login role, whose memory that is
    dsa_pointer watches         # Watch[count], also in the session's place, for others to see
    int32_t count


cdef struct WaitForSet:
    JobSet *set
    Watching watching
    bint all                    # ... of them, else any
    long timeout                # milliseconds; negative: for ever
    int finished                # how many of the first have ended; for any: number of the first that has, or -1


cdef void *allocate_many(Size size, Size count) noexcept nogil:
    """In the current memory context; of something there may be millions of."""
    return MemoryContextAllocExtended(CurrentMemoryContext, size * (count + 1), MCXT_ALLOC_HUGE)


cdef JobSet read_set(FunctionCallInfo fcinfo) noexcept nogil:
    """The jobs of an array of handles; raises 22004 for a NULL among them, and what find_job raises."""
    cdef JobSet set
    cdef Datum *values = NULL
    cdef cbool *nulls = NULL
    cdef int i
    set.count = array_elements(arg_array(fcinfo, 0), &values, &nulls)
    set.handles = <Handle *>allocate_many(sizeof(Handle), set.count)
    set.jobs = <Job **>allocate_many(sizeof(Job *), set.count)
    debug_point("set_before_reading")
    for i in range(set.count):
        CHECK_FOR_INTERRUPTS()
        if nulls[i]:
            raise_error(ERRCODE_NULL_VALUE_NOT_ALLOWED, b"handles must not have NULLs")
        set.handles[i] = composite_handle(record_of(values[i]))
        set.jobs[i] = find_job(&set.handles[i], InvalidOid)
    return set


cdef inline bint has_ended(JobSet *set, int i) noexcept nogil:
    return is_finished(set.jobs[i], set.handles[i].cookie)


# ---- the lists

cdef bint is_watched_here(Job *job, uint64_t cookie) noexcept nogil:
    """Whether this session is in the job's list; under the lock. So each session is there once, and a list is short."""
    cdef Watch *watch
    cdef dsa_pointer piece = job.watches
    while piece != InvalidDsaPointer:
        watch = <Watch *>address(piece)
        if watch.waiter == MyProc and watch.cookie == cookie:
            return True
        piece = watch.next
    return False


cdef void link_watch(Job *job, dsa_pointer piece) noexcept nogil:
    """Under the lock."""
    cdef Watch *watch = <Watch *>address(piece)
    watch.cookie = job.cookie
    watch.waiter = MyProc
    watch.job = job_index(job)
    watch.previous = InvalidDsaPointer
    watch.next = job.watches
    if job.watches != InvalidDsaPointer:
        (<Watch *>address(job.watches)).previous = piece
    job.watches = piece


cdef void allocate_watches(Watching *watching, int32_t count) noexcept nogil:
    """Raises 53200 when there is no room to be made, 53400 past the role's limit. None is linked yet."""
    cdef Watch *watches
    cdef Limits limits, _database
    cdef int32_t i
    cdef uint32_t size = <uint32_t>(sizeof(Watch) * count)
    cdef Oid login = GetAuthenticatedUserId()
    cdef bint has_reserve = may_take_reserve(login)
    if <uint64_t>size > most_memory(has_reserve):
        # no use in taking others' memory for it
        raise_out_of_job_memory()
    read_limits(&limits, &_database)
    if not take_room(&watching.room, login, &limits, taken(size)):
        raise_past_role_limit(ROLE_HAS_ALL_MEMORY, login, &limits)
    watching.count = count
    watching.watches = allocate(size, has_reserve)
    while watching.watches == InvalidDsaPointer:
        if not make_room_for(login):
            raise_out_of_job_memory()
        watching.watches = allocate(size, has_reserve)
    watches = <Watch *>address(watching.watches)
    for i in range(count):
        watches[i].job = WATCH_UNUSED
    take_hold(&watching.hold, stop_watching, watching)


cdef void start_watching(Watching *watching, JobSet *set, bint all) noexcept nogil:
    """Enter this session with all that have not ended, and show what it waits for to the searches of others."""
    cdef int32_t used = 0
    cdef int i = 0
    cdef int step
    cdef bint any_ended = False
    # a job may be in the set more than once, but none is there that began after the call
    allocate_watches(watching, set.count if set.count < registry.jobs_size else registry.jobs_size)
    lock_registry()
    my_session.watches = watching.watches
    my_session.watch_count = 0
    my_session.waits_for_all = all
    unlock_registry()
    while i < set.count:
        CHECK_FOR_INTERRUPTS()
        lock_registry()
        step = i + WATCH_STEP
        while i < set.count and i < step:
            if has_ended(set, i):
                any_ended = True
            elif used < watching.count and not is_watched_here(set.jobs[i], set.handles[i].cookie):
                link_watch(set.jobs[i], watching.watches + <dsa_pointer>used * sizeof(Watch))
                used += 1
            i += 1
        if i == set.count and (all or not any_ended):
            my_session.watch_count = used
        unlock_registry()


cdef void unlink_watch(dsa_pointer piece) noexcept nogil:
    """Under the lock; the job has not ended, or its end would have emptied the list."""
    cdef Watch *watch = <Watch *>address(piece)
    if watch.previous != InvalidDsaPointer:
        (<Watch *>address(watch.previous)).next = watch.next
    else:
        registry.jobs[watch.job].watches = watch.next
    if watch.next != InvalidDsaPointer:
        (<Watch *>address(watch.next)).previous = watch.previous
    watch.job = WATCH_UNUSED


cdef void stop_watching(void *what) noexcept nogil:
    """Take this session off the lists."""
    cdef Watching *watching = <Watching *>what
    cdef Watch *watches = <Watch *>address(watching.watches)
    cdef Garbage garbage
    cdef int32_t i = 0
    cdef int32_t step
    while i < watching.count:
        lock_registry()
        step = i + WATCH_STEP
        while i < watching.count and i < step:
            if watches[i].job >= 0:
                unlink_watch(watching.watches + <dsa_pointer>i * sizeof(Watch))
            i += 1
        unlock_registry()
    memset(&garbage, 0, sizeof(garbage))
    garbage.request = watching.watches
    garbage.bytes = taken(<uint32_t>(watching.count * sizeof(Watch)))
    lock_registry()
    my_session.watches = InvalidDsaPointer
    my_session.watch_count = 0
    unlock_registry()
    dispose(&garbage)


# ---- waiting

cdef bint is_set_done(WaitForSet *wait) noexcept nogil:
    """Whether the wait is over; keeps in `finished` how far it has come. May be cancelled."""
    cdef int i
    if wait.all:
        while wait.finished < wait.set.count and has_ended(wait.set, wait.finished):
            CHECK_FOR_INTERRUPTS()
            wait.finished += 1
        return wait.finished == wait.set.count
    for i in range(wait.set.count):
        CHECK_FOR_INTERRUPTS()
        if has_ended(wait.set, i):
            wait.finished = i
            return True
    return False


cdef void wait_for_set_body(void *arg) noexcept nogil:
    """Sleep until it is done or the time is up; looks for a cycle every deadlock_timeout."""
    cdef WaitForSet *wait = <WaitForSet *>arg
    cdef TimestampTz start = GetCurrentTimestamp()
    cdef TimestampTz looked = start
    cdef TimestampTz now
    cdef long nap
    cdef long left = -1
    start_watching(&wait.watching, wait.set, wait.all)
    while not is_set_done(wait):
        now = GetCurrentTimestamp()
        nap = DeadlockTimeout - TimestampDifferenceMilliseconds(looked, now)
        if wait.timeout >= 0:
            left = wait.timeout - TimestampDifferenceMilliseconds(start, now)
            if left <= 0:
                return
            nap = left if left < nap else nap
        if nap > 0:
            WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap, PG_WAIT_EXTENSION)
            ResetLatch(MyLatch)
            CHECK_FOR_INTERRUPTS()
        else:
            check_deadlock(left)
            looked = GetCurrentTimestamp()


cdef void wait_for_set(WaitForSet *wait) noexcept nogil:
    """For all or any of the set, at most so long; see WaitForSet."""
    wait.finished = 0 if wait.all else -1
    if not is_set_done(wait):
        run_guarded(wait_for_set_body, wait, my_holds)
