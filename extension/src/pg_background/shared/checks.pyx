# In builds for servers that check assertions: whether the whole registry is as layout.pxd says, each time that the lock
# is released after a change. A failure ends the process, and so the server.

# Of the queued jobs of a role, of which there are so many: what may begin is known to later folders.
cdef void (*check_backlog)(Usage *role, int32_t queued) noexcept nogil


cdef void check_registry() noexcept nogil:
    """Under the lock; does nothing where it is shared."""
    if not LWLockHeldByMeInMode(registry.lock, LW_EXCLUSIVE):
        return
    check_lists()
    check_jobs()
    check_workers()
    check_sessions()
    check_usages()
    check_due()
    check_chain(&registry.chains[IN_UNREAD], IN_UNREAD, OF_ALL, NULL)
    check_chain(&registry.chains[IN_PAST], IN_PAST, OF_ALL, NULL)


cdef void check_chain(Chain *chain, int kind, int which, Usage *role) noexcept nogil:
    """It has just the jobs that belong to it, of this role unless that is NULL."""
    cdef int32_t i
    cdef int32_t count = 0
    cdef int32_t last = -1
    cdef Job *job
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        if job.cookie != 0 and (role == NULL or role_usage(job) == role):
            Assert(job.chain == chain_of(job))
            count += job.chain == kind
    i = chain.first
    while i >= 0:
        job = &registry.jobs[i]
        Assert(job.chain == kind and job.links[which].previous == last)
        Assert(count > 0)
        count -= 1
        last = i
        i = job.links[which].next
    Assert(count == 0 and chain.last == last)


cdef void check_lists() noexcept nogil:
    """Each list has just the entries that belong to it. One that is in two of them, or in a circle, makes the lengths
    differ, as what an entry must be for one list it must not be for another."""
    cdef int32_t unused = 0
    cdef int32_t past = 0
    cdef int32_t queued = 0
    cdef int32_t last = -1
    cdef int32_t unused_at_first, past_at_first
    cdef int32_t i
    cdef Job *job
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        unused += job.cookie == 0
        past += job.cookie != 0 and job.in_history
        queued += job.cookie != 0 and job.state == JOB_QUEUED
    unused_at_first = unused
    past_at_first = past
    i = registry.free_head
    while i >= 0:
        Assert(registry.jobs[i].cookie == 0)
        Assert(unused > 0)
        unused -= 1
        i = registry.jobs[i].next
    i = registry.history_head
    while i >= 0:
        Assert(registry.jobs[i].cookie != 0 and registry.jobs[i].in_history)
        Assert(past > 0)
        past -= 1
        last = i
        i = registry.jobs[i].next
    Assert(last == registry.history_tail)
    Assert(queued == registry.backlog_size)
    Assert(registry.jobs_size - unused_at_first - past_at_first == registry.used_jobs)
    Assert(unused == 0 and past == 0)


cdef void check_jobs() noexcept nogil:
    """Each entry against its cookie, memory, reader and watches."""
    cdef int32_t i
    cdef Job *job
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        Assert(registry.cookies[i] == job.cookie)
        Assert((job.request == InvalidDsaPointer) == (job.request_size == 0))
        Assert((job.error == InvalidDsaPointer) == (job.error_size == 0))
        Assert((job.ring == InvalidDsaPointer) == (job.ring_size == 0))
        if job.cookie == 0:
            check_unused(job)
            continue
        Assert(find_by_cookie(job.cookie) == job)
        check_claim(job)
        check_stage(job)
        check_watches(job)


cdef void check_unused(Job *job) noexcept nogil:
    """A free entry has none of these."""
    Assert(job.worker == -1)
    Assert(job.reader == READER_NONE and job.reader_proc == NULL)
    Assert(job.watches == InvalidDsaPointer)
    Assert(has_no_memory(job) and job.chain == IN_NO_CHAIN)


cdef bint has_no_memory(Job *job) noexcept nogil:
    return job.request_size == 0 and job.error_size == 0 and job.ring_size == 0 and job.file_number == 0


