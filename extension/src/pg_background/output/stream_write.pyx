# Messages into the job's stream of output: into the queue's ring, and from there, while nobody reads, to its file.

cdef enum:
    GRACE_MS = 10               # of a reader that compares columns

cdef Spill output_spill
cdef bint output_is_kept
cdef char *output_ring
cdef Size output_ring_size          # 0: there was no memory for one
cdef bint in_message                # between the first byte of a message and its last
cdef ErrorData *cut_error           # that came there, in job_context; else NULL
cdef char *deferred                 # notices raised in between, each as MSG_NOTICE with its header
cdef Size deferred_size
cdef Size deferred_capacity
cdef bint deferred_is_written       # just now
cdef bint grace_given               # a reader that looks has had its time to begin
cdef uint64_t stuck_at              # what was consumed when a reader that takes was waited for in vain; else no offset
cdef PQcommMethods messages


cdef inline bint is_output_unwanted(Job *job) noexcept nogil:
    """Submitted, or detached and not being read."""
    return not output_is_kept or (not job.tracked and job.reader == READER_NONE)


cdef void open_output(Job *job) noexcept nogil:
    """Before a job's first statement: its ring, and nothing left of the last job's output."""
    global output_is_kept, output_ring, output_ring_size, grace_given, stuck_at, deferred_size
    grace_given = False
    stuck_at = <uint64_t>-1
    deferred_size = 0
    begin_rows()
    output_is_kept = not job.submitted
    if output_is_kept and job.ring == InvalidDsaPointer:
        take_ring(job)
    output_ring = <char *>address(job.ring)
    output_ring_size = job.ring_size


cdef void close_output() noexcept nogil:
    """The one place that ends a job's output, after success and failure alike."""
    global output_is_kept, deferred_size, deferred_is_written
    output_is_kept = False
    deferred_size = 0
    deferred_is_written = False
    forget_cut()
    close_spill(&output_spill)


cdef inline void wake_reader(Job *job) noexcept nogil:
    """Set the latch of the one that has claimed the output, if any."""
    cdef PGPROC *reader
    # pairs with the reader, which says that it is there before it looks at the offsets
    pg_memory_barrier()
    reader = job.reader_proc
    if reader != NULL:
        SetLatch(proc_latch(reader))


cdef Size room_in_ring(Job *job) noexcept nogil:
    """Bytes that may be written there now. What a reader has pinned stays, though the file may have it too."""
    cdef uint64_t start = ring_start(job)
    cdef uint64_t pinned = pg_atomic_read_u64(&job.pinned)
    cdef uint64_t used
    if pinned != 0 and pinned < start:
        start = pinned
    used = pg_atomic_read_u64(&job.produced) - start
    return output_ring_size - <Size>used if used < output_ring_size else 0


cdef void put_in_ring(Job *job, const char *data, Size size) noexcept nogil:
    """Append what fits for certain."""
    cdef uint64_t produced = pg_atomic_read_u64(&job.produced)
    cdef Size at = <Size>(produced % output_ring_size)
    cdef Size first = output_ring_size - at
    if first > size:
        first = size
    memcpy(output_ring + at, data, first)
    memcpy(output_ring, data + first, size - first)
    # the bytes before the offset that announces them
    pg_write_barrier()
    pg_atomic_write_u64(&job.produced, produced + size)


cdef void put_in_file(Job *job, const char *data, Size size) noexcept nogil:
    """The ring's unread bytes to the file, and after them these, in the ring if they fit it now."""
    cdef uint64_t produced
    check_spill_limits(job, size)
    spill_ring(job, &output_spill)
    if size <= room_in_ring(job):
        put_in_ring(job, data, size)
        return
    produced = pg_atomic_read_u64(&job.produced)
    count_on_disk(job, size)
    write_spill(&output_spill, data, size, produced)
    # `spilled` first: whoever sees these bytes announced must look for them in the file
    pg_atomic_write_u64(&job.spilled, produced + size)
    # and before the next look at what a reader has pinned, which it does before it looks at `spilled`
    pg_memory_barrier()
    pg_atomic_write_u64(&job.produced, produced + size)


