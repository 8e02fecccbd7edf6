"""The columns of the rows that SQL functions return, in the order in which the install script declares them.

Each enum says in its first line which type, view or function that is. tests/install/test_columns.py compares the names,
and the types, which have a letter each: sql/shapes.pyx. Once released, a column keeps its place and its type, and a
new one comes after the last: so a catalogue that has not been updated yet has the first ones of what is here.
"""


cdef inline const char *catalogue_version() noexcept nogil:
    """The newest version of the extension whose functions and columns this library has."""
    return b"3.0"


cdef enum:
    # of pg_background_handle
    HANDLE_PID = 0
    HANDLE_COOKIE
    HANDLE_COLUMNS


cdef inline const char *handle_types() noexcept nogil:
    return b"48"


cdef enum:
    # of pg_background_stats
    STATS_WORKERS_LAUNCHED = 0
    STATS_WORKERS_COMPLETED
    STATS_WORKERS_FAILED
    STATS_WORKERS_CANCELED
    STATS_WORKERS_TIMED_OUT     # 1.8 has none
    STATS_WORKERS_ACTIVE
    STATS_AVG_EXECUTION_MS
    STATS_MAX_WORKERS
    STATS_COLUMNS


cdef inline const char *stats_types() noexcept nogil:
    return b"888884d4"


cdef enum:
    # of pg_background_progress_info
    PROGRESS_PROGRESS_PCT = 0
    PROGRESS_PROGRESS_MSG
    PROGRESS_COLUMNS


cdef inline const char *progress_types() noexcept nogil:
    return b"4t"


cdef enum:
    # of pg_background_result_info
    RESULT_ROW_COUNT = 0
    RESULT_COMMAND_TAG
    RESULT_COMPLETED
    RESULT_HAS_ERROR
    RESULT_STARTED_AT
    RESULT_FINISHED_AT
    RESULT_COLUMNS


cdef inline const char *result_types() noexcept nogil:
    return b"8tbbzz"


cdef enum:
    # of pg_background_error
    ERROR_SQLSTATE = 0
    ERROR_MESSAGE
    ERROR_DETAIL
    ERROR_HINT
    ERROR_CONTEXT
    ERROR_SCHEMA_NAME
    ERROR_TABLE_NAME
    ERROR_COLUMN_NAME
    ERROR_CONSTRAINT_NAME
    ERROR_COLUMNS


cdef inline const char *error_types() noexcept nogil:
    return b"ttttttttt"


cdef enum:
    # of pg_background_outcome
    OUTCOME_PID = 0
    OUTCOME_COOKIE
    OUTCOME_STATE
    OUTCOME_CONSUMED
    OUTCOME_COMPLETED
    OUTCOME_HAS_ERROR
    OUTCOME_ROW_COUNT
    OUTCOME_COMMAND_TAG
    OUTCOME_SQLSTATE
    OUTCOME_ERROR_MESSAGE
    OUTCOME_LABEL
    OUTCOME_LAUNCHED_AT
    OUTCOME_COLUMNS


cdef inline const char *outcome_types() noexcept nogil:
    return b"48tbbb8ttttz"


cdef enum:
    # of pg_background_run_result, after those of an outcome
    RUN_TIMED_OUT = OUTCOME_COLUMNS
    RUN_ELAPSED_MS
    RUN_COLUMNS


cdef inline const char *run_types() noexcept nogil:
    return b"48tbbb8ttttzb8"


cdef enum:
    # of pg_background_list
    LIST_PID = 0
    LIST_COOKIE
    LIST_LAUNCHED_AT
    LIST_USER_ID
    LIST_QUEUE_SIZE
    LIST_STATE
    LIST_SQL_PREVIEW
    LIST_LAST_ERROR
    LIST_CONSUMED
    LIST_LABEL                  # 1.8 has none
    LIST_COLUMNS

cdef enum:
    # of pg_background_all_jobs
    JOBS_PID = 0
    JOBS_COOKIE
    JOBS_WORKER_PID
    JOBS_DATABASE
    JOBS_ROLE
    JOBS_LABEL
    JOBS_STATE
    JOBS_QUEUED_AT
    JOBS_STARTED_AT
    JOBS_FINISHED_AT
    JOBS_ROW_COUNT
    JOBS_COMMAND_TAG
    JOBS_SQLSTATE
    JOBS_ERROR_MESSAGE
    JOBS_SQL_PREVIEW
    JOBS_PROGRESS_PCT
    JOBS_PROGRESS_MSG
    JOBS_RESULT_BYTES
    JOBS_TEMP_BYTES
    JOBS_COLUMNS


cdef inline const char *jobs_types() noexcept nogil:
    return b"484oottzzz8tttt4t88"


