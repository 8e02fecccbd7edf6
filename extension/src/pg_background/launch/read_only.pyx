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


cdef bint explains_creation(Node *statement) noexcept nogil:
    """Whether it is EXPLAIN ANALYZE of CREATE TABLE AS, SELECT INTO or a materialized view."""
    cdef ExplainStmt *explain = <ExplainStmt *>statement
    cdef Node *explained
    cdef DefElem *option
    cdef bint runs = False
    cdef int i
    if nodeTag(statement) != T_ExplainStmt:
        return False
    explained = (<Query *>explain.query).utilityStmt
    if explained == NULL or nodeTag(explained) != T_CreateTableAsStmt:
        return False
    for i in range(list_length(explain.options)):
        option = <DefElem *>list_nth(explain.options, i)
        if strcmp(option.defname, b"analyze") == 0:
            # the last one counts
            runs = defGetBoolean(option)
    return runs


cdef void refuse_unseen_write(Node *statement) noexcept nogil:
    """The one that the server itself lets pass where it refuses all others: it creates what it explains."""
    if job_is_read_only and explains_creation(statement):
        PreventCommandIfReadOnly(b"EXPLAIN ANALYZE CREATE TABLE AS")
