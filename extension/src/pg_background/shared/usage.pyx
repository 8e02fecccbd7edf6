# What each login role, and each database, takes of what all share. An element of the table is there while an entry of
# the registry, or a wait for several jobs, names it: of a role that has nothing there, nothing is kept.

cdef inline int32_t *usage_bucket(Oid owner, bint is_database) noexcept nogil:
    return &registry.usage_buckets[(<uint64_t>owner * 2 + is_database) & registry.usage_mask]


cdef Usage *find_usage(Oid owner, bint is_database) noexcept nogil:
    """NULL where it has nothing; the caller holds the lock."""
    cdef int32_t i = usage_bucket(owner, is_database)[0]
    while i >= 0 and (registry.usages[i].owner != owner or registry.usages[i].is_database != is_database):
        i = registry.usages[i].next_in_bucket
    return &registry.usages[i] if i >= 0 else NULL


cdef inline int32_t usage_index(Usage *usage) noexcept nogil:
    return <int32_t>(usage - registry.usages)


cdef int32_t hold_usage(Oid owner, bint is_database) noexcept nogil:
    """Name it once more, until release_usage; under the lock. There is one for each who may: two for an entry, and one
    for a session, which waits for several jobs."""
    cdef Usage *usage = find_usage(owner, is_database)
    cdef int32_t *bucket
    if usage == NULL:
        usage = &registry.usages[registry.free_usage]
        registry.free_usage = usage.next_in_bucket
        usage.owner = owner
        usage.is_database = is_database
        bucket = usage_bucket(owner, is_database)
        usage.next_in_bucket = bucket[0]
        bucket[0] = usage_index(usage)
        usage.holders = 0
        usage.jobs = 0
        usage.running = 0
        usage.queued = 0
        usage.memory = 0
        usage.turn = 0
        usage.is_stalled = False
        usage.stalls = False
        memset(&usage.limits, 0, sizeof(Limits))
        pg_atomic_write_u64(&usage.file_bytes, 0)
    usage.holders += 1
    return usage_index(usage)


cdef void release_usage(int32_t index) noexcept nogil:
    """Under the lock."""
    cdef Usage *usage = &registry.usages[index]
    cdef int32_t *link
    usage.holders -= 1
    if usage.holders > 0:
        return
    link = usage_bucket(usage.owner, usage.is_database)
    while link[0] != index:
        link = &registry.usages[link[0]].next_in_bucket
    link[0] = usage.next_in_bucket
    usage.next_in_bucket = registry.free_usage
    registry.free_usage = index


cdef void set_up_usages() noexcept nogil:
    """An empty table; the memory is all zeros."""
    cdef Usage *usage
    cdef int32_t i
    memset(registry.usage_buckets, 0xff, (registry.usage_mask + 1) * sizeof(int32_t))
    for i in range(registry.usages_size):
        usage = &registry.usages[i]
        pg_atomic_init_u64(&usage.file_bytes, 0)
        usage.first_group = -1
        usage.last_group = -1
        empty_chain(&usage.due_chain)
        empty_chains(usage.chains)
        usage.previous_in_need = -1
        usage.next_in_bucket = i + 1 if i + 1 < registry.usages_size else -1
    registry.free_usage = 0
    registry.first_in_need = -1


# ---- of a job; under the lock

cdef inline Usage *role_usage(Job *job) noexcept nogil:
    return &registry.usages[job.role_usage]


cdef inline Usage *database_usage(Job *job) noexcept nogil:
    return &registry.usages[job.database_usage]


cdef void count_job(Job *job, int change) noexcept nogil:
    """+1 as it comes to be live, -1 as it becomes history or free."""
    registry.used_jobs += change
    role_usage(job).jobs += change
    database_usage(job).jobs += change


cdef void count_running(Job *job, int change) noexcept nogil:
    """+1 as it gets a worker or its launch looks for one, -1 as neither is so any more."""
    cdef Session *session = &registry.sessions[job.session]
    role_usage(job).running += change
    database_usage(job).running += change
    if session.id == job.session_id:
        session.active += change
    if change < 0:
        look_again(job)


cdef void look_again(Job *job) noexcept nogil:
    """Queued jobs that its role's, its session's or its database's limit held back may begin now."""
    cdef Usage *database = database_usage(job)
    cdef int32_t i = registry.first_in_need
    role_usage(job).is_stalled = False
    if not database.stalls:
        return
    database.stalls = False
    while i >= 0:
        registry.usages[i].is_stalled = False
        i = registry.usages[i].next_in_need


cdef inline void count_memory(Job *job, int64_t change) noexcept nogil:
    """In bytes, as the entry takes or gives up a piece of the area."""
    role_usage(job).memory += change


cdef void give_up_file_bytes(Job *job) noexcept nogil:
    """As the entry gives up its file."""
    pg_atomic_fetch_sub_u64(&registry.file_bytes, job.file_bytes)
    pg_atomic_fetch_sub_u64(&role_usage(job).file_bytes, job.file_bytes)
    job.file_bytes = 0


cdef void note_need(Usage *role) noexcept nogil:
    """Keep the list of the roles that have queued jobs, or launches that wait for a place."""
    cdef bint is_in_need = role.first_group >= 0 or role.waiting_launches > 0
    cdef int32_t i = usage_index(role)
    cdef bint is_listed = registry.first_in_need == i or role.previous_in_need >= 0
    if is_in_need == is_listed:
        return
    if is_in_need:
        role.previous_in_need = -1
        role.next_in_need = registry.first_in_need
        if role.next_in_need >= 0:
            registry.usages[role.next_in_need].previous_in_need = i
        registry.first_in_need = i
        return
    if role.previous_in_need >= 0:
        registry.usages[role.previous_in_need].next_in_need = role.next_in_need
    else:
        registry.first_in_need = role.next_in_need
    if role.next_in_need >= 0:
        registry.usages[role.next_in_need].previous_in_need = role.previous_in_need
    role.previous_in_need = -1


cdef void set_wants_place(Job *job, bint wants) noexcept nogil:
    """Whether the launch of this job has found no place, and waits for one."""
    if job.wants_place == wants:
        return
    job.wants_place = wants
    role_usage(job).waiting_launches += 1 if wants else -1
    note_need(role_usage(job))
