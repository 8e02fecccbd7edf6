"""The shape of the shared memory: one registry of jobs, workers and sessions, and each job's memory.

Each field names who writes it: [L] the launcher, [W] the job's worker, [R] the one reader of its output,
[B] any of them. What changes without the registry's lock besides the atomics is in pg_background/shared/README.md.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from pg.base cimport cbool, Oid, TimestampTz
from pg.session cimport NAMEDATALEN, SockAddr
from pg.shared cimport ConditionVariable, dsa_pointer, LWLock, PGPROC, pg_atomic_uint32, pg_atomic_uint64

cdef enum:
    LABEL_CHARS = 64
    LABEL_BYTES = 257           # 64 characters, which in no encoding have more than four bytes, and the end
    PREVIEW_CHARS = 120
    PREVIEW_BYTES = 481
    MESSAGE_BYTES = 512         # the first part of an error's message, for list()
    PROGRESS_BYTES = 256
    TAG_BYTES = 64              # COMPLETION_TAG_BUFSIZE

    MIN_QUEUE_SIZE = 64
    MAX_QUEUE_SIZE = 268435456
    MAX_RING_SIZE = 1048576     # above it the page cache is as fast: the rest of a larger queue is its spill file

    MAX_GRACE_MS = 3600000
    EVICT_MS = 1000             # how long a launch waits for an idle worker to leave
    CHECKIN_MS = 60000          # a process that has not come by then never will
    AHEAD_REQUESTS = 8
    ERROR_TEXTS = 10
    TOTALS_SIZE = 256           # the last one takes what there is no room for elsewhere
    HISTOGRAM_BOUNDS = 16       # as many as shim/resources.h has
    WAIT_KINDS = 16             # wait events that are told apart for one job
    TRACE_BYTES = 56            # 00-<32 digits>-<16 digits>-<2 digits>, and the end

cdef enum Resource:
    # what a job takes of the server, each a sum: times in microseconds, blocks and bytes
    CPU_USER = 0
    CPU_SYSTEM
    SHARED_BLKS_HIT
    SHARED_BLKS_READ
    SHARED_BLKS_DIRTIED
    SHARED_BLKS_WRITTEN
    TEMP_BLKS_READ
    TEMP_BLKS_WRITTEN
    BLK_READ_TIME
    BLK_WRITE_TIME
    WAL_RECORDS
    WAL_FPI
    WAL_BYTES
    RESOURCES

cdef enum JobState:
    JOB_QUEUED = 0              # waits for a worker
    JOB_STARTING                # given to a worker
    JOB_RUNNING
    JOB_STOPPED                 # succeeded; this and all after it are final
    JOB_ERROR
    JOB_CANCELED
    JOB_TIMED_OUT
    JOB_LOST                    # its process died
    JOB_STATES                  # how many there are

cdef enum HistoryState:
    HISTORY_NONE = 0            # not to be written, or written
    HISTORY_DUE                 # has ended, and is to be written
    HISTORY_TAKEN               # by the process that writes

cdef enum ReaderKind:
    READER_NONE = 0
    READER_PEEKING              # reads up to the columns, has taken nothing yet
    READER_READY                # takes what comes, from the first row's first byte on; has taken nothing yet
    READER_READING              # takes rows: they are gone from here
    READER_MOVING               # moves the queue of a finished job to its file

cdef enum WorkerState:
    WORKER_FREE = 0             # no process
    WORKER_STARTING             # registered with the postmaster, or come up and reserved by its starter
    WORKER_IDLE
    WORKER_ASSIGNED             # has a job that it has not begun
    WORKER_RUNNING
    WORKER_RESETTING            # its job is over; may be given the next one already
    WORKER_LEAVING              # was asked to exit

cdef struct Identity:
    # Whose a job is. A process runs jobs of one identity only: connections, libraries and whatever else a reset cannot
    # take away must not reach another.
    Oid database
    Oid login                   # authenticated user: who the process connects as
    Oid session_user
    Oid user                    # current user at the launch point
    int32_t security_context    # there: not 0 in a SECURITY DEFINER function
    cbool is_away               # launched from another database
    uint64_t system_user        # hash of SYSTEM_USER, which a process takes on once and for all; 0: NULL

cdef struct Limits:
    # of a role or database, 0: none
    int32_t jobs
    int32_t workers
    int32_t memory              # in kB
    int32_t result_size         # in kB

cdef enum:
    CHAINS = 3

cdef struct Chain:
    # finished jobs whose memory others may take, from the oldest on; -1: none
    int32_t first
    int32_t last

cdef struct Link:
    # -1: none
    int32_t next
    int32_t previous

cdef struct Usage:
    # What a login role, or a database, takes of what all share. It is there while an entry, or a wait for several jobs,
    # names it. [B]
    Oid owner                   # the role or database
    cbool is_database
    int32_t next_in_bucket      # or in the free list
    int32_t holders             # entries, history too, and waits that name it
    int32_t jobs                # entries that are not history
    int32_t running             # ... of those that have a worker, or whose launch looks for one
    int32_t queued
    int64_t memory              # bytes of the shared area
    int32_t due                 # of databases: jobs that are to be written to the history
    Chain due_chain             # ... the oldest first
    pg_atomic_uint64 file_bytes     # on disk
    Limits limits               # of its last launch
    # of databases only
    cbool stalls                # roles are stalled by its limit
    # of roles only
    int32_t first_group         # of its queued jobs, or -1; the groups are in the order of their first jobs
    int32_t last_group
    cbool is_stalled            # none of them may begin, until something is counted off that they wait for
    Chain chains[CHAINS]        # by kind, shared/memory.pyx
    int32_t waiting_launches    # that have found no place
    int32_t next_in_need        # in the list of the roles with either, or -1
    int32_t previous_in_need
    uint64_t turn               # when a job of it last got a worker, counted over all

cdef struct WaitCount:
    uint32_t event              # as the server numbers them; 0: none, the process ran or wanted to
    uint32_t samples

cdef enum:
    OTHER_WAITS = 0xffffffff    # in the last place, what there was no other for

cdef struct Job:
    # An entry of the registry. Only one that is free, or the oldest of the history, gets another job:
    #
    #   free        in the free list; no cookie, worker, reader, watch or memory
    #   live        not final: in the backlog if it is queued, else a worker has it or its launch looks for one
    #   kept        final, and somebody may come for its output (tracked and not submitted) or is there (reader)
    #   history     final, in the history; no reader, and no memory once it is not tracked
    #
    # So, of those who have to do with a job:
    # - Its reader or mover (reader, reader_proc) keeps the entry and its memory. The job may end, be detached or be
    #   given up by its launch meanwhile; the entry becomes history when the claim ends. One that is claimed is never
    #   made free.
    # - Its worker keeps the entry until the job is final, and the other way round: the two name each other.
    # - Its watches are emptied, and the watchers woken, by its end, or when it is made free before that.
    # - All others have a pointer and the cookie, and compare the cookie under the lock before they act: who waits, has
    #   looked it up, cancels it, or copies its memory piece by piece. Another cookie means that the job has ended.
    #
    # In builds for servers that check assertions shared/checks.pyx looks whether that is so, after each change.
    uint64_t cookie             # [L] 0 while the entry is free
    int32_t next_in_bucket      # [L] the next one whose cookie ends in the same bits
    int32_t next                # [B] in the free list, the history, or its line of the backlog, which is a circle
    int32_t previous            # [B] in its line
    cbool leads_line            # [B] the first of its line
    int32_t next_line           # [B] of the first of a line: the first of another line of its group, which is a circle
    int32_t previous_line       # [B]
    cbool leads_group           # [B] the first of its group
    int32_t next_group          # [B] of the first of a group: the first of another group of the role, or -1
    int32_t previous_group      # [B]
    int32_t next_group_in_bucket    # [B] ... of another group whose session's number ends in the same bits
    uint64_t queued_as          # [B] which of all that have ever been queued
    cbool wants_place           # [L] its launch has found none, and waits for one
    int32_t pid                 # [L] as in the handle: of the worker, or minus the entry's number if it was queued
    int32_t state               # [B] JobState
    cbool submitted             # [L] rows and notices are dropped at source
    cbool discards_rows         # [L] rows are dropped at source, notices kept
    cbool tracked               # [B] false once consumed or detached
    cbool was_read              # [R] rows were taken from here
    cbool in_history            # [B] the entry may be reused
    cbool canceled              # [B] a cancel was asked for
    cbool overdue               # [L] ... as the time that its caller gave it was up
    int32_t worker              # [B] -1 unless one has it
    int32_t session             # [L] the launching session's place
    int32_t next_of_session     # [B] of the tracked jobs of a session that is there, or -1
    int32_t previous_of_session     # [B]
    uint64_t session_id         # [L]
    int32_t session_limit       # [L] pg_background.max_workers at the launch, for a job in the backlog
    int32_t role_usage          # [L] index of what its login role uses
    int32_t database_usage      # [L] ... and its database
    Limits role_limits          # [L] as they were at the launch
    Limits database_limits      # [L] ... jobs and workers only
    cbool may_take_reserve      # [L] of entries, workers and memory
    Identity identity           # [L]
    int32_t encoding            # [L] of its database, and so of all text in this entry and its memory
    cbool is_hidden             # [L] its SQL is not for those who see what its process does
    cbool needs_fresh           # [B] a process that has begun no job yet
    uint64_t settings           # [L] hash of its settings
    uint64_t placeholders       # [L] digest of those among them that no library defines
    int32_t temp_buffers        # [L]
    int32_t totals              # [L] index of what it is counted in
    int32_t queue_size          # [L]
    TimestampTz launched_at     # [L]
    TimestampTz started_at      # [W]
    TimestampTz finished_at     # [W]
    TimestampTz orphaned_at     # [B] when its session was gone and its result unread; 0: not so
    ConditionVariable changed   # broadcast at the end and when a reader lets go
    int32_t chain               # [B] its kind
    Link links[3]               # [B] in the chain of all, of its role, and of its database's history
    dsa_pointer watches         # [B] first in the list of those to be told the end
    cbool keeps_history         # [L] by the setting at its launch; [W] where its database is another
    int32_t history             # [B] HistoryState
    int32_t history_failures    # how often it could not be written

    # memory
    dsa_pointer request         # [L] JobRequest
    dsa_pointer error           # [W] JobError
    dsa_pointer ring            # [L] the queue's bytes; [W] where the launch took none
    uint32_t request_size       # [L]
    uint32_t error_size         # [W]
    uint32_t ring_size          # [L] [W]

    # the stream of output: absolute offsets, only ever growing
    pg_atomic_uint64 produced   # [W] end of the stream
    pg_atomic_uint64 consumed   # [R] all before it may be overwritten
    pg_atomic_uint64 spilled    # [W] all before it that is unread is in the file, the rest in the ring
    pg_atomic_uint64 pinned     # [R] offset of rows that are read where they lie in the ring; 0: none
    pg_atomic_uint32 described  # [W] the row description is in the stream
    int32_t reader              # [B] ReaderKind
    PGPROC *reader_proc         # [B]
    uint64_t file_number        # [W] 0: no spill file
    Oid file_tablespace         # [W]
    uint64_t file_bytes         # [W] on disk, as counted in what its role uses

    # outcome
    int64_t row_count           # [W]
    int32_t sqlstate            # [W] 0: none
    int64_t resources[RESOURCES]    # [W]
    int32_t wait_kinds          # how many of these there are; the keeper alone counts, under the lock shared
    WaitCount waits[WAIT_KINDS]
    char command_tag[TAG_BYTES]  # [W] of the last statement, without its count
    char message[MESSAGE_BYTES]  # [W]

    # progress, written by the worker between two increments of the version
    pg_atomic_uint32 progress_version
    int32_t progress_pct        # -1: nothing reported
    cbool progress_has_text
    char progress_text[PROGRESS_BYTES]

    char traceparent[TRACE_BYTES]   # [L] empty: none
    char label[LABEL_BYTES]     # [L] empty: none
    char preview[PREVIEW_BYTES]  # [L]

cdef struct Worker:
    int32_t state               # WorkerState
    uint32_t generation         # counts the processes that had this place
    int32_t pid                 # [W] 0 until the process has checked in
    PGPROC *proc                # [W]
    PGPROC *starter             # [L] whom to wake at check-in
    int32_t reserved_for        # [L] place of the session that starts it for its own job, or -1
    Identity identity           # [L]
    cbool is_fresh              # [W] has begun no job yet
    uint64_t settings           # [W] hash of the settings in force
    uint64_t placeholders       # [W] digest of the settings that are known here for its jobs alone; 0: none is
    int32_t temp_buffers        # [W] what these are fixed at since a job has used a temporary table; 0: not yet
    int32_t job                 # [B] entry of the assigned or running job, or -1
    uint64_t cookie             # [B] that job's
    uint64_t cancel_cookie      # [B] the job that SIGUSR2 is meant to cancel
    uint64_t terminate_cookie   # [B] the job that SIGUSR2 is meant to end with its process
    TimestampTz since           # [B] when the state began
    TimestampTz serves_since    # [B] when it got its first job

cdef struct Session:
    uint64_t id                 # 0: none
    int32_t active              # jobs launched and not finished
    int32_t tracked             # those that are tracked
    int32_t first_job           # ... the oldest, or -1
    int32_t last_job
    int64_t launched
    int64_t completed
    int64_t failed
    int64_t canceled
    int64_t timed_out
    double execution_ms         # of finished jobs, from their own start to their own end
    int64_t executed            # how many that is
    uint64_t waits_for          # cookie of the job that this session waits for, or 0
    int32_t waits_for_job
    dsa_pointer watches         # Watch[watch_count]: jobs that this session waits for together
    int32_t watch_count         # 0 while they are not all entered: nobody is to think that it waits for a part of them
    cbool waits_for_all         # ... for the end of all of them, else of any
    int32_t pid
    int64_t global_pid          # among the nodes of a cluster, once it has looked at them; else 0

cdef struct Histogram:
    # how many took longer than the bound before, and not longer than this one; the last one has no bound
    int64_t jobs[HISTOGRAM_BOUNDS + 1]

cdef struct Totals:
    # of all jobs of one database and role since the registry was made
    Oid database                # InvalidOid, and so the role: what found no room of its own
    Oid user
    int64_t launched
    int64_t ended[JOB_STATES]   # by JobState
    double execution_ms
    double queue_ms             # from launch to start
    int64_t resources[RESOURCES]
    Histogram queue_wait        # of those that have begun, as queue_ms
    Histogram run
    TimestampTz last_launch

cdef enum:
    WATCH_UNUSED = -1
    WATCH_ENDED = -2            # the end was told

cdef struct Watch:
    # one of several jobs that a session waits for, in the list of that job
    dsa_pointer next
    dsa_pointer previous
    uint64_t cookie
    int32_t job                 # entry, WATCH_UNUSED or WATCH_ENDED
    PGPROC *waiter

cdef struct Registry:
    LWLock *lock
    int32_t jobs_size
    int32_t workers_size
    int32_t sessions_size
    Job *jobs
    Worker *workers
    Session *sessions
    int32_t usages_size
    Usage *usages
    int32_t *usage_buckets      # by owner: the first of those that belong there, or -1
    uint64_t usage_mask
    int32_t free_usage          # -1: empty
    int32_t first_in_need       # of the roles with queued jobs or launches that wait, -1: none
    int32_t used_jobs           # entries that are neither free nor history
    uint64_t turns              # given so far
    uint64_t *cookies           # of jobs, side by side: to go through all of them is to read these
    int32_t *buckets            # by the last bits of a cookie: the first entry whose cookie ends in them, or -1
    int32_t *group_buckets      # by those of a session's number: the first of a group of its queued jobs, or -1
    uint64_t bucket_mask
    void *area
    dsa_pointer reserve         # a piece of it that is freed for who may take the reserve and finds no room else
    int tranche
    PGPROC *keeper
    cbool draining              # launches are refused until resume_server
    int32_t free_head           # -1: empty
    int32_t history_head        # oldest
    int32_t history_tail
    Chain chains[CHAINS]        # by kind, shared/memory.pyx
    int32_t backlog_size        # queued jobs
    uint64_t backlog_joined     # ... so far
    int32_t backlog_unserved    # 1: the keeper has last found no place for one of them
    cbool is_sampling           # the keeper looks what jobs wait for, or has been woken to do that
    cbool has_orphans           # some are new, or ended, since the keeper last looked at all entries
    int32_t due_count           # jobs that are to be written to the history
    int64_t due_missed          # ... and whose entries were needed for others before that
    cbool is_writer_wanted      # the keeper has been woken for them
    uint64_t writers_done       # that have ended well, so far
    PGPROC *writer              # the process that writes, or NULL
    Oid writer_database
    cbool writer_sleeps         # until it is woken
    cbool writer_leaves         # is to end, as its database is to be dropped or copied
    TimestampTz backlog_pause   # no process is started for them before
    int32_t live_workers        # places that are not WORKER_FREE
    int32_t databases           # that accept connections, as the last new session has seen
    int32_t ahead_count
    Identity ahead[AHEAD_REQUESTS]
    Totals totals[TOTALS_SIZE]
    TimestampTz since           # when the counting began
    TimestampTz last_exit       # of a worker: its process may still hold a slot of the postmaster
    ConditionVariable worker_left
    pg_atomic_uint64 last_session
    pg_atomic_uint64 last_file
    pg_atomic_uint64 area_bytes
    pg_atomic_uint64 file_bytes     # unread output of all jobs on disk

cdef struct JobRequest:
    # followed by the settings, the libraries, the SQL text with a NUL, the parameters: of each its length, -1 for a
    # NULL, and its text with a NUL; and how the launching session's user was authenticated
    uint32_t settings_size
    uint32_t libraries_size
    uint32_t sql_size
    uint32_t parameters_size
    uint32_t system_user_size   # 0: SYSTEM_USER is NULL
    int32_t parameters          # how many; -1: none were given, and the SQL may be several statements
    cbool each_statement        # is a transaction of its own
    cbool read_only             # it can't write, whatever it sets, nor launch a job that can
    int32_t worker_timeout      # of the launch point, in ms; 0: none
    Oid role                    # as of SET ROLE
    char application_name[NAMEDATALEN]
    char notify_channel[NAMEDATALEN]
    SockAddr client             # of the launching session

cdef struct JobError:
    # followed by the texts in the order of the lengths, each with a NUL; a length of -1 is a NULL
    int32_t cursorpos
    int32_t internalpos
    int32_t length[ERROR_TEXTS]

cdef struct Garbage:
    # what an entry gave up under the lock, to be freed after it
    dsa_pointer request
    dsa_pointer error
    dsa_pointer ring
    uint32_t bytes              # of the area, as they were counted
    uint32_t error_size
    uint64_t file_number
    Oid file_tablespace

cdef struct MessageHeader:
    # of one message in the stream of output
    uint32_t size               # of what follows
    uint32_t kind               # MessageKind in the low byte, a count above it

cdef enum:
    MESSAGE_KIND_MASK = 0xff
    MESSAGE_COUNT_SHIFT = 8

cdef enum MessageKind:
    MSG_COLUMNS = 1             # the row description: WireColumn[count], then the shapes that they name
    MSG_ROWS                    # minimal tuples, each padded to MAXALIGN
    MSG_NOTICE                  # a NoticeResponse in the protocol's form
    MSG_TAG                     # a command tag with its NUL
    MSG_SHAPE                   # of anonymous records that follow, which bear its number: the count

cdef struct WireColumn:
    Oid type                    # as the statement gives it
    Oid wire_type               # of the value as it travels
    int32_t typmod              # ... and its typmod
    uint32_t shape              # where in the message, PackedShape; 0: none is needed
    char name[NAMEDATALEN]
