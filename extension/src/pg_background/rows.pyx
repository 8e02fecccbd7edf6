# Rows into messages: minimal tuples as they are in memory, many to a message.
#
# Pseudo-types go as text: anonymous records carry this process's type id, and no column list can name the others. So
# do types that the launcher's database does not know.

cdef enum:
    BATCH_BYTES = 32768

cdef struct Rows:
    DestReceiver receiver
    TupleDesc desc              # as sent
    char *batch
    Size used
    uint32_t count
    bint has_text               # some column is sent as text instead of its own type
    FmgrInfo *to_text           # per column, for those
    Datum *values
    cbool *nulls
    MemoryContext row_context

cdef Rows rows


cdef inline bint is_sent_as_text(Oid type) noexcept nogil:
    return get_typtype(type) == TYPTYPE_PSEUDO or (my_job.identity.is_away and type >= FirstUnpinnedObjectId)


cdef void send_columns(TupleDesc desc) noexcept nogil:
    """Describe the rows: both sides compare types before any row is taken."""
    cdef int i
    cdef int n = desc.natts
    cdef WireColumn *columns = <WireColumn *>palloc0(sizeof(WireColumn) * (n + 1))
    for i in range(n):
        columns[i].type = column(desc, i).atttypid
        columns[i].wire_type = column(rows.desc, i).atttypid
        columns[i].typmod = column(desc, i).atttypmod
        snprintf(columns[i].name, 64, b"%s", column_name(desc, i))
    write_message(MSG_COLUMNS, n, <char *>columns, sizeof(WireColumn) * n, True)
    pg_write_barrier()
    pg_atomic_write_u32(&my_job.described, 1)
    wake_reader(my_job)
    pfree(columns)


cdef void rows_start(DestReceiver *self, int operation, TupleDesc desc) noexcept nogil:
    """Once per job: the last statement has one row description."""
    cdef MemoryContext old = MemoryContextSwitchTo(job_context)
    cdef int i
    cdef int n = desc.natts
    cdef Oid function = InvalidOid
    cdef cbool is_varlena = False
    rows.desc = NULL
    if n == 0:
        # no column list can name zero columns: as a statement without rows, it gives its tag
        MemoryContextSwitchTo(old)
        return
    rows.has_text = False
    rows.to_text = <FmgrInfo *>palloc0(sizeof(FmgrInfo) * (n + 1))
    rows.values = <Datum *>palloc0(sizeof(Datum) * (n + 1))
    rows.nulls = <cbool *>palloc0(sizeof(cbool) * (n + 1))
    rows.desc = CreateTemplateTupleDesc(n)
    for i in range(n):
        if is_sent_as_text(column(desc, i).atttypid):
            rows.has_text = True
            getTypeOutputInfo(column(desc, i).atttypid, &function, &is_varlena)
            fmgr_info(function, &rows.to_text[i])
            TupleDescInitEntry(rows.desc, <int16_t>(i + 1), column_name(desc, i), TEXTOID, -1, 0)
        else:
            TupleDescInitEntry(rows.desc, <int16_t>(i + 1), column_name(desc, i), column(desc, i).atttypid,
                               column(desc, i).atttypmod, 0)
    rows.batch = <char *>palloc(BATCH_BYTES)
    rows.used = 0
    rows.count = 0
    rows.row_context = create_context(job_context, "pg_background row")
    send_columns(desc)
    MemoryContextSwitchTo(old)


cdef MinimalTuple sendable_tuple(TupleTableSlot *slot, cbool *should_free) noexcept nogil:
    """The row as a tuple that any process can read; where it is built anew, in the row context."""
    cdef MinimalTuple tuple
    cdef int n = rows.desc.natts
    cdef int i
    cdef void *value
    if not rows.has_text:
        tuple = ExecFetchSlotMinimalTuple(slot, should_free)
        # toast pointers may dangle when the reader comes, and a tuple from before ADD COLUMN is too short
        if (tuple.t_infomask & HEAP_HASEXTERNAL) == 0 and minimal_tuple_natts(tuple) == n:
            return tuple
        if should_free[0]:
            pfree(tuple)
            should_free[0] = False
    slot_getallattrs(slot)
    for i in range(n):
        rows.nulls[i] = slot.tts_isnull[i]
        rows.values[i] = slot.tts_values[i]
        if rows.nulls[i]:
            continue
        if rows.to_text[i].fn_oid != InvalidOid:
            rows.values[i] = CStringGetTextDatum(OutputFunctionCall(&rows.to_text[i], slot.tts_values[i]))
        elif column(rows.desc, i).attlen == -1:
            value = DatumGetPointer(rows.values[i])
            if VARATT_IS_EXTERNAL(value) and not VARATT_IS_EXTERNAL_EXPANDED(value):
                rows.values[i] = PointerGetDatum(detoast_external_attr(<varlena *>value))
    return form_minimal_tuple(rows.desc, rows.values, rows.nulls)


cdef cbool rows_receive(TupleTableSlot *slot, DestReceiver *self) noexcept nogil:
    cdef MinimalTuple tuple
    cdef cbool should_free = False
    cdef Size size
    cdef MemoryContext old
    if rows.desc == NULL or is_output_unwanted(my_job):
        return True
    old = MemoryContextSwitchTo(rows.row_context)
    tuple = sendable_tuple(slot, &should_free)
    size = MAXALIGN(tuple.t_len)
    if rows.used + size > BATCH_BYTES:
        flush_rows()
    if size > BATCH_BYTES:
        write_tuple(tuple)
    else:
        memcpy(rows.batch + rows.used, tuple, tuple.t_len)
        memset(rows.batch + rows.used + tuple.t_len, 0, size - tuple.t_len)
        rows.used += size
        rows.count += 1
    if should_free:
        pfree(tuple)
    MemoryContextSwitchTo(old)
    MemoryContextReset(rows.row_context)
    return True


cdef void write_tuple(MinimalTuple tuple) noexcept nogil:
    """One row that is too large for a batch, with its padding after it."""
    cdef char padding[8]
    memset(padding, 0, sizeof(padding))
    begin_message(MSG_ROWS, 1, MAXALIGN(tuple.t_len), True)
    write_stream(<char *>tuple, tuple.t_len, True)
    write_stream(padding, MAXALIGN(tuple.t_len) - tuple.t_len, True)
    end_message()


cdef void flush_rows() noexcept nogil:
    cdef uint32_t count = rows.count
    cdef Size used = rows.used
    rows.count = 0
    rows.used = 0
    if count > 0:
        write_message(MSG_ROWS, count, rows.batch, used, True)


cdef void rows_end(DestReceiver *self) noexcept nogil:
    pass


cdef DestReceiver *rows_receiver() noexcept nogil:
    return &rows.receiver


cdef void set_up_rows() noexcept nogil:
    memset(&rows, 0, sizeof(rows))
    rows.receiver.receiveSlot = rows_receive
    rows.receiver.rStartup = rows_start
    rows.receiver.rShutdown = rows_end
    rows.receiver.rDestroy = rows_end
    rows.receiver.mydest = DestNone
