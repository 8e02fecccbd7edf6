# Workers that this session's launches leave alone.
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
    """After a job, in its worker: what it has pinned was for it alone."""
    global pin_count
    pin_count = 0
