# The temporary file behind a queue. An offset in the file is the offset in the stream of output, so the file
# has holes where output went through the ring alone. The ring is its write buffer: when it is full and nobody
# reads, all of it is written at once and `spilled` moves up; readers take what lies below `spilled` from here.
#
# The name has the shared counter, never a pid: with a reused pid one job's reader would get another's rows.
# PostgreSQL itself removes pgsql_tmp* files that a crash left.

cdef struct Spill:
    File file
    bint is_open


cdef void spill_path(char *path, Oid tablespace, uint64_t number) noexcept nogil:
    """Write the path of a spill file, into MAXPGPATH bytes."""
    cdef char directory[1024]
    TempTablespacePath(directory, tablespace)
    snprintf(path, MAXPGPATH, b"%s/pgsql_tmp_bg%d.%llu", directory, PostmasterPid, <unsigned long long>number)


cdef void remove_spill_file(Oid tablespace, uint64_t number) noexcept nogil:
    """Delete it, if it is there; no error is raised, but one may be logged."""
    cdef char path[1024]
    spill_path(path, tablespace, number)
    PathNameDeleteTemporaryFile(path, False)


cdef Oid choose_tablespace() noexcept nogil:
    """The session's next temp_tablespaces entry, else the database's own or the default one."""
    cdef Oid tablespace
    PrepareTempTablespaces()
    tablespace = GetNextTempTableSpace()
    if tablespace == InvalidOid:
        tablespace = MyDatabaseTableSpace
    return tablespace if tablespace != InvalidOid else DEFAULTTABLESPACE_OID


cdef void open_spill_for_writing(Job *job, Spill *spill) noexcept nogil:
    """Open the job's file, in its worker or mover, and create it where there is none. Takes the lock; raises for the
    file system's errors."""
    cdef char path[1024]
    cdef char directory[1024]
    cdef Oid tablespace
    cdef uint64_t number
    if spill.is_open:
        return
    if job.file_number == 0:
        tablespace = choose_tablespace()
        number = pg_atomic_fetch_add_u64(&registry.last_file, 1) + 1
        # in the entry first: whoever frees the entry removes the file, however this process ends
        lock_registry()
        job.file_tablespace = tablespace
        job.file_number = number
        unlock_registry()
        TempTablespacePath(directory, tablespace)
        PathNameCreateTemporaryDir(directory, directory)
    debug_point("spill_before_create")
    spill_path(path, job.file_tablespace, job.file_number)
    spill.file = PathNameOpenFile(path, O_RDWR | O_CREAT | PG_BINARY)
    if spill.file < 0:
        raise_file_error(b"could not create temporary file \"%s\": %m", path)
    spill.is_open = True


cdef bint open_spill_for_reading(Job *job, Spill *spill) noexcept nogil:
    """Open the job's file, in its reader; raises where it cannot be opened."""
    cdef char path[1024]
    if not spill.is_open:
        spill_path(path, job.file_tablespace, job.file_number)
        spill.file = PathNameOpenFile(path, O_RDONLY | PG_BINARY)
        if spill.file < 0:
            raise_file_error(b"could not open temporary file \"%s\": %m", path)
        spill.is_open = True
    return True


cdef void close_spill(Spill *spill) noexcept nogil:
    """Never raises."""
    if spill.is_open:
        spill.is_open = False
        FileClose(spill.file)


cdef void write_spill(Spill *spill, const char *data, Size size, uint64_t offset) noexcept nogil:
    """Write all of it at that offset; raises for the file system's errors, as a full disk."""
    cdef long written
    cdef Size piece
    while size > 0:
        piece = size if size < 1048576 else 1048576
        written = FileWrite(spill.file, <char *>data, piece, <off_t>offset, PG_WAIT_EXTENSION)
        if written <= 0:
            raise_file_error(b"could not write to temporary file: %m")
        data += written
        offset += written
        size -= written


cdef Size read_spill(Spill *spill, char *data, Size size, uint64_t offset) noexcept nogil:
    """Read up to so many bytes at that offset and return how many; raises where there are none."""
    cdef long got = FileRead(spill.file, data, size, <off_t>offset, PG_WAIT_EXTENSION)
    if got <= 0:
        raise_file_error(b"could not read from temporary file: %m")
    return <Size>got


