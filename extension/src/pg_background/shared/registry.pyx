# The registry in shared memory, and its entries by their cookies.
#
# One LWLock guards it, held for some hundred nanoseconds. Nothing under it may raise, wait or touch a file.

cdef enum:
    LOOK_STEP = 256             # entries that are looked at while the lock is held, where all are looked at

cdef Registry *registry
cdef void (*previous_request)() noexcept nogil
cdef void (*previous_startup)() noexcept nogil


cdef inline void lock_registry() noexcept nogil:
    """Take the lock to change the registry; until unlock_registry nothing may raise, wait, allocate or touch a file."""
    LWLockAcquire(registry.lock, LW_EXCLUSIVE)


cdef inline void share_registry() noexcept nogil:
    """Take the lock to read the registry; the same rules hold."""
    LWLockAcquire(registry.lock, LW_SHARED)


cdef inline void unlock_registry() noexcept nogil:
    """Release the lock, in checking builds after a look at the whole registry."""
    if IS_CHECKING_ASSERTIONS:
        check_registry()
    LWLockRelease(registry.lock)


cdef inline int job_index(Job *job) noexcept nogil:
    return <int>(job - registry.jobs)


cdef inline int worker_index(Worker *worker) noexcept nogil:
    return <int>(worker - registry.workers)


cdef inline bint is_final(int state) noexcept nogil:
    return state >= JOB_STOPPED


cdef Size bucket_count(int32_t jobs) noexcept nogil:
    """At least one for each job, a power of two."""
    cdef Size count = 16
    while count < <Size>jobs:
        count *= 2
    return count


cdef inline int32_t usage_count(int32_t jobs, int32_t sessions) noexcept nogil:
    """A role and a database for each job, and a role for each wait."""
    return 2 * jobs + sessions


cdef Size registry_bytes(int32_t jobs, int32_t workers, int32_t sessions) noexcept nogil:
    """Size of the registry with its arrays."""
    return (MAXALIGN(sizeof(Registry)) + MAXALIGN(jobs * sizeof(Job)) + MAXALIGN(workers * sizeof(Worker))
            + MAXALIGN(sessions * sizeof(Session)) + MAXALIGN(jobs * sizeof(uint64_t))
            + 2 * MAXALIGN(bucket_count(jobs) * sizeof(int32_t))
            + MAXALIGN(usage_count(jobs, sessions) * sizeof(Usage))
            + MAXALIGN(bucket_count(usage_count(jobs, sessions)) * sizeof(int32_t)))


cdef void request_shared_memory() noexcept nogil:
    """Hook of the postmaster as it sizes the shared memory."""
    if previous_request != NULL:
        previous_request()
    RequestAddinShmemSpace(registry_bytes(setting_max_jobs, max_worker_processes, count_procs()))
    RequestAddinShmemSpace(<Size>setting_job_memory * 1024)
    RequestNamedLWLockTranche("pg_background", 1)


cdef void set_up_registry() noexcept nogil:
    """Lay out the empty registry; the postmaster does it once, and again after a crash."""
    cdef char *place = <char *>registry + MAXALIGN(sizeof(Registry))
    cdef int32_t i
    cdef LWLockPadded *tranche = GetNamedLWLockTranche("pg_background")
    memset(registry, 0, registry_bytes(setting_max_jobs, max_worker_processes, count_procs()))
    registry.lock = &tranche[0].lock
    registry.tranche = tranche[0].lock.tranche
    registry.jobs_size = setting_max_jobs
    registry.workers_size = max_worker_processes
    registry.sessions_size = count_procs()
    registry.jobs = <Job *>place
    place += MAXALIGN(registry.jobs_size * sizeof(Job))
    registry.workers = <Worker *>place
    place += MAXALIGN(registry.workers_size * sizeof(Worker))
    registry.sessions = <Session *>place
    place += MAXALIGN(registry.sessions_size * sizeof(Session))
    registry.cookies = <uint64_t *>place
    place += MAXALIGN(registry.jobs_size * sizeof(uint64_t))
    registry.buckets = <int32_t *>place
    place += MAXALIGN(bucket_count(registry.jobs_size) * sizeof(int32_t))
    registry.group_buckets = <int32_t *>place
    place += MAXALIGN(bucket_count(registry.jobs_size) * sizeof(int32_t))
    registry.usages_size = usage_count(registry.jobs_size, registry.sessions_size)
    registry.usages = <Usage *>place
    place += MAXALIGN(registry.usages_size * sizeof(Usage))
    registry.usage_buckets = <int32_t *>place
    registry.usage_mask = bucket_count(registry.usages_size) - 1
    set_up_usages()
    registry.bucket_mask = bucket_count(registry.jobs_size) - 1
    memset(registry.buckets, 0xff, bucket_count(registry.jobs_size) * sizeof(int32_t))
    memset(registry.group_buckets, 0xff, bucket_count(registry.jobs_size) * sizeof(int32_t))
    for i in range(registry.jobs_size):
        ConditionVariableInit(&registry.jobs[i].changed)
        pg_atomic_init_u64(&registry.jobs[i].produced, 0)
        pg_atomic_init_u64(&registry.jobs[i].consumed, 0)
        pg_atomic_init_u64(&registry.jobs[i].spilled, 0)
        pg_atomic_init_u64(&registry.jobs[i].pinned, 0)
        pg_atomic_init_u32(&registry.jobs[i].described, 0)
        pg_atomic_init_u32(&registry.jobs[i].progress_version, 0)
        registry.jobs[i].worker = -1
        registry.jobs[i].next = i + 1 if i + 1 < registry.jobs_size else -1
    for i in range(registry.workers_size):
        registry.workers[i].job = -1
        registry.workers[i].reserved_for = -1
    for i in range(registry.sessions_size):
        registry.sessions[i].first_job = -1
        registry.sessions[i].last_job = -1
    registry.free_head = 0
    registry.since = GetCurrentTimestamp()
    registry.history_head = -1
    registry.history_tail = -1
    empty_chains(registry.chains)
    ConditionVariableInit(&registry.worker_left)
    pg_atomic_init_u64(&registry.last_session, 0)
    pg_atomic_init_u64(&registry.last_file, 0)
    pg_atomic_init_u64(&registry.area_bytes, 0)
    pg_atomic_init_u64(&registry.file_bytes, 0)


