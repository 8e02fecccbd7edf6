# What the running job takes of the server: CPU, buffers, time of reads and writes, WAL. Of parallel workers the server adds
# all to the counts of the process that leads them, except for their CPU.

cdef int64_t taken_before[RESOURCES]    # by this process, before its job


cdef void begin_taking() noexcept nogil:
    """As a job comes to this process."""
    read_resources(taken_before)


cdef void note_taken(Job *job) noexcept nogil:
    """Into the entry of the job that this process still has; its end counts it."""
    cdef int64_t now[RESOURCES]
    cdef int i
    read_resources(now)
    for i in range(RESOURCES):
        job.resources[i] = now[i] - taken_before[i]
