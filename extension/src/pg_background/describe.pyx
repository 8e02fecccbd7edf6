# describe: the columns of a result, without taking anything of it.

cdef struct Description:
    Job *job
    Handle handle
    Stream stream
    Tuplestorestate *store
    TupleDesc desc


cdef void store_description(Description *description, WireColumn *columns, int count) noexcept nogil:
    """Each column as a column list is to declare it, under this session's search_path."""
    cdef Datum values[4]
    cdef cbool nulls[4]
    cdef int i
    for i in range(count):
        memset(nulls, 0, sizeof(nulls))
        values[0] = Int32GetDatum(i + 1)
        values[1] = CStringGetTextDatum(lossy_to_server(columns[i].name, description.job.encoding))
        values[2] = ObjectIdGetDatum(columns[i].wire_type)
        # a type of another database, or one that is gone
        if ((description.job.identity.database != MyDatabaseId and not is_known_elsewhere(&columns[i]))
                or not does_type_exist(columns[i].wire_type)):
            nulls[2] = True
            nulls[3] = True
            values[3] = 0
        else:
            values[3] = CStringGetTextDatum(type_name(columns[i].wire_type, columns[i].typmod))
        tuplestore_putvalues(description.store, description.desc, values, nulls)


cdef void describe_body(void *arg) noexcept nogil:
    """Wait until the columns are known, or that there are none."""
    cdef Description *description = <Description *>arg
    open_stream(&description.stream, description.job, &description.handle)
    while next_message(&description.stream):
        if description.stream.kind == MSG_COLUMNS:
            store_description(description, <WireColumn *>description.stream.data, description.stream.count)
            return


cdef public Datum pgbg_describe(FunctionCallInfo fcinfo) noexcept nogil:
    """Rows of (ordinal, name, type, type_name); none for a job that returns no rows."""
    cdef Description description
    cdef ErrorData *error
    memset(&description, 0, sizeof(description))
    description.handle = handle_argument(fcinfo)
    join_sessions()
    description.job = find_job(&description.handle, InvalidOid)
    refuse_submitted(description.job, &description.handle)
    description.store = materialized(fcinfo, &description.desc)
    start_looking(description.job, &description.handle)
    start_waiting(description.job, description.handle.cookie)
    error = catch_error(describe_body, &description, False)
    stop_waiting()
    close_stream(&description.stream)
    let_go(description.job)
    if error != NULL:
        ReThrowError(error)
    return 0