cdef void start_shared_memory() noexcept nogil:
    """Hook at the start of shared memory: lay it out, or find it where the process is started anew."""
    global registry
    cdef cbool found = False
    cdef void *area
    if previous_startup != NULL:
        previous_startup()
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE)
    registry = <Registry *>ShmemInitStruct(
        "pg_background registry", registry_bytes(setting_max_jobs, max_worker_processes, count_procs()), &found)
    if not found:
        set_up_registry()
    area = ShmemInitStruct("pg_background job memory", <Size>setting_job_memory * 1024, &found)
    if not found:
        registry.area = area
        create_area()
    LWLockRelease(AddinShmemInitLock)


cdef void require_registry() noexcept nogil:
    """Raise 55000 unless the library was preloaded."""
    if registry == NULL:
        raise_with_hint(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                        b"Add pg_background to shared_preload_libraries and restart the server.",
                        b"pg_background is not loaded")


# ---- finding

cdef Job *find_by_cookie(uint64_t cookie) noexcept nogil:
    """The entry with this cookie, or NULL; the caller holds the lock."""
    cdef int32_t i = registry.buckets[cookie & registry.bucket_mask]
    while i >= 0 and registry.cookies[i] != cookie:
        i = registry.jobs[i].next_in_bucket
    return &registry.jobs[i] if i >= 0 else NULL


cdef void set_cookie(Job *job, uint64_t cookie) noexcept nogil:
    """Let the entry be found by this cookie only, by none if it is 0; under the lock."""
    cdef int32_t i = job_index(job)
    cdef int32_t *link
    if job.cookie != 0:
        link = &registry.buckets[job.cookie & registry.bucket_mask]
        while link[0] != i:
            link = &registry.jobs[link[0]].next_in_bucket
        link[0] = job.next_in_bucket
    if cookie != 0:
        link = &registry.buckets[cookie & registry.bucket_mask]
        job.next_in_bucket = link[0]
        link[0] = i
    job.cookie = cookie
    registry.cookies[i] = cookie


cdef bint is_pid_tracked(int32_t pid) noexcept nogil:
    """Whether a tracked job has this pid in its handle; takes the lock, for some entries at a time."""
    cdef int32_t first = 0
    cdef int32_t i
    cdef bint found = False
    while first < registry.jobs_size and not found:
        share_registry()
        for i in range(first, min(first + LOOK_STEP, registry.jobs_size)):
            if registry.cookies[i] != 0 and registry.jobs[i].tracked and registry.jobs[i].pid == pid:
                found = True
                break
        unlock_registry()
        first += LOOK_STEP
    return found


cdef inline bint is_same_job(Job *job, uint64_t cookie) noexcept nogil:
    """Whether the entry still has the job of this cookie; what follows from it holds only under the lock."""
    return job.cookie == cookie


cdef void wake_keeper() noexcept nogil:
    """Let the keeper look after the backlog, the starts ahead of need and the retention; with or without the lock."""
    cdef PGPROC *keeper = registry.keeper
    if keeper != NULL:
        SetLatch(proc_latch(keeper))


cdef int32_t pid_that_runs(int32_t index, uint64_t cookie) noexcept nogil:
    """The process that runs this job, or 0; under the lock."""
    cdef Job *job = &registry.jobs[index]
    if is_same_job(job, cookie) and job.worker >= 0:
        return registry.workers[job.worker].pid
    return 0