cdef void check_claim(Job *job) noexcept nogil:
    """By a process that is there, which gives it back before it leaves the sessions."""
    Assert((job.reader == READER_NONE) == (job.reader_proc == NULL))
    if job.reader_proc != NULL:
        Assert(registry.sessions[proc_number(job.reader_proc)].id != 0)
        Assert(job.reader != READER_MOVING or is_final(job.state))


cdef void check_stage(Job *job) noexcept nogil:
    """Live, kept or history, each with what is part of it."""
    cdef Worker *worker
    if is_final(job.state):
        Assert(job.worker == -1)
        Assert(job.watches == InvalidDsaPointer)
        if job.in_history:
            Assert(job.reader == READER_NONE)
            Assert(job.submitted if job.tracked else has_no_memory(job))
        else:
            Assert(job.reader != READER_NONE or (job.tracked and not job.submitted))
        return
    Assert(not job.in_history)
    Assert(job.request != InvalidDsaPointer)
    if job.worker < 0:
        Assert(job.state == JOB_QUEUED or job.state == JOB_STARTING)
        return
    worker = &registry.workers[job.worker]
    Assert(worker.job == job_index(job) and worker.cookie == job.cookie)
    Assert(worker.state == (WORKER_ASSIGNED if job.state == JOB_STARTING else WORKER_RUNNING))


cdef void check_watches(Job *job) noexcept nogil:
    """The list is linked both ways, and of this job's watches by sessions that show them."""
    cdef dsa_pointer previous = InvalidDsaPointer
    cdef dsa_pointer piece = job.watches
    cdef Watch *watch
    cdef Session *session
    while piece != InvalidDsaPointer:
        watch = <Watch *>address(piece)
        session = &registry.sessions[proc_number(watch.waiter)]
        Assert(watch.previous == previous)
        Assert(watch.job == job_index(job) and watch.cookie == job.cookie)
        Assert(session.id != 0)
        Assert(session.watches != InvalidDsaPointer and session.watches <= piece)
        Assert((piece - session.watches) % sizeof(Watch) == 0)
        previous = piece
        piece = watch.next


cdef void check_workers() noexcept nogil:
    """Each place against the job that it has, and their number."""
    cdef int32_t live = 0
    cdef int32_t i
    cdef Worker *worker
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        live += worker.state != WORKER_FREE
        Assert((worker.job >= 0) == (worker.state == WORKER_ASSIGNED or worker.state == WORKER_RUNNING))
        Assert((worker.pid == 0) == (worker.proc == NULL))
        if worker.job >= 0:
            Assert(worker.pid != 0)
            Assert(worker.cookie != 0 and registry.cookies[worker.job] == worker.cookie)
            Assert(registry.jobs[worker.job].worker == i)
        Assert(worker.reserved_for < 0 or worker.state == WORKER_STARTING)
        Assert(worker.state == WORKER_STARTING or (worker.pid != 0) == (worker.state != WORKER_FREE))
    Assert(live == registry.live_workers)
    Assert(0 <= registry.ahead_count <= AHEAD_REQUESTS)


cdef void check_sessions() noexcept nogil:
    """Each job that has begun, or whose launch looks for a worker, is counted by the session that launched it."""
    cdef int32_t active = 0
    cdef int32_t mine = 0
    cdef int32_t tracked = 0
    cdef int32_t i
    cdef Job *job
    cdef Session *session
    for i in range(registry.sessions_size):
        session = &registry.sessions[i]
        if session.id != 0:
            Assert(session.active >= 0)
            active += session.active
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        tracked += job.cookie != 0 and job.tracked and my_session != NULL and my_session.id == job.session_id
        if job.cookie == 0 or job.state == JOB_QUEUED or is_final(job.state):
            continue
        active -= registry.sessions[job.session].id == job.session_id
        mine += my_session != NULL and my_session.id == job.session_id
    Assert(active == 0)
    Assert(my_session == NULL or my_session.id == 0 or my_session.active == mine)
    if my_session != NULL and my_session.id != 0 and not proc_exit_inprogress:
        check_tracked(tracked)


