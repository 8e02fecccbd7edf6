# A job's memory: its request, queue and error text are pieces of one area inside the registry's shared memory.
#
# The area's size limit is its first size, so that it never makes a DSM segment: parallel query keeps all of those.

cdef dsa_area *area


cdef inline Size reserve_size() noexcept nogil:
    return <Size>(most_memory(True) - most_memory(False))


cdef void create_area() noexcept nogil:
    """Make the area of the job memory, in the postmaster, as it lays out the shared memory."""
    cdef Size size = <Size>setting_job_memory * 1024
    cdef dsa_area *created = dsa_create_in_place(registry.area, size, registry.tranche, NULL)
    dsa_pin(created)
    dsa_set_size_limit(created, size)
    if reserve_size() > 0:
        registry.reserve = dsa_allocate_extended(created, reserve_size(), DSA_ALLOC_NO_OOM | DSA_ALLOC_HUGE)
    dsa_detach(created)


cdef void detach_area(int code, Datum arg) noexcept nogil:
    """Exit callback: after those that free pieces."""
    global area
    if area != NULL:
        dsa_detach(area)
        dsa_release_in_place(registry.area)
        area = NULL


cdef void attach_area() noexcept nogil:
    """Attach for the rest of this process's life; whoever frees at exit must register its callback after this."""
    global area
    cdef MemoryContext old
    if area != NULL:
        return
    old = MemoryContextSwitchTo(TopMemoryContext)
    area = dsa_attach_in_place(registry.area, NULL)
    dsa_pin_mapping(area)
    MemoryContextSwitchTo(old)
    before_shmem_exit(detach_area, 0)


cdef inline uint32_t taken(uint32_t size) noexcept nogil:
    """What a piece of so many bytes takes of the area: whole pages, or up to 8 kB what its class of sizes has, a few to
    each power of two."""
    cdef uint32_t step = 64
    if size > 8192:
        return (size + 4095) & ~<uint32_t>4095
    while step * 8 < size:
        step *= 2
    return (size + step - 1) // step * step * 17 // 16 if size > 0 else 0


cdef bint release_reserve() noexcept nogil:
    """Free the piece that is kept for this; False when that has been done. Never under the lock, never raises."""
    cdef dsa_pointer piece
    lock_registry()
    piece = registry.reserve
    registry.reserve = InvalidDsaPointer
    unlock_registry()
    if piece != InvalidDsaPointer:
        dsa_free(area, piece)
    return piece != InvalidDsaPointer


cdef long refill_reserve() noexcept nogil:
    """Take that piece again; returns milliseconds until the next try is due, or -1.

    What is free in the area may lie in pieces that are too small for a queue: so it is taken in one.
    """
    cdef dsa_pointer piece
    if registry.reserve != InvalidDsaPointer or reserve_size() == 0:
        return -1
    piece = dsa_allocate_extended(area, reserve_size(), DSA_ALLOC_NO_OOM | DSA_ALLOC_HUGE)
    if piece == InvalidDsaPointer:
        return 1000
    # the keeper alone does this
    lock_registry()
    registry.reserve = piece
    unlock_registry()
    return -1


cdef dsa_pointer allocate(uint32_t size, bint has_reserve) noexcept nogil:
    """A piece of the area, or InvalidDsaPointer when it is full, or only the reserve is left of it; never under the
    lock, never raises."""
    cdef dsa_pointer piece
    if pg_atomic_fetch_add_u64(&registry.area_bytes, taken(size)) + taken(size) <= most_memory(has_reserve):
        piece = dsa_allocate_extended(area, size, DSA_ALLOC_NO_OOM | DSA_ALLOC_HUGE)
        if piece == InvalidDsaPointer and has_reserve and release_reserve():
            piece = dsa_allocate_extended(area, size, DSA_ALLOC_NO_OOM | DSA_ALLOC_HUGE)
            # not before: it would be faster
            wake_keeper()
        if piece != InvalidDsaPointer:
            return piece
    pg_atomic_fetch_sub_u64(&registry.area_bytes, taken(size))
    return InvalidDsaPointer


cdef inline void *address(dsa_pointer piece) noexcept nogil:
    """Where a piece is in this process; it stays there, as the area is never remapped."""
    return dsa_get_address(area, piece)


cdef void dispose(Garbage *garbage) noexcept nogil:
    """Free what entries gave up; never under the registry's lock, never raises."""
    if garbage.request != InvalidDsaPointer:
        dsa_free(area, garbage.request)
    if garbage.error != InvalidDsaPointer:
        dsa_free(area, garbage.error)
    if garbage.ring != InvalidDsaPointer:
        dsa_free(area, garbage.ring)
    if garbage.bytes != 0:
        pg_atomic_fetch_sub_u64(&registry.area_bytes, garbage.bytes)
    if garbage.file_number != 0:
        remove_spill_file(garbage.file_tablespace, garbage.file_number)
    memset(garbage, 0, sizeof(Garbage))


