# Finished jobs whose memory others may take, the oldest first: of all, and of each role. Whoever finds the job memory
# full takes the first, however many there are.
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


cdef inline void empty_chains(Chain *chains) noexcept nogil:
    chains[IN_UNREAD].first = -1
    chains[IN_UNREAD].last = -1
    chains[IN_PAST].first = -1
    chains[IN_PAST].last = -1


cdef void append_to_chain(Chain *chain, Job *job, int which) noexcept nogil:
    cdef int32_t i = job_index(job)
    job.links[which].next = -1
    job.links[which].previous = chain.last
    if chain.last >= 0:
        registry.jobs[chain.last].links[which].next = i
    else:
        chain.first = i
    chain.last = i


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
