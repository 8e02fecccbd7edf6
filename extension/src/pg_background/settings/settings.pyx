# The pg_background.* settings. Their defaults are set where they are defined, never by an initialiser.

cdef cbool is_channel(char **value, void **extra, GucSource source) noexcept nogil:
    """Check hook: NOTIFY takes no longer names."""
    return strlen(value[0]) < NAMEDATALEN


cdef inline bint is_hex_digit(char c) noexcept nogil:
    return c'0' <= c <= c'9' or c'a' <= c <= c'f'


cdef cbool is_traceparent(char **value, void **extra, GucSource source) noexcept nogil:
    """Check hook: as W3C's Trace Context has it in version 00, where no trace and no span is all zeros; or empty."""
    cdef const char *form = b"00-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff"
    cdef const char *text = value[0]
    cdef int32_t trace = 0
    cdef int32_t parent = 0
    cdef int i
    if text[0] == 0:
        return True
    if strlen(text) != strlen(form):
        return False
    for i in range(<int>strlen(form)):
        if form[i] == c'0' or form[i] == c'-':
            if text[i] != form[i]:
                return False
        elif not is_hex_digit(text[i]):
            return False
        trace |= form[i] == c't' and text[i] != c'0'
        parent |= form[i] == c'p' and text[i] != c'0'
    return trace and parent


cdef int setting_max_workers
cdef int setting_default_queue_size
cdef int setting_worker_timeout
cdef int setting_max_total_workers
cdef int setting_worker_idle_timeout
cdef int setting_yield_time
cdef int setting_max_jobs
cdef int setting_job_memory
cdef int setting_result_retention
cdef int setting_max_result_size
cdef int setting_max_total_result_size
cdef int setting_reserved_jobs
cdef int setting_reserved_workers
cdef int setting_max_role_jobs
cdef int setting_max_role_workers
cdef int setting_max_role_memory
cdef int setting_max_role_result_size
cdef int setting_max_database_jobs
cdef int setting_max_database_workers
cdef char *setting_notify_channel
cdef cbool setting_read_only
cdef char *setting_traceparent
cdef int setting_wait_sampling
cdef cbool setting_history
cdef int setting_history_retention
cdef cbool setting_jobs_from_other_databases
cdef char *setting_library_version

# what the server's configuration says, without what a database, role or session has set
cdef cbool server_jobs_from_other_databases
cdef cbool server_history
cdef int server_max_database_jobs
cdef int server_max_database_workers


cdef void define_setting(const char *name, const char *description, const char *more, int *variable,
                         int default, int least, int most, int context, int unit) noexcept nogil:
    """Define one of int."""
    DefineCustomIntVariable(name, description, more, variable, default, least, most, context, unit, NULL, NULL, NULL)