cdef inline uint32_t ring_size_of(int32_t queue_size) noexcept nogil:
    """Bytes of the ring of a queue of that size; the rest is its spill file."""
    return queue_size if queue_size < MAX_RING_SIZE else MAX_RING_SIZE


cdef void take_ring(Job *job) noexcept nogil:
    """The queue of a job that was launched without one. When there is none to be had all its output goes to the file:
    a job that was accepted is not to fail for that."""
    cdef uint32_t size = ring_size_of(job.queue_size)
    cdef dsa_pointer ring
    cdef Garbage piece
    if not may_take(job, taken(size)):
        return
    ring = allocate(size, job.may_take_reserve)
    while ring == InvalidDsaPointer and (reclaim_history(job.identity.login) or reclaim_history(InvalidOid)):
        ring = allocate(size, job.may_take_reserve)
    if ring == InvalidDsaPointer:
        return
    memset(&piece, 0, sizeof(piece))
    lock_registry()
    if does_role_memory_fit(role_usage(job), &job.role_limits, taken(size)):
        job.ring = ring
        job.ring_size = size
        count_memory(job, taken(size))
    else:
        piece.ring = ring
        piece.bytes = taken(size)
    unlock_registry()
    dispose(&piece)


cdef void raise_out_of_job_memory() noexcept nogil:
    """Raise 53200."""
    raise_with_hint(ERRCODE_OUT_OF_MEMORY,
                    b"Read or detach finished jobs, or increase pg_background.job_memory.",
                    b"out of job memory")


cdef void allocate_for_job(uint32_t request_size, uint32_t ring_size, Oid login, bint has_reserve,
                           dsa_pointer *request, dsa_pointer *ring) noexcept nogil:
    """Both pieces of a launch; raises 53200 when neither the history nor unread results can make room, of this role
    before those of others."""
    cdef Garbage piece
    if <uint64_t>taken(request_size) + taken(ring_size) > most_memory(has_reserve):
        # no use in taking others' memory for it
        raise_out_of_job_memory()
    while True:
        request[0] = allocate(request_size, has_reserve)
        if request[0] != InvalidDsaPointer:
            if ring_size == 0:
                ring[0] = InvalidDsaPointer
                return
            ring[0] = allocate(ring_size, has_reserve)
            if ring[0] != InvalidDsaPointer:
                return
            memset(&piece, 0, sizeof(piece))
            piece.request = request[0]
            piece.bytes = taken(request_size)
            dispose(&piece)
        if not make_room_for(login):
            raise_out_of_job_memory()


# ---- finished jobs whose memory others may take, the oldest first: of all, and of each role. Whoever finds the job
# memory full takes the first, however many there are.
#
#   unread      kept, with a queue, which can move to its file
#   past        history, with a request, which nobody needs

cdef enum:
    IN_NO_CHAIN = 0
    IN_UNREAD
    IN_PAST

cdef enum:
    OF_ALL = 0
    OF_ROLE = 1
    OF_DUE = 2                  # those that are to be written to the history, shared/entries.pyx


cdef inline void empty_chain(Chain *chain) noexcept nogil:
    chain.first = -1
    chain.last = -1


cdef inline void empty_chains(Chain *chains) noexcept nogil:
    empty_chain(&chains[IN_UNREAD])
    empty_chain(&chains[IN_PAST])


cdef void append_to_chain(Chain *chain, Job *job, int which) noexcept nogil:
    cdef int32_t i = job_index(job)
    job.links[which].next = -1
    job.links[which].previous = chain.last
    if chain.last >= 0:
        registry.jobs[chain.last].links[which].next = i
    else:
        chain.first = i
    chain.last = i


cdef void prepend_to_chain(Chain *chain, Job *job, int which) noexcept nogil:
    cdef int32_t i = job_index(job)
    job.links[which].next = chain.first
    job.links[which].previous = -1
    if chain.first >= 0:
        registry.jobs[chain.first].links[which].previous = i
    else:
        chain.last = i
    chain.first = i


cdef void remove_from_chain(Chain *chain, Job *job, int which) noexcept nogil:
    cdef Link *link = &job.links[which]
    if link.previous >= 0:
        registry.jobs[link.previous].links[which].next = link.next
    else:
        chain.first = link.next
    if link.next >= 0:
        registry.jobs[link.next].links[which].previous = link.previous
    else:
        chain.last = link.previous


cdef inline int chain_of(Job *job) noexcept nogil:
    """In which it belongs; under the lock."""
    if job.in_history:
        return IN_PAST if job.request != InvalidDsaPointer else IN_NO_CHAIN
    return IN_UNREAD if is_final(job.state) and job.ring != InvalidDsaPointer else IN_NO_CHAIN