cdef void write_stream(const char *data, Size size, bint may_wait) noexcept nogil:
    """Append bytes to the stream. Waits only for a reader that makes room; spills where there is none, or where it has
    made none for deadlock_timeout: it may wait for this very job, as by a check that needs a lock of the job.

    Then it is not waited for again until it goes on. Without `may_wait`, as inside the reporting of a notice, it spills
    rather than waits.
    """
    global stuck_at
    cdef Job *job = my_job
    cdef Size free, piece
    cdef int32_t reader
    while size > 0:
        reader = job.reader
        if is_output_unwanted(job):
            return
        free = room_in_ring(job)
        piece = size if size < free else free
        if piece < size and (output_ring_size == 0 or not (may_wait and does_reader_take(reader))
                             or pg_atomic_read_u64(&job.consumed) == stuck_at):
            if output_ring_size > 0 and may_wait and give_grace(job, size):
                continue
            put_in_file(job, data, size)
            return
        put_in_ring(job, data, piece)
        data += piece
        size -= piece
        if size > 0:
            wake_reader(job)
            if not wait_for_reader(job, reader, DeadlockTimeout):
                stuck_at = pg_atomic_read_u64(&job.consumed)
                put_in_file(job, data, size)
                return


cdef inline bint does_reader_take(int32_t reader) noexcept nogil:
    """Whether it makes room, now or with the row that comes."""
    return reader == READER_READY or reader == READER_READING


cdef bint wait_for_reader(Job *job, int32_t reader, long limit) noexcept nogil:
    """Until this kind of reader has become another, or none, or has made room in the full ring; False when it has not
    for so many milliseconds."""
    cdef TimestampTz start = GetCurrentTimestamp()
    cdef long left = limit
    while left > 0:
        # looked at before each wait: the reader may have made it since the ring was filled
        if job.reader != reader or (does_reader_take(reader) and room_in_ring(job) > 0):
            return True
        # the reader sets this latch each time it has made room
        wait_for_room(left)
        left = limit - TimestampDifferenceMilliseconds(start, GetCurrentTimestamp())
    return False


cdef bint give_grace(Job *job, Size size) noexcept nogil:
    """Once per job, wait for a reader that compares columns: a moment, as most begin at once, and save the file; longer
    where the file would be too large."""
    global grace_given
    if grace_given or job.reader != READER_PEEKING or pg_atomic_read_u32(&job.described) == 0:
        return False
    grace_given = True
    wake_reader(job)
    wait_for_reader(job, READER_PEEKING, GRACE_MS if may_spill(job, size) else DeadlockTimeout)
    return True


cdef void wait_for_room(long timeout) noexcept nogil:
    """Sleep until the latch is set or the time is up; may be cancelled."""
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout, PG_WAIT_EXTENSION)
    ResetLatch(MyLatch)
    CHECK_FOR_INTERRUPTS()


# Notices that can't be written when they come are deferred: in the middle of a message, as a wait for room handles
# interrupts, and these may raise notices; and where an error must not be raised, as in a commit, an abort or while
# another error is handled. What holds interrupts off is taken for that.

cdef void begin_message(uint32_t kind, uint32_t count, Size size, bint may_wait) noexcept nogil:
    """Write a message's header; its bytes follow by write_stream, padded to MAXALIGN, then end_message."""
    global in_message
    cdef MessageHeader header
    if in_message:
        # the job's SQL has caught the error that cut the last message short, but nothing can be told after that one
        ReThrowError(cut_error)
    write_deferred()
    in_message = True
    header.size = <uint32_t>size
    header.kind = kind | (count << MESSAGE_COUNT_SHIFT)
    write_stream(<char *>&header, sizeof(header), may_wait)


cdef bint note_cut(ErrorData *error) noexcept nogil:
    """Keep the first error in the middle of a message, which lies in job_context; False where it is none."""
    global cut_error
    if not in_message or cut_error != NULL or error.elevel != ERROR:
        return False
    cut_error = error
    return True


cdef void forget_cut() noexcept nogil:
    """At the end of a job's output: the next message begins anew."""
    global in_message, cut_error
    in_message = False
    cut_error = NULL


cdef void end_message() noexcept nogil:
    """The message is whole: write what was deferred meanwhile and wake the reader."""
    global in_message
    in_message = False
    write_deferred()
    wake_reader(my_job)


cdef void write_deferred() noexcept nogil:
    """Between two messages. Without waiting; a notice about the writing itself is dropped."""
    global deferred_size, deferred_is_written
    cdef Size size = deferred_size
    if size == 0 or in_message:
        return
    deferred_size = 0
    deferred_is_written = True
    write_stream(deferred, size, False)
    deferred_is_written = False
    wake_reader(my_job)


