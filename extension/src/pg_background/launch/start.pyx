# start: the one full launcher, for named arguments.

cdef OnFull on_full_argument(FunctionCallInfo fcinfo, int n) noexcept nogil:
    """error, wait or queue, error by default; raises 22023 for anything else."""
    cdef const char *value
    if arg_isnull(fcinfo, n):
        return FULL_IS_ERROR
    value = text_to_cstring(arg_text(fcinfo, n))
    if strcmp(value, b"error") == 0:
        return FULL_IS_ERROR
    if strcmp(value, b"wait") == 0:
        return FULL_WAITS
    if strcmp(value, b"queue") != 0:
        raise_with_hint(ERRCODE_INVALID_PARAMETER_VALUE, b"Use error, wait or queue.",
                        b"invalid value for on_full: \"%s\"", value)
    return FULL_QUEUES


cdef void choose_database(Launch *launch, const char *name) noexcept nogil:
    """Another database than this session's; raises 3D000 when there is none of that name."""
    cdef cbool allows_connections = False
    launch.identity = identity_here(get_database_oid(name, False))
    launch.encoding = database_encoding(launch.identity.database, &allows_connections)
    if not allows_connections:
        raise_error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    b"database \"%s\" is not currently accepting connections", name)


cdef public Datum pgbg_start(FunctionCallInfo fcinfo) noexcept nogil:
    """start(sql, params, label, queue_size, timeout_ms, database, each_statement, discard_result, on_full)."""
    cdef Launch launch
    begin_launch(&launch, fcinfo)
    if not arg_isnull(fcinfo, 1):
        launch.parameters = arg_array(fcinfo, 1)
    if not arg_isnull(fcinfo, 2):
        launch.label = text_to_cstring(arg_text(fcinfo, 2))
    launch.queue_size = int_argument(fcinfo, 3)
    launch.timeout = int_argument(fcinfo, 4)
    if not arg_isnull(fcinfo, 5):
        choose_database(&launch, arg_name(fcinfo, 5))
    launch.each_statement = bool_argument(fcinfo, 6)
    launch.submitted = bool_argument(fcinfo, 7)
    launch.on_full = on_full_argument(fcinfo, 8)
    if launch.timeout > 0 and launch.on_full != FULL_WAITS:
        # not silently without effect
        raise_with_hint(ERRCODE_INVALID_PARAMETER_VALUE,
                        b"To limit how long the job runs, set pg_background.worker_timeout.",
                        b"timeout_ms limits the wait of on_full => 'wait'")
    return launch_job(fcinfo, &launch)
