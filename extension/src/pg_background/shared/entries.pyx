# The life of an entry: taken for a launch, made final, history once nobody needs it, and free or taken again.

cdef Job *take_entry(Garbage *garbage) noexcept nogil:
    """A free entry, else the oldest of the history with what it held as garbage, else NULL; under the lock. Nothing in
    it is to be taken for the new job's."""
    cdef Job *job
    if registry.free_head >= 0:
        job = &registry.jobs[registry.free_head]
        registry.free_head = job.next
        return job
    if registry.history_head < 0:
        return NULL
    job = &registry.jobs[registry.history_head]
    registry.history_head = job.next
    if registry.history_head < 0:
        registry.history_tail = -1
    stop_tracking(job)
    if job.history == HISTORY_DUE:
        remove_due(job)
        registry.due_missed += 1
    job.history = HISTORY_NONE
    give_up_memory(job, garbage)
    release_usage(job.role_usage)
    release_usage(job.database_usage)
    return job


cdef void free_entry(Job *job) noexcept nogil:
    """Give back a live entry that has no worker, reader or memory; under the lock."""
    tell_watchers(job)
    set_wants_place(job, False)
    stop_tracking(job)
    count_job(job, -1)
    release_usage(job.role_usage)
    release_usage(job.database_usage)
    set_cookie(job, 0)
    job.next = registry.free_head
    registry.free_head = job_index(job)


cdef void end_job(Job *job, int state, int32_t sqlstate) noexcept nogil:
    """Make the job final and count it; under the lock."""
    cdef Session *session = &registry.sessions[job.session]
    cdef TimestampTz now = GetCurrentTimestamp()
    if job.state != JOB_QUEUED:
        count_running(job, -1)
    set_wants_place(job, False)
    job.state = state
    job.sqlstate = sqlstate
    job.finished_at = now
    job.worker = -1
    update_chain(job)
    if job.orphaned_at != 0:
        job.orphaned_at = now
    count_end(job)
    if job.keeps_history:
        add_due(job, False)
    tell_watchers(job)
    if session.id != job.session_id:
        return
    if state == JOB_STOPPED:
        session.completed += 1
    elif state == JOB_CANCELED:
        session.canceled += 1
    elif state == JOB_TIMED_OUT:
        session.timed_out += 1
    else:
        session.failed += 1
    if job.started_at != 0:
        session.execution_ms += <double>(now - job.started_at) / 1000.0
        session.executed += 1


cdef void settle(Job *job, Garbage *garbage) noexcept nogil:
    """Once a job is final and no one will read it, free its output and make it history; under the lock.

    Called wherever one of its conditions may have become true: end, consumption, detach, a reader letting go.
    """
    if not is_final(job.state) or job.reader != READER_NONE or job.in_history:
        return
    if job.tracked and not job.submitted:
        return
    if not job.tracked:
        give_up_memory(job, garbage)
    job.in_history = True
    update_chain(job)
    count_job(job, -1)
    job.next = -1
    if registry.history_tail >= 0:
        registry.jobs[registry.history_tail].next = job_index(job)
    else:
        registry.history_head = job_index(job)
    registry.history_tail = job_index(job)


cdef void start_tracking(Job *job) noexcept nogil:
    """The newest of its session's jobs; under the lock."""
    cdef Session *session = &registry.sessions[job.session]
    job.tracked = True
    job.next_of_session = -1
    job.previous_of_session = session.last_job
    if session.last_job >= 0:
        registry.jobs[session.last_job].next_of_session = job_index(job)
    else:
        session.first_job = job_index(job)
    session.last_job = job_index(job)
    session.tracked += 1


cdef void stop_tracking(Job *job) noexcept nogil:
    """Under the lock."""
    if job.tracked:
        unlink_of_session(job)
    job.tracked = False


cdef void unlink_of_session(Job *job) noexcept nogil:
    """Take it from the list of its session's jobs, if that session is there and has not taken it off as it ended."""
    cdef Session *session = &registry.sessions[job.session]
    if session.id != job.session_id or (job.previous_of_session < 0 and session.first_job != job_index(job)):
        return
    if job.previous_of_session >= 0:
        registry.jobs[job.previous_of_session].next_of_session = job.next_of_session
    else:
        session.first_job = job.next_of_session
    if job.next_of_session >= 0:
        registry.jobs[job.next_of_session].previous_of_session = job.previous_of_session
    else:
        session.last_job = job.previous_of_session
    session.tracked -= 1
    job.previous_of_session = -1


