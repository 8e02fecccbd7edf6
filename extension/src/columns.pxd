"""The columns of the rows that SQL functions return, in the order in which the install script declares them.

Each enum says in its first line which type, view or function that is. tests/install/test_columns.py compares the names.
"""

cdef enum:
    # of pg_background_handle
    HANDLE_PID = 0
    HANDLE_COOKIE
    HANDLE_COLUMNS

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

cdef enum:
    # of pg_background_progress_info
    PROGRESS_PROGRESS_PCT = 0
    PROGRESS_PROGRESS_MSG
    PROGRESS_COLUMNS

cdef enum:
    # of pg_background_result_info
    RESULT_ROW_COUNT = 0
    RESULT_COMMAND_TAG
    RESULT_COMPLETED
    RESULT_HAS_ERROR
    RESULT_STARTED_AT
    RESULT_FINISHED_AT
    RESULT_COLUMNS

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

cdef enum:
    # of pg_background_run_result, after those of an outcome
    RUN_TIMED_OUT = OUTCOME_COLUMNS
    RUN_ELAPSED_MS
    RUN_COLUMNS

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

cdef enum:
    # of pg_background_describe
    DESCRIBE_ORDINAL = 0
    DESCRIBE_NAME
    DESCRIBE_TYPE
    DESCRIBE_TYPE_NAME
    DESCRIBE_COLUMNS
