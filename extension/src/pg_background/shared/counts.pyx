# What all jobs of a database and role have come to, counted.

cdef int32_t totals_of(Oid database, Oid user, TimestampTz now) noexcept nogil:
    """Where the jobs of this database and role are counted; under the lock.

    Where there is no room, the counts that have been idle the longest go to those of all others, so that a server with
    many short-lived roles shows those of today.
    """
    cdef Totals *totals
    cdef int32_t oldest = -1
    cdef int32_t i
    for i in range(TOTALS_SIZE - 1):
        totals = &registry.totals[i]
        if totals.database == database and totals.user == user:
            break
        if totals.database == InvalidOid:
            begin_totals(totals, database, user)
            break
        if not has_unfinished(totals) and (oldest < 0 or totals.last_launch < registry.totals[oldest].last_launch):
            oldest = i
    else:
        i = TOTALS_SIZE - 1
        if oldest >= 0:
            add_totals(&registry.totals[i], &registry.totals[oldest])
            i = oldest
            begin_totals(&registry.totals[i], database, user)
    registry.totals[i].last_launch = now
    return i


cdef void begin_totals(Totals *totals, Oid database, Oid user) noexcept nogil:
    memset(totals, 0, sizeof(Totals))
    totals.database = database
    totals.user = user


cdef void add_totals(Totals *to, Totals *more) noexcept nogil:
    cdef int i
    to.launched += more.launched
    for i in range(JOB_STATES):
        to.ended[i] += more.ended[i]
    to.execution_ms += more.execution_ms
    to.queue_ms += more.queue_ms
    add_resources(to.resources, more.resources)
    for i in range(HISTOGRAM_BOUNDS + 1):
        to.queue_wait.jobs[i] += more.queue_wait.jobs[i]
        to.run.jobs[i] += more.run.jobs[i]


cdef inline void add_resources(int64_t *to, int64_t *more) noexcept nogil:
    cdef int i
    for i in range(RESOURCES):
        to[i] += more[i]


cdef inline void count_time(Histogram *histogram, int64_t microseconds) noexcept nogil:
    cdef int i = 0
    while i < HISTOGRAM_BOUNDS and microseconds > histogram_bound(i):
        i += 1
    histogram.jobs[i] += 1


cdef bint has_unfinished(Totals *totals) noexcept nogil:
    """Whether a job that is yet to be counted there has not ended."""
    cdef int64_t ended = 0
    cdef int i
    for i in range(JOB_STATES):
        ended += totals.ended[i]
    return ended < totals.launched


cdef Totals *totals_of_ended(Job *job) noexcept nogil:
    """Where the end of this job is counted by now; under the lock."""
    cdef Totals *totals = &registry.totals[job.totals]
    if totals.database != job.identity.database or totals.user != job.identity.user:
        return &registry.totals[TOTALS_SIZE - 1]
    return totals


cdef void count_end(Job *job) noexcept nogil:
    """Of a job that has just become final; under the lock."""
    cdef Totals *totals = &registry.totals[job.totals]
    totals.ended[job.state] += 1
    if job.started_at != 0:
        totals.execution_ms += <double>(job.finished_at - job.started_at) / 1000.0
        totals.queue_ms += <double>(job.started_at - job.launched_at) / 1000.0
        count_time(&totals.run, job.finished_at - job.started_at)
        count_time(&totals.queue_wait, job.started_at - job.launched_at)
        add_resources(totals.resources, job.resources)
