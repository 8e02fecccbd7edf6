# A job that has ended, as a row of the history of its database.

cdef enum:
    ROW_ROLE_OID = 0
    ROW_ROLE
    ROW_LABEL
    ROW_STATE
    ROW_QUEUED_AT
    ROW_STARTED_AT
    ROW_FINISHED_AT
    ROW_ROW_COUNT
    ROW_COMMAND_TAG
    ROW_SQLSTATE
    ROW_ERROR_MESSAGE
    ROW_SQL_PREVIEW
    ROW_TRACEPARENT
    ROW_RESOURCES
    ROW_WAITS = ROW_RESOURCES + RESOURCES
    ROW_COLUMNS


cdef const char *row_columns() noexcept nogil:
    """In this order."""
    return (b"role_oid, role, label, state, queued_at, started_at, finished_at, row_count, command_tag, sqlstate, "
            b"error_message, sql_preview, traceparent, cpu_user_ms, cpu_system_ms, shared_blks_hit, shared_blks_read, "
            b"shared_blks_dirtied, shared_blks_written, temp_blks_read, temp_blks_written, blk_read_ms, blk_write_ms, "
            b"wal_records, wal_fpi, wal_bytes, waits")


cdef Oid row_type_of(int column) noexcept nogil:
    """The waits as the text of their JSON."""
    if column == ROW_ROLE_OID:
        return OIDOID
    if ROW_QUEUED_AT <= column <= ROW_FINISHED_AT:
        return TIMESTAMPTZOID
    if column == ROW_ROW_COUNT:
        return INT8OID
    if ROW_RESOURCES <= column < ROW_WAITS:
        return FLOAT8OID if is_time(column - ROW_RESOURCES) else INT8OID
    return TEXTOID


cdef const char *waits_as_json(Job *copy) noexcept nogil:
    """{"IO:DataFileRead": 12, "CPU": 3}; NULL where no look has found it running."""
    cdef StringInfoData json
    cdef int i
    if copy.wait_kinds == 0:
        return NULL
    initStringInfo(&json)
    for i in range(copy.wait_kinds):
        appendStringInfoString(&json, b"{" if i == 0 else b", ")
        if copy.waits[i].event == 0:
            appendStringInfoString(&json, b"\"CPU\"")
        else:
            escape_json(&json, psprintf(b"%s:%s", wait_type(copy.waits[i].event), wait_name(copy.waits[i].event)))
        appendStringInfo(&json, b": %u", copy.waits[i].samples)
    appendStringInfoChar(&json, c"}")
    return json.data


cdef void make_row(Job *copy, Datum *values, cbool *nulls) noexcept nogil:
    """In the current memory context; this process is in the job's database, and so has its encoding."""
    cdef bint failed = has_failed(copy)
    memset(nulls, 0, ROW_COLUMNS * sizeof(cbool))
    values[ROW_ROLE_OID] = ObjectIdGetDatum(copy.identity.user)
    # NULL where it is gone
    set_text(values, nulls, ROW_ROLE, GetUserNameFromId(copy.identity.user, True))
    set_label(values, nulls, ROW_LABEL, copy)
    set_text(values, nulls, ROW_STATE, state_name(copy.state))
    set_time(values, nulls, ROW_QUEUED_AT, copy.launched_at)
    set_time(values, nulls, ROW_STARTED_AT, copy.started_at)
    set_time(values, nulls, ROW_FINISHED_AT, copy.finished_at)
    set_end(values, nulls, ROW_ROW_COUNT, copy)
    set_text(values, nulls, ROW_SQLSTATE, unpack_sql_state(sqlstate_of(copy)) if failed else NULL)
    set_text(values, nulls, ROW_ERROR_MESSAGE, end_reason(copy) if failed else NULL)
    set_text(values, nulls, ROW_SQL_PREVIEW, entry_text_here(copy.preview, copy.encoding))
    set_text(values, nulls, ROW_TRACEPARENT, copy.traceparent if copy.traceparent[0] != 0 else NULL)
    set_resources(&values[ROW_RESOURCES], copy.resources)
    set_text(values, nulls, ROW_WAITS, waits_as_json(copy))
