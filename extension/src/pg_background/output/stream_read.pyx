# Messages out of a job's stream: below `spilled` from the file, above it from the ring. Offsets are absolute, so a
# reader that only looks keeps its own position and takes nothing; one that reads publishes it to make room.

cdef enum:
    MOVER_POLL_MS = 100         # how often a reader looks whether a mover has ended, if it missed the broadcast
    BUFFER_RESERVE = 65536      # room for the messages that follow, which are mostly of one size
    OVERDUE_STEP_US = 1000000   # between the cancel of an overdue job, the end of its process, and giving it up


cdef struct Stream:
    Hold claim
    ShownWait wait
    Job *job
    uint64_t cookie
    int32_t pid                 # in the handle
    uint64_t at                 # next byte to read
    bint is_ready               # to take what comes
    bint taking                 # publish what was read
    bint is_pinned              # the current message lies in the ring
    char *ring
    Size ring_size
    Spill spill
    char *buffer                # of the current message
    Size capacity
    MemoryContext context       # of the buffer
    TimestampTz deadline        # of the reader; 0: none
    int overdue_steps           # taken since the first deadline passed
    bint gives_up_quietly       # ... the last of them is no error
    bint given_up
    # the current message
    uint32_t kind
    uint32_t count
    char *data
    Size size


cdef void open_stream(Stream *stream, Job *job, Handle *handle) noexcept nogil:
    """Become the job's reader and start at the oldest unread byte. Waits for a mover, which is quick, and raises 55006
    for another reader. In the body of run_guarded, which closes it."""
    cdef bint mine = False
    cdef bint moving
    cdef bint known
    memset(stream, 0, sizeof(Stream))
    stream.job = job
    stream.cookie = handle.cookie
    stream.pid = handle.pid
    stream.context = CurrentMemoryContext
    while not mine:
        lock_registry()
        known = is_same_job(job, handle.cookie) and job.tracked
        mine = known and job.reader == READER_NONE
        moving = known and job.reader == READER_MOVING
        if mine:
            claim(job, READER_PEEKING)
            take_hold(&stream.claim, close_stream, stream)
        unlock_registry()
        if not known:
            raise_unknown(handle.pid)
        if not mine and not moving:
            raise_error(ERRCODE_OBJECT_IN_USE, b"the result of PID %d is being read by another session", handle.pid)
        if moving:
            ConditionVariablePrepareToSleep(&job.changed)
            ConditionVariableTimedSleep(&job.changed, MOVER_POLL_MS, PG_WAIT_EXTENSION)
            ConditionVariableCancelSleep()
    start_waiting(&stream.wait, job, handle.cookie)
    rewind_stream(stream)


cdef void close_stream(void *what) noexcept nogil:
    """End the claim, however the call ends; never raises. A result of which rows were taken is consumed."""
    cdef Stream *stream = <Stream *>what
    # while it is still the reader: the next one has pins of its own
    unpin(stream)
    close_spill(&stream.spill)
    let_go(stream.job)


cdef void rewind_stream(Stream *stream) noexcept nogil:
    """Back to the oldest byte that was not taken."""
    stream.at = pg_atomic_read_u64(&stream.job.consumed)


cdef Size read_available(Stream *stream, char *to, Size size) noexcept nogil:
    """Copy up to so many bytes that are there already; 0 when there is none."""
    cdef Job *job = stream.job
    cdef uint64_t produced, spilled
    cdef Size place, first
    while True:
        produced = pg_atomic_read_u64(&job.produced)
        if stream.at >= produced:
            return 0
        if size > produced - stream.at:
            size = <Size>(produced - stream.at)
        pg_read_barrier()
        spilled = pg_atomic_read_u64(&job.spilled)
        if stream.at < spilled:
            if size > spilled - stream.at:
                size = <Size>(spilled - stream.at)
            open_spill_for_reading(job, &stream.spill)
            size = read_spill(&stream.spill, to, size, stream.at)
        else:
            if stream.ring == NULL:
                # a job that was queued has it from when it begins
                stream.ring = <char *>address(job.ring)
                stream.ring_size = job.ring_size
            place = <Size>(stream.at % stream.ring_size)
            first = stream.ring_size - place
            if first > size:
                first = size
            memcpy(to, stream.ring + place, first)
            memcpy(to + first, stream.ring, size - first)
            pg_read_barrier()
            if pg_atomic_read_u64(&job.spilled) > stream.at:
                # the worker has moved these bytes to the file meanwhile, and may have overwritten them
                continue
        stream.at += size
        return size


cdef void make_room_in_ring(Stream *stream) noexcept nogil:
    """Publish what was taken, and wake the worker, which may wait for room."""
    cdef Job *job = stream.job
    if not stream.taking:
        return
    # the copy must be complete before the bytes may be overwritten
    pg_memory_barrier()
    pg_atomic_write_u64(&job.consumed, stream.at)
    pg_memory_barrier()
    wake_worker(job)


cdef void wake_worker(Job *job) noexcept nogil:
    """It may wait for this reader."""
    cdef int32_t worker = job.worker
    cdef PGPROC *proc
    if worker >= 0:
        proc = registry.workers[worker].proc
        if proc != NULL:
            SetLatch(proc_latch(proc))


