# The backlog: jobs that wait for a worker. It is kept role by role; of a role in groups, in which all jobs may begin or
# none may; and of a group in lines of jobs that the same workers fit, first come first served. So what is looked at
# grows neither with the jobs nor with those that may not begin. Their handles work all the while. Which job is next is
# in turns.pyx.
#
# A job may begin while its session runs fewer jobs than pg_background.max_workers allowed at its launch, and its role
# and database fewer than their limits.

cdef enum:
    LINES_SEEN = 64             # lines that are compared with a worker, with each other, or with a job that joins them
    LINES_OF_GROUP = 16         # ... of which one group has so many at most, where others have jobs too

cdef inline int32_t queued_pid(Job *job) noexcept nogil:
    """What stands for a pid in the handle of a job that has no process yet: minus the number of its entry."""
    return -(job_index(job) + 1)


cdef inline Job *first_of_line(int32_t i) noexcept nogil:
    return &registry.jobs[i] if i >= 0 else NULL


cdef inline bint have_same_room(Job *a, Job *b) noexcept nogil:
    """Whether they are of one group: room_of_job is the same for both."""
    return (a.session_id == b.session_id and a.session_limit == b.session_limit
            and a.role_usage == b.role_usage and a.database_usage == b.database_usage
            and memcmp(&a.role_limits, &b.role_limits, sizeof(Limits)) == 0
            and memcmp(&a.database_limits, &b.database_limits, sizeof(Limits)) == 0
            and a.may_take_reserve == b.may_take_reserve)


cdef inline int32_t *group_bucket(Job *job) noexcept nogil:
    return &registry.group_buckets[job.session_id & registry.bucket_mask]


cdef Job *find_group(Job *job) noexcept nogil:
    """The first job of the group to which this one belongs, or NULL; under the lock."""
    cdef int32_t i = group_bucket(job)[0]
    while i >= 0 and not have_same_room(&registry.jobs[i], job):
        i = registry.jobs[i].next_group_in_bucket
    return first_of_line(i)


cdef Job *find_line(Job *group, Job *job) noexcept nogil:
    """The first job of the line to which this one belongs, or NULL; under the lock.

    Only the last lines are looked at: a job that is like those of an older one begins another line.
    """
    cdef Job *line = &registry.jobs[group.previous_line]
    cdef int _seen
    for _seen in range(LINES_SEEN):
        if are_alike(line, job):
            return line
        if line == group:
            break
        line = &registry.jobs[line.previous_line]
    return NULL


cdef inline Job *line_after(Job *line) noexcept nogil:
    """The next line of the group, or NULL; each is named by its first job."""
    cdef Job *next = &registry.jobs[line.next_line]
    return NULL if next.leads_group else next


cdef Job *line_of_role_after(Job *line) noexcept nogil:
    """The next line of the group or, behind its last, the first of the role's next group, or NULL."""
    cdef Job *next = &registry.jobs[line.next_line]
    return first_of_line(next.next_group) if next.leads_group else next


cdef void link_group(Job *job, int32_t after) noexcept nogil:
    """Let it lead a group behind this one of its role's, -1: before all others; under the lock."""
    cdef Usage *role = role_usage(job)
    cdef int32_t *bucket = group_bucket(job)
    cdef int32_t i = job_index(job)
    job.leads_group = True
    job.next_group_in_bucket = bucket[0]
    bucket[0] = i
    job.previous_group = after
    if after >= 0:
        job.next_group = registry.jobs[after].next_group
        registry.jobs[after].next_group = i
    else:
        job.next_group = role.first_group
        role.first_group = i
    if job.next_group >= 0:
        registry.jobs[job.next_group].previous_group = i
    else:
        role.last_group = i


cdef void unlink_group(Job *job) noexcept nogil:
    """Under the lock."""
    cdef Usage *role = role_usage(job)
    cdef int32_t *link = group_bucket(job)
    while link[0] != job_index(job):
        link = &registry.jobs[link[0]].next_group_in_bucket
    link[0] = job.next_group_in_bucket
    job.leads_group = False
    if job.previous_group >= 0:
        registry.jobs[job.previous_group].next_group = job.next_group
    else:
        role.first_group = job.next_group
    if job.next_group >= 0:
        registry.jobs[job.next_group].previous_group = job.previous_group
    else:
        role.last_group = job.previous_group


cdef void hand_group_over(Job *job, Job *to) noexcept nogil:
    """A later job of the group becomes its first, and the group goes behind those whose first has waited longer; under
    the lock."""
    cdef int32_t after = job.previous_group
    cdef int32_t next = job.next_group
    unlink_group(job)
    while next >= 0 and registry.jobs[next].queued_as < to.queued_as:
        after = next
        next = registry.jobs[next].next_group
    link_group(to, after)


cdef void link_line(Job *job, Job *next) noexcept nogil:
    """Let it lead a line before this one in the circle of the group's; under the lock."""
    job.leads_line = True
    job.next_line = job_index(next)
    job.previous_line = next.previous_line
    registry.jobs[job.previous_line].next_line = job_index(job)
    next.previous_line = job_index(job)


