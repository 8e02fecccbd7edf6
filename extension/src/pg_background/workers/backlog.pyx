# The backlog: jobs that wait for a worker. It is kept role by role, and within a role in lines: jobs of one session
# that the same workers fit, first come first served. So what is looked at grows with the lines, not with the jobs.
# Their handles work all the while. Which job is next is in turns.pyx.
#
# A job may begin while its session runs fewer jobs than pg_background.max_workers allowed at its launch, and its role
# and database fewer than their limits.

cdef inline int32_t queued_pid(Job *job) noexcept nogil:
    """What stands for a pid in the handle of a job that has no process yet: minus the number of its entry."""
    return -(job_index(job) + 1)


cdef inline Job *first_of_line(int32_t i) noexcept nogil:
    return &registry.jobs[i] if i >= 0 else NULL


cdef inline bint belong_together(Job *a, Job *b) noexcept nogil:
    """Whether they wait in one line: for the first of it to begin is for each of them to come nearer."""
    return (a.session_id == b.session_id and a.session_limit == b.session_limit and are_alike(a, b)
            and memcmp(&a.role_limits, &b.role_limits, sizeof(Limits)) == 0
            and memcmp(&a.database_limits, &b.database_limits, sizeof(Limits)) == 0
            and a.may_take_reserve == b.may_take_reserve)


cdef Job *find_line(Job *job) noexcept nogil:
    """The first of the line in which the job belongs, or NULL; under the lock."""
    cdef Job *first = first_of_line(role_usage(job).first_line)
    while first != NULL and not belong_together(first, job):
        first = first_of_line(first.next_line)
    return first


cdef void link_line(Job *job, int32_t after) noexcept nogil:
    """Let it lead a line behind this one of its role's, -1: before all others; under the lock."""
    cdef Usage *role = role_usage(job)
    cdef int32_t i = job_index(job)
    job.leads_line = True
    job.previous_line = after
    if after >= 0:
        job.next_line = registry.jobs[after].next_line
        registry.jobs[after].next_line = i
    else:
        job.next_line = role.first_line
        role.first_line = i
    if job.next_line >= 0:
        registry.jobs[job.next_line].previous_line = i
    else:
        role.last_line = i


cdef void unlink_line(Job *job) noexcept nogil:
    """Under the lock."""
    cdef Usage *role = role_usage(job)
    job.leads_line = False
    if job.previous_line >= 0:
        registry.jobs[job.previous_line].next_line = job.next_line
    else:
        role.first_line = job.next_line
    if job.next_line >= 0:
        registry.jobs[job.next_line].previous_line = job.previous_line
    else:
        role.last_line = job.previous_line


cdef void hand_line_over(Job *job, Job *to) noexcept nogil:
    """Another job of the line becomes its first, and the line goes where that one belongs: most often it stays, and who
    is before it waits longer. Under the lock."""
    cdef int32_t after = job.previous_line
    cdef int32_t next = job.next_line
    unlink_line(job)
    while after >= 0 and registry.jobs[after].queued_as > to.queued_as:
        after = registry.jobs[after].previous_line
    while next >= 0 and registry.jobs[next].queued_as < to.queued_as:
        after = next
        next = registry.jobs[next].next_line
    link_line(to, after)


cdef void put_in_backlog(Job *job, bint in_front) noexcept nogil:
    """At the end of its line, or its beginning; under the lock."""
    cdef int32_t i = job_index(job)
    cdef Job *first = find_line(job)
    job.state = JOB_QUEUED
    job.leads_line = False
    registry.backlog_size += 1
    role_usage(job).queued += 1
    if first == NULL:
        job.next = i
        job.previous = i
        link_line(job, -1 if in_front else role_usage(job).last_line)
        note_need(role_usage(job))
        return
    job.next = job_index(first)
    job.previous = first.previous
    registry.jobs[job.previous].next = i
    first.previous = i
    if in_front:
        hand_line_over(first, job)


cdef void join_backlog(Job *job) noexcept nogil:
    """Under the lock; the job has no worker and is not counted among those that run."""
    job.pid = queued_pid(job)
    registry.backlog_joined += 1
    job.queued_as = registry.backlog_joined
    put_in_backlog(job, False)


cdef void return_to_backlog(Job *job) noexcept nogil:
    """Before all others of its role goes a job whose worker ended before it had begun; under the lock."""
    job.worker = -1
    job.started_at = 0
    job.queued_as = 0
    count_running(job, -1)
    put_in_backlog(job, True)


cdef void leave_backlog(Job *job) noexcept nogil:
    """Under the lock; the caller gives the job its next state."""
    registry.backlog_size -= 1
    role_usage(job).queued -= 1
    if job.next == job_index(job):
        unlink_line(job)
        note_need(role_usage(job))
        return
    registry.jobs[job.previous].next = job.next
    registry.jobs[job.next].previous = job.previous
    if job.leads_line:
        hand_line_over(job, &registry.jobs[job.next])


cdef bint is_in_backlog(Job *job, uint64_t cookie) noexcept nogil:
    """Whether it was put there, even if a worker has it already."""
    cdef bint queued
    share_registry()
    queued = not is_same_job(job, cookie) or job.pid < 0
    unlock_registry()
    return queued


cdef void enter_backlog(Job *job) noexcept nogil:
    """Put a job there that this backend has looked for a worker for."""
    lock_registry()
    count_running(job, -1)
    join_backlog(job)
    unlock_registry()


cdef void begin_queued(Job *job, Worker *worker) noexcept nogil:
    """Give it to the worker; under the lock."""
    leave_backlog(job)
    job.state = JOB_STARTING
    count_running(job, 1)
    assign(job, worker)


cdef void end_without_worker(Job *job, int state, int32_t sqlstate, const char *message,
                             Garbage *garbage) noexcept nogil:
    """End a job that no worker has; under the lock. The caller wakes its waiters and disposes of the garbage."""
    if job.state == JOB_QUEUED:
        leave_backlog(job)
    end_job(job, state, sqlstate)
    snprintf(job.message, MESSAGE_BYTES, b"%s", message)
    settle(job, garbage)


# ---- the limits of its session, role and database

cdef int running_of_session(Job *job) noexcept nogil:
    """Jobs of the session that launched this one, which may be gone; under the lock."""
    cdef Session *session = &registry.sessions[job.session]
    cdef Worker *worker
    cdef int32_t i
    cdef int count = 0
    if session.id == job.session_id:
        return session.active
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if worker.state != WORKER_FREE and worker.job >= 0:
            count += registry.jobs[worker.job].session_id == job.session_id
    return count


cdef int room_of_job(Job *job) noexcept nogil:
    """How many jobs of its line may begin by the limits, none of which has to do with workers; under the lock."""
    cdef int room = job.session_limit - running_of_session(job)
    cdef int of_role = job.role_limits.workers - role_usage(job).running
    cdef int of_database = job.database_limits.workers - database_usage(job).running
    if job.role_limits.workers > 0:
        of_role -= stuck_workers(job.identity.login)
        if of_role < room:
            room = of_role
    if job.database_limits.workers > 0 and of_database < room:
        room = of_database
    return room


cdef inline bint may_begin(Job *job) noexcept nogil:
    return room_of_job(job) > 0


cdef void raise_session_limit() noexcept nogil:
    raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                      psprintf(b"This session runs %d jobs; pg_background.max_workers is %d.",
                               my_session.active, setting_max_workers),
                      b"Wait for a job to finish, or increase pg_background.max_workers.",
                      b"too many background workers")
