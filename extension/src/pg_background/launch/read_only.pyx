# Jobs that can only read, whatever their SQL sets or calls: pg_background.read_only at their launch.
#
# The server lets a transaction become one that writes until its first snapshot, and the next one begin as its settings
# say. So such a job has a snapshot before its first statement, and COMMIT in a procedure is an error in it.

cdef bint job_is_read_only          # the one that this process runs


cdef void note_read_only(JobRequest *request) noexcept nogil:
    """Before the job's first transaction; the next job of this process says anew what it is."""
    global job_is_read_only
    job_is_read_only = request.read_only


cdef void prepare_reading() noexcept nogil:
    """Once the launcher's settings are in force, before the first transaction."""
    if job_is_read_only:
        reset_to_reading()


cdef void begin_reading() noexcept nogil:
    """At the start of a transaction of such a job, before anything of the job's own runs in it."""
    global XactReadOnly
    if not job_is_read_only:
        return
    XactReadOnly = True
    # it is not for use: that there was one is what counts
    GetTransactionSnapshot()
    # in a block, even of one statement, procedures end no transaction
    BeginImplicitTransactionBlock()


cdef void end_reading() noexcept nogil:
    """Before its commit."""
    if job_is_read_only:
        EndImplicitTransactionBlock()