cdef bint read_exactly(Stream *stream, char *to, Size size) noexcept nogil:
    """Fill the buffer, waiting for the worker; False at the stream's end, which lies between two messages."""
    cdef Size got
    cdef bint final
    cdef Size done = 0
    while done < size:
        # the state before the offset: what a final job has produced is all there is
        final = is_final(stream.job.state)
        pg_read_barrier()
        got = read_available(stream, to + done, size - done)
        if got == 0:
            if final:
                return False
            if stream.given_up:
                return False
            make_room_in_ring(stream)
            wait_for_output(stream)
        done += got
    return True


cdef void wait_for_output(Stream *stream) noexcept nogil:
    """Sleep until the worker has written or ended; checks for a deadlock every deadlock_timeout (40P01), heeds the
    deadline, and may be cancelled."""
    cdef Job *job = stream.job
    cdef long nap = DeadlockTimeout
    cdef long left = -1
    if stream.deadline != 0:
        left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), stream.deadline)
        nap = left if left < nap else nap
    # once more after the reader is known to the worker, which looks for it after each message
    if is_final(job.state) or stream.at < pg_atomic_read_u64(&job.produced):
        return
    if (wait_for_latch(WAITS_FOR_OUTPUT, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap) & WL_TIMEOUT
            and nap == DeadlockTimeout):
        check_deadlock(left if left < 0 else left - nap)
    ResetLatch(MyLatch)
    CHECK_FOR_INTERRUPTS()
    enforce_deadline(stream)


cdef void enforce_deadline(Stream *stream) noexcept nogil:
    """Past it the job is canceled, a second later ended with its process, and after one more no longer waited for."""
    if stream.deadline == 0 or stream.given_up or GetCurrentTimestamp() < stream.deadline:
        return
    stream.deadline = GetCurrentTimestamp() + OVERDUE_STEP_US
    stream.overdue_steps += 1
    if stream.overdue_steps <= 2:
        end_overdue_job(stream.job, stream.cookie, stream.overdue_steps == 2)
    elif stream.gives_up_quietly:
        stream.given_up = True
    else:
        raise_error(ERRCODE_QUERY_CANCELED, b"background job with PID %d still runs after its caller's timeout",
                    stream.pid)


# ---- the reader goes on: it looks, is ready, takes

cdef void become_ready(Stream *stream) noexcept nogil:
    """The reader wants the rows, and the worker is to wait for it."""
    cdef Job *job = stream.job
    stream.is_ready = True
    if is_final(job.state):
        return
    lock_registry()
    job.reader = READER_READY
    unlock_registry()
    wake_worker(job)


cdef void start_taking(Stream *stream) noexcept nogil:
    """From here on the result is consumed; before it, a reader that is cancelled while it waits loses nothing."""
    debug_point("reader_before_taking")
    stream.taking = True
    lock_registry()
    stream.job.reader = READER_READING
    unlock_registry()
    make_room_in_ring(stream)


cdef bint pin_message(Stream *stream) noexcept nogil:
    """Read the message where it lies, if all of it is in the ring in one piece. The worker leaves it alone until the
    next message is asked for, even where it has moved the ring to the file meanwhile; False where it must be copied."""
    cdef Job *job = stream.job
    cdef Size size = MAXALIGN(stream.size)
    cdef Size place
    if (not stream.taking or stream.ring == NULL
            or stream.at + size > pg_atomic_read_u64(&job.produced)):
        return False
    place = <Size>(stream.at % stream.ring_size)
    if place + size > stream.ring_size or place != MAXALIGN(place):
        return False
    pg_atomic_write_u64(&job.pinned, stream.at)
    # pairs with room_in_ring: either the worker sees the pin, or here it shows that the bytes have been moved
    pg_memory_barrier()
    if pg_atomic_read_u64(&job.spilled) > stream.at:
        pg_atomic_write_u64(&job.pinned, 0)
        return False
    stream.is_pinned = True
    debug_point("reader_in_place")
    stream.data = stream.ring + place
    stream.at += size
    return True


cdef void unpin(Stream *stream) noexcept nogil:
    """What was read in place may be overwritten; never raises."""
    if stream.is_pinned:
        stream.is_pinned = False
        # all has been read
        pg_memory_barrier()
        pg_atomic_write_u64(&stream.job.pinned, 0)


cdef bint next_message(Stream *stream) noexcept nogil:
    """Read the next whole message; False after the last one of a final job."""
    cdef MessageHeader header
    if stream.is_pinned:
        unpin(stream)
        make_room_in_ring(stream)
    # a job that always has output must not outrun it
    enforce_deadline(stream)
    if not read_exactly(stream, <char *>&header, sizeof(header)):
        return False
    stream.kind = header.kind & MESSAGE_KIND_MASK
    stream.count = header.kind >> MESSAGE_COUNT_SHIFT
    stream.size = header.size
    if stream.is_ready and not stream.taking and (stream.kind == MSG_ROWS or stream.kind == MSG_SHAPE
                                                  or stream.kind == MSG_NOTICE):
        # before the rest: one row may be larger than all that may be kept
        start_taking(stream)
    if stream.kind == MSG_ROWS and pin_message(stream):
        return True
    if stream.capacity < MAXALIGN(stream.size):
        if stream.buffer != NULL:
            pfree(stream.buffer)
            stream.buffer = NULL
            stream.capacity = 0
        stream.buffer = <char *>MemoryContextAllocExtended(stream.context,
                                                           stream.size + BUFFER_RESERVE, MCXT_ALLOC_HUGE)
        stream.capacity = stream.size + BUFFER_RESERVE
    stream.data = stream.buffer
    if not read_exactly(stream, stream.buffer, MAXALIGN(stream.size)):
        return False
    make_room_in_ring(stream)
    return True