cdef void define_settings() noexcept nogil:
    """Called by _PG_init; reserves the prefix."""
    define_setting("pg_background.max_workers",
                   "Jobs of one session that may run at once.", NULL,
                   &setting_max_workers, 16, 1, 1000, PGC_USERSET, 0)
    define_setting("pg_background.default_queue_size",
                   "Size of a job's queue when the launch gives none.",
                   "Output beyond it goes to a temporary file while nobody reads.",
                   &setting_default_queue_size, 65536, MIN_QUEUE_SIZE, MAX_QUEUE_SIZE, PGC_USERSET, GUC_UNIT_BYTE)
    define_setting("pg_background.worker_timeout",
                   "Longest run time of a job; 0 means no limit.", NULL,
                   &setting_worker_timeout, 0, 0, 2147483647, PGC_USERSET, GUC_UNIT_MS)
    define_setting("pg_background.max_total_workers",
                   "Worker processes of the whole server; 0 means max_worker_processes minus what others need.",
                   "The rest of max_worker_processes stays for parallel query and replication.",
                   &setting_max_total_workers, 0, 0, 262143, PGC_SIGHUP, 0)
    define_setting("pg_background.worker_idle_timeout",
                   "How long an idle worker waits for its next job; 0 starts a fresh process for each job.", NULL,
                   &setting_worker_idle_timeout, 3000, 0, 2147483647, PGC_SIGHUP, GUC_UNIT_MS)
    define_setting("pg_background.yield_time",
                   "Microseconds that a process yields its core before it sleeps, if its last wait was as short.",
                   "Short jobs begin and end sooner. Where other processes want the core it is left out for a while.",
                   &setting_yield_time, 100, 0, 1000, PGC_SIGHUP, 0)
    define_setting("pg_background.max_jobs",
                   "Jobs that the whole server can track.", NULL,
                   &setting_max_jobs, 1024, 16, 1000000, PGC_POSTMASTER, 0)
    define_setting("pg_background.job_memory",
                   "Shared memory for the SQL, settings, queues and errors of jobs.", NULL,
                   &setting_job_memory, 32768, 4096, 2147483647, PGC_POSTMASTER, GUC_UNIT_KB)
    define_setting("pg_background.result_retention",
                   "How long an unread result outlives the session that launched it.", NULL,
                   &setting_result_retention, 3600, 0, 2147483647, PGC_SIGHUP, GUC_UNIT_S)
    define_setting("pg_background.max_result_size",
                   "Unread output that one job may have on disk.", NULL,
                   &setting_max_result_size, 1048576, 64, 2147483647, PGC_SIGHUP, GUC_UNIT_KB)
    define_limits()
    DefineCustomStringVariable("pg_background.notify_channel",
                               "Channel on which the end of each job is notified; empty for none.",
                               "The payload is the pid of the job's handle.",
                               &setting_notify_channel, b"", PGC_USERSET, 0, is_channel, NULL, NULL)
    DefineCustomBoolVariable("pg_background.read_only",
                             "Whether jobs can only read.",
                             "A job that is launched with it can't take it back, nor launch one that writes.",
                             &setting_read_only, False, PGC_USERSET, 0, NULL, NULL, NULL)
    DefineCustomStringVariable("pg_background.traceparent",
                               "The trace that jobs belong to, as W3C's Trace Context writes it; empty for none.",
                               "A job has that of its launch.",
                               &setting_traceparent, b"", PGC_USERSET, 0, is_traceparent, NULL, NULL)
    define_setting("pg_background.wait_sampling",
                   "Time between two looks at what running jobs wait for; 0 looks never.", NULL,
                   &setting_wait_sampling, 100, 0, 3600000, PGC_SIGHUP, GUC_UNIT_MS)
    DefineCustomBoolVariable("pg_background.history",
                             "Whether jobs that have ended are written to the history of their database.", NULL,
                             &setting_history, False, PGC_SUSET, 0, note_server_history, NULL, NULL)
    define_setting("pg_background.history_retention",
                   "How long they stay there; -1 means for ever.",
                   "It is for the configuration, or for ALTER DATABASE.",
                   &setting_history_retention, 604800, -1, 2147483647, PGC_SUSET, GUC_UNIT_S)
    DefineCustomBoolVariable("pg_background.jobs_from_other_databases",
                             "Whether sessions of other databases may run jobs in this one.",
                             "It is for ALTER DATABASE on the database in which they would run.",
                             &setting_jobs_from_other_databases, False, PGC_SUSET, 0, note_server_value, NULL, NULL)
    DefineCustomStringVariable("pg_background.library_version",
                               "The newest version of the extension that the server's library knows.",
                               "Where the extension has another, ALTER EXTENSION UPDATE or a restart is due.",
                               &setting_library_version, catalogue_version(), PGC_INTERNAL,
                               GUC_DISALLOW_IN_FILE, NULL, NULL, NULL)
    MarkGUCPrefixReserved("pg_background")