cdef void forget_job(Job *job, Garbage *garbage) noexcept nogil:
    """Stop tracking it: its output is freed as soon as it has ended and nobody reads it; under the lock."""
    stop_tracking(job)
    if job.in_history:
        give_up_memory(job, garbage)
    else:
        settle(job, garbage)


cdef inline int64_t memory_of_job(Job *job) noexcept nogil:
    """Bytes of the area that its pieces take."""
    return <int64_t>taken(job.request_size) + taken(job.error_size) + taken(job.ring_size)


cdef void give_up_memory(Job *job, Garbage *garbage) noexcept nogil:
    """Move what the entry holds to garbage; under the lock."""
    give_up_file_bytes(job)
    count_memory(job, -memory_of_job(job))
    garbage.request = job.request
    garbage.error = job.error
    garbage.ring = job.ring
    garbage.bytes = <uint32_t>memory_of_job(job)
    garbage.file_number = job.file_number
    garbage.file_tablespace = job.file_tablespace
    job.request = InvalidDsaPointer
    job.error = InvalidDsaPointer
    job.ring = InvalidDsaPointer
    job.request_size = 0
    job.error_size = 0
    job.ring_size = 0
    job.file_number = 0
    update_chain(job)


cdef void keep_error(Job *job, Garbage *error) noexcept nogil:
    """Let the job have this error, if its role's limit allows it; what is left in `error` is to be disposed of.
    Under the lock."""
    if error.error == InvalidDsaPointer or not does_role_memory_fit(role_usage(job), &job.role_limits, error.bytes):
        return
    job.error = error.error
    job.error_size = error.error_size
    count_memory(job, error.bytes)
    memset(error, 0, sizeof(Garbage))


cdef void wake_waiters(Job *job, PGPROC *reader) noexcept nogil:
    """Tell those who wait for a change of this job; never under the lock."""
    ConditionVariableBroadcast(&job.changed)
    if reader != NULL:
        SetLatch(proc_latch(reader))
    if job.orphaned_at != 0:
        # its retention begins with its end, and goes on when a reader or mover lets go of it
        registry.has_orphans = True
        wake_keeper()
    if job.history == HISTORY_DUE:
        wake_writer(job.identity.database)


cdef void tell_watchers(Job *job) noexcept nogil:
    """Wake those that watch a job which has just ended, and forget them; under the lock."""
    cdef Watch *watch
    cdef dsa_pointer piece = job.watches
    job.watches = InvalidDsaPointer
    while piece != InvalidDsaPointer:
        watch = <Watch *>address(piece)
        piece = watch.next
        watch.job = WATCH_ENDED
        SetLatch(proc_latch(watch.waiter))


# ---- those that have ended and are to be written to the history of their database, in lists of each. Until then their
# entries keep all that is written, and there is no copy: one that is needed for another job is missed.

cdef void add_due(Job *job, bint first) noexcept nogil:
    """Behind all others of its database's, or before them; under the lock."""
    cdef Usage *database = database_usage(job)
    job.history = HISTORY_DUE
    if first:
        prepend_to_chain(&database.due_chain, job, OF_DUE)
    else:
        append_to_chain(&database.due_chain, job, OF_DUE)
    database.due += 1
    registry.due_count += 1


cdef void remove_due(Job *job) noexcept nogil:
    """The caller says what it is instead; under the lock."""
    cdef Usage *database = database_usage(job)
    remove_from_chain(&database.due_chain, job, OF_DUE)
    database.due -= 1
    registry.due_count -= 1


cdef void wake_writer(Oid database) noexcept nogil:
    """After the end of a job that is to be written; never under the lock. The process of another database leaves."""
    cdef PGPROC *writer = registry.writer
    if writer != NULL and registry.writer_sleeps:
        registry.writer_sleeps = False
        SetLatch(proc_latch(writer))
    if (writer == NULL or registry.writer_database != database) and not registry.is_writer_wanted:
        registry.is_writer_wanted = True
        wake_keeper()