cdef void check_tracked(int32_t count) noexcept nogil:
    """The list of this session's jobs has just those, the oldest first."""
    cdef int32_t i = my_session.first_job
    cdef int32_t last = -1
    Assert(my_session.tracked == count)
    while i >= 0:
        Assert(registry.jobs[i].cookie != 0 and registry.jobs[i].tracked)
        Assert(registry.jobs[i].session_id == my_session.id)
        Assert(registry.jobs[i].previous_of_session == last)
        Assert(count > 0)
        count -= 1
        last = i
        i = registry.jobs[i].next_of_session
    Assert(count == 0 and my_session.last_job == last)


cdef void check_usages() noexcept nogil:
    """What each role and database uses is the sum of what its jobs have, and the queued ones are all in its lines."""
    cdef int32_t i
    for i in range(registry.usages_size):
        if registry.usages[i].holders > 0:
            check_usage(&registry.usages[i])


cdef void check_usage(Usage *usage) noexcept nogil:
    cdef int32_t holders = 0
    cdef int32_t jobs = 0
    cdef int32_t running = 0
    cdef int32_t waiting = 0
    cdef int32_t queued = 0
    cdef int64_t memory = 0
    cdef int32_t i
    cdef Job *job
    Assert(find_usage(usage.owner, usage.is_database) == usage)
    for i in range(registry.jobs_size):
        job = &registry.jobs[i]
        if job.cookie == 0 or (database_usage(job) if usage.is_database else role_usage(job)) != usage:
            continue
        holders += 1
        jobs += not job.in_history
        running += not is_final(job.state) and job.state != JOB_QUEUED
        queued += job.state == JOB_QUEUED
        waiting += job.wants_place
        memory += memory_of_job(job)
        Assert(not job.wants_place or (job.state == JOB_STARTING and job.worker < 0))
    # waits for several jobs are there besides
    Assert(holders <= usage.holders)
    Assert(jobs == usage.jobs and running == usage.running)
    if usage.is_database:
        return
    Assert(memory <= usage.memory)
    Assert(queued == usage.queued)
    Assert(waiting == usage.waiting_launches)
    Assert((usage.first_group >= 0 or usage.waiting_launches > 0)
           == (registry.first_in_need == usage_index(usage) or usage.previous_in_need >= 0))
    if check_backlog != NULL:
        check_backlog(usage, queued)
    check_chain(&usage.chains[IN_UNREAD], IN_UNREAD, OF_ROLE, usage)
    check_chain(&usage.chains[IN_PAST], IN_PAST, OF_ROLE, usage)


cdef void check_due() noexcept nogil:
    """Each database's list has just the jobs that are to be written to its history."""
    cdef int32_t due = 0
    cdef int32_t i
    for i in range(registry.jobs_size):
        due += registry.jobs[i].cookie != 0 and registry.jobs[i].history == HISTORY_DUE
    Assert(due == registry.due_count)
    for i in range(registry.usages_size):
        Assert(registry.usages[i].holders > 0 or registry.usages[i].due_chain.first < 0)
        due -= check_due_of(&registry.usages[i])
    Assert(due == 0)


cdef int32_t check_due_of(Usage *database) noexcept nogil:
    """How many there are."""
    cdef int32_t i = database.due_chain.first
    cdef int32_t last = -1
    cdef int32_t count = 0
    while i >= 0:
        Assert(registry.jobs[i].cookie != 0 and registry.jobs[i].history == HISTORY_DUE)
        Assert(is_final(registry.jobs[i].state) and database_usage(&registry.jobs[i]) == database)
        Assert(registry.jobs[i].links[<int>OF_DUE].previous == last)
        count += 1
        Assert(count <= database.due)
        last = i
        i = registry.jobs[i].links[<int>OF_DUE].next
    Assert(count == database.due and last == database.due_chain.last)
    return count