cdef void defer_notice(const char *data, Size size) noexcept nogil:
    """Never raises: without memory for it, it is dropped."""
    global deferred, deferred_size, deferred_capacity
    cdef MessageHeader header
    cdef Size padded = MAXALIGN(size)
    cdef Size needed = deferred_size + sizeof(header) + padded
    cdef char *larger
    if deferred_is_written:
        return
    if needed > deferred_capacity:
        larger = <char *>MemoryContextAllocExtended(TopMemoryContext, needed * 2,
                                                    MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM)
        if larger == NULL:
            return
        if deferred != NULL:
            memcpy(larger, deferred, deferred_size)
            pfree(deferred)
        deferred = larger
        deferred_capacity = needed * 2
    header.size = <uint32_t>size
    header.kind = MSG_NOTICE
    memcpy(deferred + deferred_size, &header, sizeof(header))
    memcpy(deferred + deferred_size + sizeof(header), data, size)
    memset(deferred + deferred_size + sizeof(header) + size, 0, padded - size)
    deferred_size = needed


cdef void write_message(uint32_t kind, uint32_t count, const char *data, Size size, bint may_wait) noexcept nogil:
    """Write a message, unless nobody wants it; waits and raises as write_stream."""
    cdef uint64_t padding = 0
    if is_output_unwanted(my_job):
        return
    begin_message(kind, count, size, may_wait)
    write_stream(data, size, may_wait)
    write_stream(<char *>&padding, MAXALIGN(size) - size, may_wait)
    end_message()


cdef void note_completion(Job *job, QueryCompletion *completion) noexcept nogil:
    """A statement's tag: as clients get it, for results without rows, and bare beside its count, for who asks."""
    cdef const char *name = GetCommandTagName(completion.commandTag)
    cdef char tag[TAG_BYTES]
    if command_tag_display_rowcount(completion.commandTag):
        snprintf(tag, sizeof(tag), "%s %s%llu", name, <const char *>b"0 " if strcmp(name, "INSERT") == 0
                 else <const char *>b"", <unsigned long long>completion.nprocessed)
    else:
        snprintf(tag, sizeof(tag), b"%s", name)
    flush_rows()
    write_message(MSG_TAG, 0, tag, strlen(tag) + 1, True)
    job.row_count = <int64_t>completion.nprocessed
    snprintf(job.command_tag, TAG_BYTES, b"%s", name)


# ---- what the server itself sends to the client

cdef void message_reset() noexcept nogil:
    """Method for the server: there is no connection to reset."""
    pass


cdef int message_flush() noexcept nogil:
    """Method for the server: messages are written at once."""
    return 0


cdef cbool message_is_pending() noexcept nogil:
    """Method for the server: nothing is ever pending."""
    return False


cdef struct Notice:
    const char *data
    Size size


cdef void write_notice_body(void *arg) noexcept nogil:
    """Write the notice without waiting; raises where it finds no place, for write_notice to catch."""
    cdef Notice *notice = <Notice *>arg
    write_message(MSG_NOTICE, 0, notice.data, notice.size, False)


cdef void write_notice(const char *data, Size size) noexcept nogil:
    """While a message is reported the server calls no callback for the context of an error: it is caught here."""
    cdef Notice notice
    cdef ErrorData *error
    cdef MemoryContext old = MemoryContextSwitchTo(job_context)
    notice.data = data
    notice.size = size
    if in_message:
        ReThrowError(cut_error)
    error = catch_error(write_notice_body, &notice, False)
    MemoryContextSwitchTo(old)
    if error != NULL:
        note_cut(error)
        ReThrowError(error)


cdef int message_put(char kind, const char *data, size_t size) noexcept nogil:
    """Notices go into the stream; errors are told by the job's end; COPY has nobody to talk to."""
    if CritSectionCount > 0:
        # neither an error nor an allocation is allowed here
        return 0
    if kind == c'N' and output_is_kept:
        if in_message or deferred_is_written or are_interrupts_held():
            defer_notice(data, size)
        else:
            write_notice(data, size)
    elif kind == c'G' or kind == c'H' or kind == c'W':
        raise_error(ERRCODE_FEATURE_NOT_SUPPORTED, b"COPY protocol not allowed in pg_background")
    return 0


cdef void message_put_noblock(char kind, const char *data, size_t size) noexcept nogil:
    """Method for the server: what it would send without waiting is for no job."""
    pass


cdef void set_up_messages() noexcept nogil:
    """Once in a worker: what the server sends to its client comes to message_put."""
    global PqCommMethods, whereToSendOutput, FrontendProtocol
    messages.comm_reset = message_reset
    messages.flush = message_flush
    messages.flush_if_writable = message_flush
    messages.is_send_pending = message_is_pending
    messages.putmessage = message_put
    messages.putmessage_noblock = message_put_noblock
    PqCommMethods = &messages
    FrontendProtocol = PG_PROTOCOL_LATEST
    whereToSendOutput = DestRemote
