# The part of shared/checks.pyx that is about the backlog.

cdef void check_groups(Usage *role, int32_t queued) noexcept nogil:
    """Groups are in the order of their first jobs, and can be found; no job may begin that nobody looks at."""
    cdef int32_t i = role.first_group
    cdef int32_t last = -1
    cdef Job *group
    while i >= 0:
        group = &registry.jobs[i]
        Assert(group.leads_line and group.leads_group)
        Assert(group.previous_group == last)
        Assert(last < 0 or registry.jobs[last].queued_as <= group.queued_as)
        Assert(is_group_in_bucket(group))
        Assert(not role.is_stalled or not may_begin(group))
        queued -= checked_jobs_of_group(group)
        last = i
        i = group.next_group
    Assert(queued == 0)
    Assert(role.last_group == last)


cdef bint is_group_in_bucket(Job *group) noexcept nogil:
    cdef int32_t i = group_bucket(group)[0]
    while i >= 0 and i != job_index(group):
        i = registry.jobs[i].next_group_in_bucket
    return i >= 0


cdef int32_t checked_jobs_of_group(Job *group) noexcept nogil:
    """How many it has. Each line is a circle of queued jobs in the order in which they came, of which the first alone
    leads it; the lines are another, in the order of their first jobs."""
    cdef Job *line = group
    cdef Job *job
    cdef Job *next
    cdef int32_t count = 0
    while True:
        job = line
        while True:
            Assert(job.cookie != 0 and job.state == JOB_QUEUED)
            Assert(have_same_room(job, group) and are_alike(job, line))
            Assert(job.leads_line == (job == line) and job.leads_group == (job == group))
            Assert(count < registry.backlog_size)
            count += 1
            next = &registry.jobs[job.next]
            Assert(next.previous == job_index(job))
            Assert(next == line or next.queued_as >= job.queued_as)
            job = next
            if job == line:
                break
        next = &registry.jobs[line.next_line]
        Assert(next.previous_line == job_index(line))
        Assert(next == group or next.queued_as >= line.queued_as)
        line = next
        if line == group:
            break
    return count
