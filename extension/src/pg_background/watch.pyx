# Waiting for several jobs together. A process can sleep on one condition variable only, so the jobs know whom to
# wake: each has a list of those that watch it, whose entries are one piece of the job memory per waiting session.

cdef struct JobSet:
    Handle *handles
    Job **jobs
    int count


cdef struct WaitForSet:
    JobSet *set
    bint all                    # ... of them, else any
    long timeout                # milliseconds; negative: for ever
    int finished                # how many of the first have ended; for any: number of the first that has, or -1


cdef dsa_pointer my_watches         # also in the session's place, for others to see
cdef int32_t my_watch_count


cdef JobSet read_set(FunctionCallInfo fcinfo) noexcept nogil:
    """The jobs of an array of handles; raises 22004 for a NULL among them, and what find_job raises."""
    cdef JobSet set
    cdef Datum *values = NULL
    cdef cbool *nulls = NULL
    cdef int i
    set.count = array_elements(arg_array(fcinfo, 0), &values, &nulls)
    set.handles = <Handle *>palloc(sizeof(Handle) * (set.count + 1))
    set.jobs = <Job **>palloc(sizeof(Job *) * (set.count + 1))
    for i in range(set.count):
        if nulls[i]:
            raise_error(ERRCODE_NULL_VALUE_NOT_ALLOWED, b"handles must not have NULLs")
        set.handles[i] = composite_handle(record_of(values[i]))
        set.jobs[i] = find_job(&set.handles[i], InvalidOid)
    return set


cdef inline bint has_ended(JobSet *set, int i) noexcept nogil:
    return is_finished(set.jobs[i], set.handles[i].cookie)


# ---- the lists

cdef void link_watch(Job *job, dsa_pointer piece) noexcept nogil:
    """Under the lock."""
    cdef Watch *watch = <Watch *>address(piece)
    watch.previous = InvalidDsaPointer
    watch.next = job.watches
    if job.watches != InvalidDsaPointer:
        (<Watch *>address(job.watches)).previous = piece
    job.watches = piece


cdef void start_watching(JobSet *set, bint all) noexcept nogil:
    """Enter this session with all that have not ended, and show what it waits for to the searches of others."""
    global my_watches, my_watch_count
    cdef Watch *watches
    cdef Job *job
    cdef int i
    if <Size>set.count * sizeof(Watch) > <Size>setting_job_memory * 1024:
        # no use in taking others' memory for it
        raise_out_of_job_memory()
    my_watches = allocate(<uint32_t>(sizeof(Watch) * set.count))
    while my_watches == InvalidDsaPointer:
        if not make_room():
            raise_out_of_job_memory()
        my_watches = allocate(<uint32_t>(sizeof(Watch) * set.count))
    my_watch_count = set.count
    watches = <Watch *>address(my_watches)
    lock_registry()
    for i in range(set.count):
        job = set.jobs[i]
        watches[i].cookie = set.handles[i].cookie
        watches[i].waiter = MyProc
        watches[i].job = -1
        if not has_ended(set, i):
            watches[i].job = job_index(job)
            link_watch(job, my_watches + i * sizeof(Watch))
    my_session.watches = my_watches
    my_session.watch_count = my_watch_count
    my_session.waits_for_all = all
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


cdef void stop_watching() noexcept nogil:
    """The one place that takes this session off the lists; also when it ends."""
    global my_watches
    cdef Garbage garbage
    cdef Watch *watches
    cdef int32_t i
    if my_watches == InvalidDsaPointer:
        return
    memset(&garbage, 0, sizeof(garbage))
    garbage.request = my_watches
    garbage.bytes = my_watch_count * sizeof(Watch)
    lock_registry()
    # not entered yet if an interrupt came in between
    if my_session.watches == my_watches:
        watches = <Watch *>address(my_watches)
        for i in range(my_watch_count):
            if watches[i].job >= 0:
                unlink_watch(my_watches + i * sizeof(Watch))
        my_session.watches = InvalidDsaPointer
        my_session.watch_count = 0
    my_watches = InvalidDsaPointer
    unlock_registry()
    dispose(&garbage)


cdef void tell_watchers(Job *job) noexcept nogil:
    """Wake those that watch a job which has just ended, and forget them; under the lock."""
    cdef Watch *watch
    cdef dsa_pointer piece = job.watches
    job.watches = InvalidDsaPointer
    while piece != InvalidDsaPointer:
        watch = <Watch *>address(piece)
        piece = watch.next
        watch.job = -1
        SetLatch(proc_latch(watch.waiter))


# ---- waiting

cdef bint is_set_done(WaitForSet *wait) noexcept nogil:
    cdef int i
    if wait.all:
        while wait.finished < wait.set.count and has_ended(wait.set, wait.finished):
            wait.finished += 1
        return wait.finished == wait.set.count
    for i in range(wait.set.count):
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
    cdef long nap, left
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
            check_for_endless_wait()
            looked = GetCurrentTimestamp()


cdef void wait_for_set(WaitForSet *wait) noexcept nogil:
    """For all or any of the set, at most so long; see WaitForSet."""
    cdef ErrorData *error
    wait.finished = 0 if wait.all else -1
    if is_set_done(wait):
        return
    start_watching(wait.set, wait.all)
    error = catch_error(wait_for_set_body, wait, False)
    stop_watching()
    if error != NULL:
        ReThrowError(error)
