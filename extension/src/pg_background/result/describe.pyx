# describe: the columns of a result, without taking anything of it.

cdef struct Description:
    Job *job
    Handle handle
    Stream stream
    Tuplestorestate *store
    TupleDesc desc


cdef Oid type_to_declare(SentColumn *sent, Job *job) noexcept nogil:
    """The sent type, or text where no column may have it, or this session does not have it as it was sent; InvalidOid:
    it can't be read."""
    cdef bint is_known
    if not can_column_come_here(sent, job):
        return InvalidOid
    if sent.shape == NULL:
        return sent.wire.type
    if not can_be_declared(sent.shape):
        return TEXTOID
    if sent.shape.kind == SHAPE_PLAIN or sent.shape.kind == SHAPE_RECORD or sent.shape.type == RECORDARRAYOID:
        return sent.shape.type
    is_known = job.identity.database == MyDatabaseId and is_shape_in_force(sent.shape, LOCK_NOTHING)
    return sent.shape.type if is_known else <Oid>TEXTOID


cdef int32_t typmod_to_declare(SentColumn *sent, Oid type) noexcept nogil:
    """None where text stands for the type, and none of a domain, which says that itself."""
    if type != sent.wire.type or (sent.shape != NULL and sent.shape.kind == SHAPE_DOMAIN):
        return -1
    return sent.wire.typmod


cdef void store_description(Description *description, SentColumn *columns, int count) noexcept nogil:
    """Each column as a column list is to declare it, under this session's search_path."""
    cdef Oid type
    cdef Datum values[DESCRIBE_COLUMNS]
    cdef cbool nulls[DESCRIBE_COLUMNS]
    cdef int i
    for i in range(count):
        memset(nulls, 0, sizeof(nulls))
        values[DESCRIBE_ORDINAL] = Int32GetDatum(i + 1)
        values[DESCRIBE_NAME] = CStringGetTextDatum(shown_here(columns[i].wire.name, description.job.encoding))
        type = type_to_declare(&columns[i], description.job)
        nulls[DESCRIBE_TYPE] = nulls[DESCRIBE_TYPE_NAME] = type == InvalidOid
        if type != InvalidOid:
            values[DESCRIBE_TYPE] = ObjectIdGetDatum(type)
            values[DESCRIBE_TYPE_NAME] = CStringGetTextDatum(type_name(type, typmod_to_declare(&columns[i], type)))
        tuplestore_putvalues(description.store, description.desc, values, nulls)


cdef void describe_body(void *arg) noexcept nogil:
    """Wait until the columns are known, or that there are none."""
    cdef Description *description = <Description *>arg
    cdef SentColumn *columns
    cdef int count
    open_stream(&description.stream, description.job, &description.handle)
    while next_message(&description.stream):
        if description.stream.kind == MSG_COLUMNS:
            count = <int>description.stream.count
            columns = unpack_columns(&description.stream)
            await_types(&description.stream, columns, count)
            store_description(description, columns, count)
            return


cdef public Datum pgbg_describe(FunctionCallInfo fcinfo) noexcept nogil:
    """Rows of (ordinal, name, type, type_name); none for a job that returns no rows."""
    cdef Description description
    memset(&description, 0, sizeof(description))
    description.handle = handle_argument(fcinfo)
    join_sessions()
    description.job = find_job(&description.handle, InvalidOid)
    refuse_submitted(description.job, &description.handle)
    description.store = materialized_as(fcinfo, describe_types(), &description.desc)
    run_guarded(describe_body, &description, my_holds)
    return 0