cdef Size unread_in_ring(Job *job) noexcept nogil:
    """Bytes that only the ring holds; called by the worker, or by the mover of a final job."""
    cdef uint64_t start = ring_start(job)
    return <Size>(pg_atomic_read_u64(&job.produced) - start)


cdef inline uint64_t ring_start(Job *job) noexcept nogil:
    """Offset of the oldest byte that only the ring holds."""
    cdef uint64_t consumed = pg_atomic_read_u64(&job.consumed)
    cdef uint64_t spilled = pg_atomic_read_u64(&job.spilled)
    return consumed if consumed > spilled else spilled


cdef inline bint is_within(Job *job, Size more, int limit_kb) noexcept nogil:
    """Whether unread output with so many bytes more is no larger."""
    return (pg_atomic_read_u64(&job.produced) - pg_atomic_read_u64(&job.consumed) + more) <= <uint64_t>limit_kb * 1024


cdef inline bint does_role_fit(Job *job, uint64_t more) noexcept nogil:
    """Whether so many bytes more on disk keep the job's role within its limit."""
    return (job.role_limits.result_size == 0
            or pg_atomic_read_u64(&role_usage(job).file_bytes) + more <= <uint64_t>job.role_limits.result_size * 1024)


cdef inline bint does_total_fit(Job *job, uint64_t more) noexcept nogil:
    return pg_atomic_read_u64(&registry.file_bytes) + more <= most_file_bytes(job.may_take_reserve)


cdef inline bint may_spill(Job *job, Size more) noexcept nogil:
    """Whether so many bytes more stay within the limits for files."""
    cdef uint64_t written = unread_in_ring(job) + more
    return (is_within(job, more, setting_max_result_size)
            and (temp_file_limit < 0 or is_within(job, more, temp_file_limit))
            and does_role_fit(job, written) and does_total_fit(job, written))


cdef void count_on_disk(Job *job, uint64_t size) noexcept nogil:
    """Before they are written, so that many who write at once see each other. They count until the file is removed,
    as they take their place there when they have been read."""
    job.file_bytes += size
    pg_atomic_fetch_add_u64(&role_usage(job).file_bytes, size)
    pg_atomic_fetch_add_u64(&registry.file_bytes, size)


cdef void check_spill_limits(Job *job, Size more) noexcept nogil:
    """Raise 53400 before unread output on disk passes a limit; temp_file_limit itself sees open files only."""
    cdef uint64_t written = unread_in_ring(job) + more
    if may_spill(job, more):
        return
    if not does_role_fit(job, written):
        raise_with_hint(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                        b"Read or detach finished jobs, or have a superuser increase "
                        b"pg_background.max_role_result_size.",
                        b"unread results of the role exceed pg_background.max_role_result_size (%dkB)",
                        job.role_limits.result_size)
    if not does_total_fit(job, written):
        raise_with_hint(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                        b"Read or detach finished jobs, or increase pg_background.max_total_result_size.",
                        b"unread results of all jobs exceed pg_background.max_total_result_size (%dkB)",
                        setting_max_total_result_size)
    if not is_within(job, more, setting_max_result_size):
        raise_with_hint(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                        b"Begin to read before the rows come, so that they need no file, or increase "
                        b"pg_background.max_result_size.",
                        b"unread result exceeds pg_background.max_result_size (%dkB)", setting_max_result_size)
    raise_with_hint(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                    b"Begin to read before the rows come, so that they need no file, or have temp_file_limit "
                    b"increased.",
                    b"temporary file size exceeds temp_file_limit (%dkB)", temp_file_limit)


cdef void spill_ring(Job *job, Spill *spill) noexcept nogil:
    """Write all unread bytes of the ring to the file; the ring is empty then."""
    cdef uint64_t produced = pg_atomic_read_u64(&job.produced)
    cdef uint64_t start = ring_start(job)
    cdef char *ring = <char *>address(job.ring)
    cdef Size at, piece
    open_spill_for_writing(job, spill)
    count_on_disk(job, produced - start)
    while start < produced:
        at = <Size>(start % job.ring_size)
        piece = job.ring_size - at
        if piece > produced - start:
            piece = <Size>(produced - start)
        write_spill(spill, ring + at, piece, start)
        start += piece
    # readers must find the bytes in the file before the ring's are overwritten
    pg_write_barrier()
    pg_atomic_write_u64(&job.spilled, produced)
    pg_memory_barrier()
