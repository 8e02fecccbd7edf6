# Places for worker processes in the registry, and asking the postmaster for these. A place is taken first, and belongs
# to a process only while the generation agrees.

cdef Worker *take_place(Identity *identity, int32_t reserved_for, int limit) noexcept nogil:
    """A free place for a process that is about to be started, or NULL; under the lock."""
    cdef Worker *worker
    cdef int32_t i
    if registry.live_workers >= limit:
        return NULL
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if worker.state == WORKER_FREE:
            worker.state = WORKER_STARTING
            worker.generation += 1
            worker.pid = 0
            worker.proc = NULL
            worker.starter = MyProc
            worker.reserved_for = reserved_for
            worker.identity = identity[0]
            worker.is_fresh = True
            worker.settings = 0
            worker.placeholders = 0
            worker.temp_buffers = 0
            worker.job = -1
            worker.cookie = 0
            worker.cancel_cookie = 0
            worker.terminate_cookie = 0
            worker.since = GetCurrentTimestamp()
            registry.live_workers += 1
            return worker
    return NULL


cdef void free_place(Worker *worker) noexcept nogil:
    """Under the lock."""
    worker.state = WORKER_FREE
    worker.pid = 0
    worker.proc = NULL
    worker.job = -1
    worker.cookie = 0
    worker.reserved_for = -1
    registry.live_workers -= 1


cdef bint free_unstarted_place(Worker *worker, uint32_t generation) noexcept nogil:
    """Free the place of a process that ended, or never came, without checking in; False when it has."""
    cdef bint unstarted
    lock_registry()
    unstarted = worker.generation == generation and worker.state == WORKER_STARTING and worker.pid == 0
    if unstarted:
        free_place(worker)
    unlock_registry()
    return unstarted


cdef BackgroundWorkerHandle *register_process(Worker *worker) noexcept nogil:
    """Ask the postmaster for the place's process; NULL when all max_worker_processes slots are taken."""
    cdef BackgroundWorker process
    cdef BackgroundWorkerHandle *handle = NULL
    memset(&process, 0, sizeof(process))
    process.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION
    process.bgw_start_time = BgWorkerStart_ConsistentState
    process.bgw_restart_time = BGW_NEVER_RESTART
    snprintf(process.bgw_library_name, BGW_MAXLEN, b"pg_background")
    snprintf(process.bgw_function_name, BGW_MAXLEN, b"pgbg_worker_main")
    snprintf(process.bgw_name, BGW_MAXLEN, b"pg_background worker")
    snprintf(process.bgw_type, BGW_MAXLEN, b"pg_background")
    process.bgw_main_arg = UInt64GetDatum((<uint64_t>worker.generation << 32) | <uint64_t>worker_index(worker))
    process.bgw_notify_pid = MyProcPid
    if not RegisterDynamicBackgroundWorker(&process, &handle):
        return NULL
    return handle


cdef void wait_for_checkin(Start *start) noexcept nogil:
    """Return once the process has checked in, so that from here on its exit callback tells of its death.

    Without that a process that cannot load the library, or is never forked, would take the job with it silently.
    """
    cdef Worker *worker = start.worker
    cdef pid_t pid = 0
    cdef int status
    cdef bint came
    while True:
        # a cancel that has come is the launch's, however fast the process
        CHECK_FOR_INTERRUPTS()
        status = GetBackgroundWorkerPid(start.handle, &pid)
        share_registry()
        # it may have left again
        came = worker.generation != start.generation or worker.state != WORKER_STARTING or worker.pid != 0
        unlock_registry()
        if came:
            return
        if status == BGWH_STOPPED or status == BGWH_POSTMASTER_DIED:
            raise_not_started()
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000, PG_WAIT_EXTENSION)
        ResetLatch(MyLatch)