cdef void update_chain(Job *job) noexcept nogil:
    """Called wherever that changes: at the end of the job, as it becomes history and as it gives up memory; under the
    lock."""
    cdef int kind = chain_of(job)
    if kind == job.chain:
        return
    if job.chain != IN_NO_CHAIN:
        remove_from_chain(&registry.chains[job.chain], job, OF_ALL)
        remove_from_chain(&role_usage(job).chains[job.chain], job, OF_ROLE)
    job.chain = kind
    if kind != IN_NO_CHAIN:
        append_to_chain(&registry.chains[kind], job, OF_ALL)
        append_to_chain(&role_usage(job).chains[kind], job, OF_ROLE)


cdef Job *first_in_chain(int kind, Oid login) noexcept nogil:
    """The oldest of this login role, of any where that is InvalidOid, or NULL; under the lock."""
    cdef Usage *role
    cdef int32_t i = registry.chains[kind].first
    if login != InvalidOid:
        role = find_usage(login, False)
        i = role.chains[kind].first if role != NULL else -1
    return &registry.jobs[i] if i >= 0 else NULL


cdef Job *next_in_chain(Job *job, Oid login) noexcept nogil:
    cdef int32_t i = job.links[OF_ALL if login == InvalidOid else OF_ROLE].next
    return &registry.jobs[i] if i >= 0 else NULL


cdef bint reclaim_history(Oid login) noexcept nogil:
    """Free the memory of the oldest history entry that has some, of this login role only unless it is InvalidOid; False
    when none has. Never raises."""
    cdef Garbage garbage
    cdef Job *job
    memset(&garbage, 0, sizeof(garbage))
    lock_registry()
    job = first_in_chain(IN_PAST, login)
    if job != NULL:
        give_up_memory(job, &garbage)
    unlock_registry()
    dispose(&garbage)
    return job != NULL


cdef struct Move:
    Job *job
    Hold hold
    Spill spill


cdef bint may_move(Job *job) noexcept nogil:
    """Whether its limits let its unread bytes go from the queue to its file. Under the lock."""
    cdef uint64_t size = unread_in_ring(job)
    return (size == 0 or (is_within(job, 0, setting_max_result_size) and does_role_fit(job, size)
                          and does_total_fit(job, size)))


cdef bint make_room(Oid login) noexcept nogil:
    """Free the memory of the oldest history entry that has some, else the queue of the oldest unread result,
    which moves to its file; of this login role only unless it is InvalidOid. False when there is nothing left to
    take."""
    cdef Move move
    cdef Hold *outer = my_holds
    if reclaim_history(login):
        return True
    memset(&move, 0, sizeof(move))
    lock_registry()
    move.job = first_in_chain(IN_UNREAD, login)
    while move.job != NULL and (move.job.reader != READER_NONE or not may_move(move.job)):
        move.job = next_in_chain(move.job, login)
    if move.job != NULL:
        claim(move.job, READER_MOVING)
        take_hold(&move.hold, end_move, &move)
    unlock_registry()
    if move.job == NULL:
        return False
    run_guarded(move_to_file, &move, outer)
    return True


cdef void end_move(void *what) noexcept nogil:
    """End the mover's claim, however the move ends; never raises."""
    cdef Move *move = <Move *>what
    close_spill(&move.spill)
    # a detach meanwhile has left the rest to the mover
    let_go(move.job)


cdef void move_to_file(void *what) noexcept nogil:
    """Write a finished job's queue to its file and free it; the job is claimed."""
    cdef Move *move = <Move *>what
    cdef Job *job = move.job
    cdef Garbage queue
    debug_point("mover_before_write")
    if unread_in_ring(job) > 0:
        spill_ring(job, &move.spill)
    memset(&queue, 0, sizeof(queue))
    lock_registry()
    queue.ring = job.ring
    queue.bytes = taken(job.ring_size)
    count_memory(job, -<int64_t>taken(job.ring_size))
    job.ring = InvalidDsaPointer
    job.ring_size = 0
    update_chain(job)
    unlock_registry()
    dispose(&queue)


# ---- where the parts of a JobRequest lie

cdef inline char *request_settings(JobRequest *request) noexcept nogil:
    return <char *>request + MAXALIGN(sizeof(JobRequest))


cdef inline char *request_libraries(JobRequest *request) noexcept nogil:
    return request_settings(request) + MAXALIGN(request.settings_size)


cdef inline char *request_sql(JobRequest *request) noexcept nogil:
    return request_libraries(request) + MAXALIGN(request.libraries_size)


cdef inline char *request_parameters(JobRequest *request) noexcept nogil:
    return request_sql(request) + request.sql_size + 1