cdef enum:
    # of pg_background_registry
    REGISTRY_ENTRIES = 0
    REGISTRY_LIVE
    REGISTRY_UNREAD
    REGISTRY_IDLE_WORKERS
    REGISTRY_BUSY_WORKERS
    REGISTRY_AREA_BYTES
    REGISTRY_SPILL_BYTES
    REGISTRY_COLUMNS


cdef inline const char *registry_types() noexcept nogil:
    return b"4444488"


cdef enum:
    # of pg_background_describe
    DESCRIBE_ORDINAL = 0
    DESCRIBE_NAME
    DESCRIBE_TYPE
    DESCRIBE_TYPE_NAME
    DESCRIBE_COLUMNS


cdef inline const char *describe_types() noexcept nogil:
    return b"4trt"


cdef enum:
    # of pg_background_all_totals
    TOTALS_DATABASE = 0
    TOTALS_ROLE
    TOTALS_LAUNCHED
    TOTALS_COMPLETED
    TOTALS_FAILED
    TOTALS_CANCELED
    TOTALS_TIMED_OUT
    TOTALS_LOST
    TOTALS_EXECUTION_MS
    TOTALS_QUEUE_MS
    TOTALS_SINCE
    TOTALS_CPU_USER_MS
    TOTALS_CPU_SYSTEM_MS
    TOTALS_SHARED_BLKS_HIT
    TOTALS_SHARED_BLKS_READ
    TOTALS_SHARED_BLKS_DIRTIED
    TOTALS_SHARED_BLKS_WRITTEN
    TOTALS_TEMP_BLKS_READ
    TOTALS_TEMP_BLKS_WRITTEN
    TOTALS_BLK_READ_MS
    TOTALS_BLK_WRITE_MS
    TOTALS_WAL_RECORDS
    TOTALS_WAL_FPI
    TOTALS_WAL_BYTES
    TOTALS_COLUMNS


cdef inline const char *totals_types() noexcept nogil:
    return b"oo888888ddzdd888888dd888"


cdef enum:
    # of pg_background_all_histograms
    HISTOGRAMS_DATABASE = 0
    HISTOGRAMS_ROLE
    HISTOGRAMS_METRIC
    HISTOGRAMS_LE
    HISTOGRAMS_JOBS
    HISTOGRAMS_COLUMNS


cdef inline const char *histograms_types() noexcept nogil:
    return b"ootd8"


cdef enum:
    # of pg_background_all_resources
    RESOURCES_PID = 0
    RESOURCES_COOKIE
    RESOURCES_DATABASE
    RESOURCES_ROLE
    RESOURCES_LABEL
    RESOURCES_STATE
    RESOURCES_CPU_USER_MS
    RESOURCES_CPU_SYSTEM_MS
    RESOURCES_SHARED_BLKS_HIT
    RESOURCES_SHARED_BLKS_READ
    RESOURCES_SHARED_BLKS_DIRTIED
    RESOURCES_SHARED_BLKS_WRITTEN
    RESOURCES_TEMP_BLKS_READ
    RESOURCES_TEMP_BLKS_WRITTEN
    RESOURCES_BLK_READ_MS
    RESOURCES_BLK_WRITE_MS
    RESOURCES_WAL_RECORDS
    RESOURCES_WAL_FPI
    RESOURCES_WAL_BYTES
    RESOURCES_COLUMNS


cdef inline const char *resources_types() noexcept nogil:
    return b"48oottdd888888dd888"


cdef enum:
    # of pg_background_all_waits
    WAITS_PID = 0
    WAITS_COOKIE
    WAITS_WAIT_EVENT_TYPE
    WAITS_WAIT_EVENT
    WAITS_SAMPLES
    WAITS_COLUMNS


cdef inline const char *waits_types() noexcept nogil:
    return b"48tt8"


cdef enum:
    # of pg_background_all_usage
    USAGE_KIND = 0
    USAGE_OWNER
    USAGE_JOBS
    USAGE_MAX_JOBS
    USAGE_WORKERS
    USAGE_MAX_WORKERS
    USAGE_QUEUED
    USAGE_MEMORY_BYTES
    USAGE_MAX_MEMORY_BYTES
    USAGE_RESULT_BYTES
    USAGE_MAX_RESULT_BYTES
    USAGE_COLUMNS


cdef inline const char *usage_types() noexcept nogil:
    return b"to444448888"


cdef enum:
    # of pg_background_drain_server
    DRAINED_FINISHED = 0
    DRAINED_CANCELED
    DRAINED_RUNNING
    DRAINED_COLUMNS


cdef inline const char *drained_types() noexcept nogil:
    return b"444"


cdef enum:
    # of pg_background_job_waits
    WAITING_WAITER = 0
    WAITING_WORKER_PID
    WAITING_NEEDS_ALL
    WAITING_COLUMNS


cdef inline const char *job_waits_types() noexcept nogil:
    return b"84b"
