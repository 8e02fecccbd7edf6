# A claim on a job's output: of its one reader, who looks at it and then takes it, or of who moves it to its file.

cdef void claim(Job *job, int kind) noexcept nogil:
    """Become the job's reader or mover; under the lock, and only where there is none. The caller takes a hold of it."""
    job.reader = kind
    job.reader_proc = MyProc


cdef void let_go(Job *job) noexcept nogil:
    """End a claim. A result of which rows were taken is consumed; one only looked at stays readable."""
    cdef Garbage garbage
    cdef Latch *worker = NULL
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    if job.reader == READER_READING:
        stop_tracking(job)
        job.was_read = True
    if job.worker >= 0:
        worker = proc_latch(registry.workers[job.worker].proc)
    job.reader = READER_NONE
    job.reader_proc = NULL
    settle(job, &garbage)
    unlock_registry()
    if worker != NULL:
        SetLatch(worker)        # it may wait for room that nobody will make any more
    wake_waiters(job, NULL)
    dispose(&garbage)
