# Callers that know jobs by a pid alone: the cast of a handle to int4, which pins, and the look-up by pid.
#
# A worker gives the same pid to one job after the other. So once a caller has a handle as a bare pid, this session's
# launches leave that worker alone until the job is consumed or detached: each such job has a pid of its own. What the
# worker ran before for a caller with handles may be unread still; nobody means that by the pid.

cdef struct Pin:
    Job *job
    uint64_t cookie
    int32_t pid
    TimestampTz launched_at


cdef Pin *pins                      # in the order of the casts
cdef int pin_count
cdef int pin_capacity


cdef bint is_pin_needed(Pin *pin) noexcept nogil:
    """Whether somebody may still ask for the job by its pid; under the lock."""
    return (is_same_job(pin.job, pin.cookie) and pin.job.tracked
            and not (pin.job.submitted and is_final(pin.job.state)))


cdef bint is_pinned(Worker *worker) noexcept nogil:
    """Whether this session must not launch on this worker; under the lock."""
    cdef int i
    for i in range(pin_count):
        if pins[i].pid == worker.pid and is_pin_needed(&pins[i]):
            return True
    return False


cdef Pin *last_pin(int32_t pid) noexcept nogil:
    """What this pid was last given out for, or NULL."""
    cdef int i
    for i in range(pin_count - 1, -1, -1):
        if pins[i].pid == pid:
            return &pins[i]
    return NULL


cdef void reserve_pin(int32_t pid) noexcept nogil:
    """Room for one more, of a job with this pid, after those that are of no use any more are dropped.

    One that nobody needs still says which jobs the pid does not mean, until it is given out again.
    """
    global pins, pin_count, pin_capacity
    cdef Pin *larger
    cdef int kept = 0
    cdef int i
    share_registry()
    for i in range(pin_count):
        if is_pin_needed(&pins[i]) or (is_same_job(pins[i].job, pins[i].cookie) and pins[i].pid != pid):
            pins[kept] = pins[i]
            kept += 1
    unlock_registry()
    pin_count = kept
    if pin_count < pin_capacity:
        return
    larger = <Pin *>MemoryContextAlloc(TopMemoryContext, sizeof(Pin) * (pin_capacity * 2 + 8))
    if pins != NULL:
        memcpy(larger, pins, sizeof(Pin) * pin_count)
        pfree(pins)
    pins = larger
    pin_capacity = pin_capacity * 2 + 8


cdef void pin_worker(int32_t pid, uint64_t cookie) noexcept nogil:
    """Pin the worker of a job of this session; a bare pid of another's is of no use anyway."""
    global pin_count
    cdef Job *job
    cdef Pin pin
    cdef Pin *last = last_pin(pid)
    join_sessions()
    if last != NULL and last.cookie == cookie:
        return
    reserve_pin(pid)
    share_registry()
    job = find_by_cookie(cookie)
    if job != NULL and job.pid == pid and job.session_id == my_session.id:
        pin.job = job
        pin.cookie = cookie
        pin.pid = pid
        pin.launched_at = job.launched_at
        if is_pin_needed(&pin):
            pins[pin_count] = pin
            pin_count += 1
    unlock_registry()


cdef void forget_pins() noexcept nogil:
    global pin_count
    pin_count = 0


cdef public Datum pgbg_pid(FunctionCallInfo fcinfo) noexcept nogil:
    """The cast of a handle to int4."""
    cdef cbool pid_is_null = False
    cdef cbool cookie_is_null = False
    cdef HeapTupleHeader record = arg_record(fcinfo, 0)
    cdef Datum pid = GetAttributeByNum(record, 1, &pid_is_null)
    cdef Datum cookie = GetAttributeByNum(record, 2, &cookie_is_null)
    fcinfo.isnull = pid_is_null
    if not pid_is_null and not cookie_is_null:
        pin_worker(DatumGetInt32(pid), <uint64_t>DatumGetInt64(cookie))
    return pid


cdef int count_pinned(int32_t pid, uint64_t *cookie) noexcept nogil:
    """How many different jobs somebody may still ask for by this pid, with the cookie of one; under the lock."""
    cdef int i
    cdef int count = 0
    for i in range(pin_count):
        if pins[i].pid == pid and is_pin_needed(&pins[i]) and pins[i].cookie != cookie[0]:
            count += 1
            cookie[0] = pins[i].cookie
    return count


cdef int count_since(int32_t pid, TimestampTz since, uint64_t *cookie) noexcept nogil:
    """How many jobs of this session launched since then have this pid, with the cookie of one; under the lock.

    A finished submitted job is meant only where there is no other: nobody has to read or detach it.
    """
    cdef Job *job
    cdef TimestampTz done = 0
    cdef int32_t i
    cdef int count = 0
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        if not is_listed(i) or job.pid != pid or job.launched_at < since:
            continue
        if not (job.submitted and is_final(job.state)):
            count += 1
            cookie[0] = job.cookie
        elif count == 0 and job.launched_at >= done:
            done = job.launched_at
            cookie[0] = job.cookie
    return count


cdef Handle bare_pid_handle(int32_t pid) noexcept nogil:
    """The job of this session that a bare pid means; 42704 when there is none, 42725 when there are several.

    It is the one that the pid was given out for. Where that is over, one launched since, never one from before.
    """
    cdef Handle handle
    cdef Pin *last
    cdef int count
    handle.pid = pid
    handle.cookie = 0
    handle.rest = 1
    join_sessions()
    share_registry()
    count = count_pinned(pid, &handle.cookie)
    if count == 0:
        last = last_pin(pid)
        count = count_since(pid, last.launched_at if last != NULL else 0, &handle.cookie)
    unlock_registry()
    if count > 1:
        raise_with_hint(ERRCODE_AMBIGUOUS_FUNCTION, b"Use pid and cookie.", b"PID %d has several jobs", pid)
    if handle.cookie == 0:
        raise_unknown(pid)
    return handle
