# What this backend keeps: its place among the sessions, random numbers for cookies, and the claims on shared
# state that it must give back however it ends.

cdef Session *my_session
cdef Job *my_claim                  # the job whose output this backend reads or moves
cdef Job *my_pending_job            # registered by a launch that still looks for a worker
cdef uint64_t my_pending_cookie
cdef Job *my_run                    # the job that this backend waits for in run or run_query, and ends if it does
cdef uint64_t my_run_cookie
cdef Worker *my_reservation         # the worker that this backend starts for its own job
cdef bint my_reservation_is_asked_for       # of the postmaster
cdef uint64_t random_pool[64]
cdef int random_left
cdef bint exit_registered


cdef uint64_t random_bits() noexcept nogil:
    """64 random bits; raises when the system has none to give."""
    global random_left
    if random_left == 0:
        if not pg_strong_random(random_pool, sizeof(random_pool)):
            raise_error(ERRCODE_INTERNAL_ERROR, b"could not generate random cookie")
        random_left = 64
    random_left -= 1
    return random_pool[random_left]


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
    my_session.id = pg_atomic_fetch_add_u64(&registry.last_session, 1) + 1
    my_session.pid = MyProcPid
    unlock_registry()


cdef void end_session() noexcept nogil:
    """Leave the registry: unread results of this session are kept for pg_background.result_retention from now."""
    global my_session
    cdef int32_t i
    cdef Job *job
    cdef TimestampTz now
    cdef bint any_left = False
    if my_session == NULL:
        return
    now = GetCurrentTimestamp()
    lock_registry()
    for i in range(registry.jobs_size):
        if registry.cookies[i] == 0:
            continue
        job = &registry.jobs[i]
        if job.session_id == my_session.id and job.tracked and not job.submitted:
            job.orphaned_at = now
            any_left = True
    my_session.id = 0
    my_session.waits_for = 0
    forget_pins()
    unlock_registry()
    my_session = NULL
    if any_left:
        wake_keeper()


cdef void leave_sessions(int code, Datum arg) noexcept nogil:
    global my_claim
    cdef Job *claimed
    release_reservation()
    stop_watching()
    if my_run != NULL:
        end_run(True)
    claimed = my_claim
    if my_pending_job != NULL:
        abandon_job(my_pending_job, my_pending_cookie)
    if claimed != NULL:
        let_go(claimed)
    end_session()


# ---- a claim on a job's output

cdef void claim(Job *job, int kind) noexcept nogil:
    """Become the job's one reader or mover; under the lock, and only where there is none."""
    global my_claim
    job.reader = kind
    job.reader_proc = MyProc
    my_claim = job


cdef void unclaim(Job *job) noexcept nogil:
    """Under the lock."""
    global my_claim
    job.reader = READER_NONE
    job.reader_proc = NULL
    my_claim = NULL


cdef void let_go(Job *job) noexcept nogil:
    """End a claim. A result of which rows were taken is consumed; one only looked at stays readable."""
    cdef Garbage garbage
    cdef Latch *worker = NULL
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    if job.reader == READER_READING:
        job.tracked = False
        job.was_read = True
    if job.worker >= 0:
        worker = proc_latch(registry.workers[job.worker].proc)
    unclaim(job)
    settle(job, &garbage)
    unlock_registry()
    if worker != NULL:
        SetLatch(worker)        # it may wait for room that nobody will make any more
    wake_waiters(job, NULL)
    dispose(&garbage)