cdef void unlink_line(Job *job) noexcept nogil:
    """There are others in the group, of which the next leads it where this one did; under the lock."""
    cdef Job *next = &registry.jobs[job.next_line]
    job.leads_line = False
    registry.jobs[job.previous_line].next_line = job.next_line
    next.previous_line = job.previous_line
    if job.leads_group:
        hand_group_over(job, next)


cdef void hand_line_over(Job *job, Job *to) noexcept nogil:
    """A later job of the line becomes its first, and the line goes behind those of the group whose first has waited
    longer. As no line was joined that had so many behind it, few are passed. Under the lock."""
    cdef Job *next = &registry.jobs[job.next_line]
    if next == job or (job.leads_group and to.queued_as < next.queued_as):
        # in the place of the first
        link_line(to, job)
        job.leads_line = False
        registry.jobs[job.previous_line].next_line = job.next_line
        registry.jobs[job.next_line].previous_line = job.previous_line
        hand_group_over(job, to)
        return
    if job.leads_group:
        # the next is the first from here on, and does not wait shorter
        unlink_line(job)
        next = &registry.jobs[next.next_line]
    else:
        unlink_line(job)
    while not next.leads_group and next.queued_as < to.queued_as:
        next = &registry.jobs[next.next_line]
    link_line(to, next)


cdef void put_in_backlog(Job *job, bint in_front) noexcept nogil:
    """At the end of its line, or before all others of its role; under the lock."""
    cdef int32_t i = job_index(job)
    cdef Usage *role = role_usage(job)
    cdef Job *group = NULL if in_front else find_group(job)
    cdef Job *line
    job.state = JOB_QUEUED
    job.leads_line = False
    job.leads_group = False
    job.next = i
    job.previous = i
    job.next_line = i
    job.previous_line = i
    registry.backlog_size += 1
    role.queued += 1
    role.is_stalled = False
    if group == NULL:
        job.leads_line = True
        link_group(job, -1 if in_front else role.last_group)
        note_need(role)
        return
    line = find_line(group, job)
    if line == NULL:
        # before the first in the circle is behind the last
        link_line(job, group)
        return
    job.next = job_index(line)
    job.previous = line.previous
    registry.jobs[job.previous].next = i
    line.previous = i


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
    if job.next != job_index(job):
        registry.jobs[job.previous].next = job.next
        registry.jobs[job.next].previous = job.previous
        if job.leads_line:
            hand_line_over(job, &registry.jobs[job.next])
    elif job.next_line != job_index(job):
        unlink_line(job)
    else:
        unlink_group(job)
        note_need(role_usage(job))


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
    """How many jobs of its group may begin by the limits, none of which has to do with workers; under the lock."""
    cdef int room
    cdef int of_role = job.role_limits.workers - role_usage(job).running
    cdef int of_database = job.database_limits.workers - database_usage(job).running
    if job.role_limits.workers > 0 and of_role <= 0:
        return 0
    room = job.session_limit - running_of_session(job)
    if job.database_limits.workers > 0 and room > 0:
        if of_database > 0:
            of_database -= stuck_workers(job.identity.database, True)
        if of_database < room:
            room = of_database
    if job.role_limits.workers > 0 and room > 0:
        of_role -= stuck_workers(job.identity.login, False)
        if of_role < room:
            room = of_role
    return room


cdef inline bint may_begin(Job *job) noexcept nogil:
    return room_of_job(job) > 0


cdef Job *ready_group(int32_t i) noexcept nogil:
    """The first group from this one on whose jobs may begin, or NULL; under the lock."""
    cdef Job *job
    while i >= 0:
        job = &registry.jobs[i]
        if may_begin(job):
            return job
        if is_reached(database_usage(job).running, job.database_limits.workers):
            database_usage(job).stalls = True
        i = job.next_group
    return NULL


cdef Job *first_ready(Usage *role) noexcept nogil:
    """The role's first group whose jobs may begin, or NULL; under the lock, and not where it is shared.

    That there is none is remembered until look_again: others' jobs that end don't look at all groups again. Only a
    stuck worker may come to an end of which nothing is counted.
    """
    cdef Job *group
    if role.is_stalled:
        return NULL
    group = ready_group(role.first_group)
    role.is_stalled = group == NULL and not is_any_stuck()
    return group


cdef bint is_any_ready(bint or_launches) noexcept nogil:
    """Whether a queued job of any role may begin, or a launch waits for a place; under the lock, as first_ready."""
    cdef int32_t i = registry.first_in_need
    while i >= 0:
        if (or_launches and registry.usages[i].waiting_launches > 0) or first_ready(&registry.usages[i]) != NULL:
            return True
        i = registry.usages[i].next_in_need
    return False


cdef void raise_session_limit() noexcept nogil:
    raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                      psprintf(b"This session runs %d jobs; pg_background.max_workers is %d.",
                               my_session.active, setting_max_workers),
                      b"Wait for a job to finish, or increase pg_background.max_workers.",
                      b"too many background workers")
