# Callers that know jobs by a pid alone: the cast of a handle to int4, which pins, and the look-up by pid.
#
# A worker gives the same pid to one job after the other. So once a caller has a handle as a bare pid, this session's
# launches leave that worker alone until the job is consumed or detached: each unread job has a pid of its own.

cdef struct Pin:
    Job *job
    uint64_t cookie
    int32_t pid


cdef Pin *pins
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


cdef void reserve_pin() noexcept nogil:
    """Room for one more, after those that nobody needs are dropped."""
    global pins, pin_count, pin_capacity
    cdef Pin *larger
    cdef int kept = 0
    cdef int i
    share_registry()
    for i in range(pin_count):
        if is_pin_needed(&pins[i]):
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
    join_sessions()
    reserve_pin()
    share_registry()
    job = find_by_cookie(cookie)
    if job != NULL and job.pid == pid and job.session_id == my_session.id:
        pin.job = job
        pin.cookie = cookie
        pin.pid = pid
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


cdef Handle bare_pid_handle(int32_t pid) noexcept nogil:
    """The job of this session that a bare pid means; 42704 when there is none, 42725 when there are several.

    A finished submitted job is meant only where there is no other: nobody has to read or detach it.
    """
    cdef Handle handle
    cdef Job *job
    cdef TimestampTz done = 0
    cdef int32_t i
    cdef int count = 0
    handle.pid = pid
    handle.cookie = 0
    handle.rest = 1
    join_sessions()
    share_registry()
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        if not is_listed(i) or job.pid != pid:
            continue
        if not (job.submitted and is_final(job.state)):
            count += 1
            handle.cookie = job.cookie
        elif count == 0 and job.launched_at >= done:
            done = job.launched_at
            handle.cookie = job.cookie
    unlock_registry()
    if count > 1:
        raise_with_hint(ERRCODE_AMBIGUOUS_FUNCTION, b"Use pid and cookie.", b"PID %d has several jobs", pid)
    if handle.cookie == 0:
        raise_unknown(pid)
    return handle
