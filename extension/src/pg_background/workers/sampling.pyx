# What running jobs wait for, counted by the keeper: it looks at each from time to time. A look costs it a microsecond
# or so, and the jobs nothing.

cdef enum:
    QUIET_MS = 1000             # without a job, until the keeper sleeps on and the next job wakes it

cdef TimestampTz next_sample        # 0: it was asleep
cdef TimestampTz last_busy          # when it has last seen a job run


cdef void count_wait(Job *job, uint32_t event) noexcept nogil:
    """The keeper alone writes these, so that the lock may be shared; who reads meanwhile may miss this one."""
    cdef int i
    for i in range(job.wait_kinds):
        if job.waits[i].event == event or job.waits[i].event == OTHER_WAITS:
            job.waits[i].samples += 1
            return
    i = job.wait_kinds
    job.waits[i].event = event if i < WAIT_KINDS - 1 else OTHER_WAITS
    job.waits[i].samples = 1
    pg_write_barrier()
    job.wait_kinds = i + 1


cdef bint look_at_jobs() noexcept nogil:
    """Whether any runs; under the lock."""
    cdef Worker *worker
    cdef int32_t i
    cdef bint found = False
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if worker.state == WORKER_RUNNING:
            count_wait(&registry.jobs[worker.job], wait_of(worker.proc))
            found = True
    return found


cdef bint is_any_running() noexcept nogil:
    """Under the lock."""
    cdef int32_t i
    for i in range(registry.workers_size):
        if registry.workers[i].state == WORKER_RUNNING:
            return True
    return False


cdef void stop_sampling() noexcept nogil:
    """Unless a job has begun in the last moment: the next one wakes the keeper."""
    global next_sample
    lock_registry()
    registry.is_sampling = is_any_running()
    unlock_registry()
    next_sample = 0


cdef long sample_waits() noexcept nogil:
    """Look if it is time; returns milliseconds until the next look, or -1."""
    global next_sample, last_busy
    cdef TimestampTz now
    cdef bint found
    if not registry.is_sampling or setting_wait_sampling == 0:
        next_sample = 0
        return -1
    now = GetCurrentTimestamp()
    if next_sample == 0:
        # the job that has woken the keeper has just begun
        last_busy = now
    elif next_sample <= now or next_sample - now > <TimestampTz>setting_wait_sampling * 1000:
        # it is time, or the setting has been lowered or the clock set back since
        share_registry()
        found = look_at_jobs()
        unlock_registry()
        if found:
            last_busy = now
        elif not 0 <= now - last_busy < QUIET_MS * 1000:
            stop_sampling()
            return sample_waits()
    else:
        return <long>((next_sample - now) // 1000)
    next_sample = now + <TimestampTz>setting_wait_sampling * 1000
    return setting_wait_sampling