cdef void define_limits() noexcept nogil:
    """What keeps one role, or one database, from taking all that all share."""
    define_setting("pg_background.max_total_result_size",
                   "Unread output that all jobs together may have on disk.", NULL,
                   &setting_max_total_result_size, 16777216, 64, 2147483647, PGC_SIGHUP, GUC_UNIT_KB)
    define_setting("pg_background.reserved_jobs",
                   "Jobs of max_jobs that are for superusers and roles with privileges of pg_use_reserved_connections.",
                   "A like share of job_memory and of max_total_result_size is reserved with them.",
                   &setting_reserved_jobs, 16, 0, 1000000, PGC_SIGHUP, 0)
    define_setting("pg_background.reserved_workers",
                   "Worker processes that are for superusers and roles with privileges of "
                   "pg_use_reserved_connections.", NULL,
                   &setting_reserved_workers, 1, 0, 262143, PGC_SIGHUP, 0)
    define_setting("pg_background.max_role_jobs",
                   "Jobs that the server tracks for one login role; 0 means no limit.", NULL,
                   &setting_max_role_jobs, 0, 0, 1000000, PGC_SUSET, 0)
    define_setting("pg_background.max_role_workers",
                   "Jobs of one login role that may run at once; 0 means no limit.", NULL,
                   &setting_max_role_workers, 0, 0, 262143, PGC_SUSET, 0)
    define_setting("pg_background.max_role_memory",
                   "Job memory that one login role may take; 0 means no limit.", NULL,
                   &setting_max_role_memory, 0, 0, 2147483647, PGC_SUSET, GUC_UNIT_KB)
    define_setting("pg_background.max_role_result_size",
                   "Unread output that the jobs of one login role may have on disk; 0 means no limit.", NULL,
                   &setting_max_role_result_size, 0, 0, 2147483647, PGC_SUSET, GUC_UNIT_KB)
    DefineCustomIntVariable("pg_background.max_database_jobs",
                            "Jobs that the server tracks in one database; 0 means no limit.", NULL,
                            &setting_max_database_jobs, 0, 0, 1000000, PGC_SUSET, 0,
                            note_server_database_jobs, NULL, NULL)
    DefineCustomIntVariable("pg_background.max_database_workers",
                            "Jobs that may run at once in one database; 0 means no limit.", NULL,
                            &setting_max_database_workers, 0, 0, 262143, PGC_SUSET, 0,
                            note_server_database_workers, NULL, NULL)


cdef inline bint is_of_server(int source) noexcept nogil:
    """Whether a value comes from the server's configuration: a check comes also where another setting is stronger. What
    restores a launcher's settings goes by way of the default."""
    return source <= PGC_S_ARGV and not is_half_taken_over


cdef cbool note_server_value(cbool *value, void **extra, GucSource source) noexcept nogil:
    global server_jobs_from_other_databases
    if is_of_server(source):
        server_jobs_from_other_databases = value[0]
    return True


cdef cbool note_server_history(cbool *value, void **extra, GucSource source) noexcept nogil:
    global server_history
    if is_of_server(source):
        server_history = value[0]
    return True


cdef cbool note_server_database_jobs(int *value, void **extra, GucSource source) noexcept nogil:
    global server_max_database_jobs
    if is_of_server(source):
        server_max_database_jobs = value[0]
    return True


cdef cbool note_server_database_workers(int *value, void **extra, GucSource source) noexcept nogil:
    global server_max_database_workers
    if is_of_server(source):
        server_max_database_workers = value[0]
    return True


cdef int total_worker_limit() noexcept nogil:
    """Worker processes that the server may have, the reserved ones too, never more than its own limit. Three stay for
    the keeper, the launcher of logical replication, and one more."""
    cdef int most = setting_max_total_workers
    if most == 0:
        most = max_worker_processes - 3 - workers_of_citus()
    if most > registry.workers_size:
        most = registry.workers_size
    return most if most > 1 else 1
