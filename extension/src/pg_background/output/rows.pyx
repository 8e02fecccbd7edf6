# Rows into messages: minimal tuples, many to a message. Columns of PostgreSQL's own types go as they are in memory, the
# others with the shapes of their types.

cdef enum:
    BATCH_BYTES = 32768

cdef struct Rows:
    DestReceiver receiver
    TupleDesc desc              # as sent; NULL: rows that come are no part of the result
    char *batch
    Size used
    uint32_t count
    bint are_described          # the result's columns were told: what other rows a rule makes is not taken
    bint has_shapes             # some column is taken apart
    Shape **shapes              # per column, NULL where the value goes as it is
    Datum *values
    cbool *nulls
    MemoryContext row_context

cdef Rows rows


cdef void send_columns(TupleDesc desc) noexcept nogil:
    """Describe the rows: both sides compare types before any row is taken."""
    cdef int i
    cdef int n = desc.natts
    cdef Size size = sizeof(WireColumn) * n
    cdef WireColumn *columns = <WireColumn *>palloc0(size + 1)
    cdef StringInfoData message
    initStringInfo(&message)
    appendBinaryStringInfo(&message, <char *>columns, <int>size)
    for i in range(n):
        columns[i].type = column(desc, i).atttypid
        columns[i].wire_type = column(rows.desc, i).atttypid
        columns[i].typmod = column(rows.desc, i).atttypmod
        snprintf(columns[i].name, 64, b"%s", column_name(desc, i))
        if rows.shapes[i] != NULL:
            columns[i].shape = message.len
            pack_shape(&message, rows.shapes[i])
    memcpy(message.data, columns, size)
    write_message(MSG_COLUMNS, n, message.data, message.len, True)
    pg_write_barrier()
    pg_atomic_write_u32(&my_job.described, 1)
    wake_reader(my_job)
    pfree(columns)
    pfree(message.data)


cdef Shape *shape_to_send(Oid type, int32_t typmod) noexcept nogil:
    """NULL for a type that needs none; its fields stay as they are until the transaction ends."""
    cdef Shape *shape
    if needs_no_shape(type):
        return NULL
    shape = <Shape *>palloc(sizeof(Shape))
    if not find_shape(shape, type, typmod, LOCK_TYPES):
        raise_error(ERRCODE_UNDEFINED_OBJECT, b"type of a column of the result does not exist any more")
    shape.name = type_name(type, typmod)
    prepare_apart(shape)
    return shape


cdef int32_t typmod_of(Shape *shape) noexcept nogil:
    """Of the value: what a domain says of its base. The number of a record's own row type means nothing elsewhere."""
    while shape.kind == SHAPE_DOMAIN:
        shape = shape.parts
    return -1 if shape.kind == SHAPE_RECORD else shape.typmod


cdef void begin_rows() noexcept nogil:
    """Before each job."""
    rows.used = 0
    rows.count = 0
    rows.are_described = False
    rows.desc = NULL
    forget_sent_records()


cdef void rows_start(DestReceiver *self, int operation, TupleDesc desc) noexcept nogil:
    """Of what one statement gives, the first rows are the result; rules may make it give more."""
    cdef MemoryContext old
    cdef int i
    cdef int n = desc.natts
    rows.desc = NULL
    if rows.are_described:
        return
    old = MemoryContextSwitchTo(job_context)
    rows.are_described = True
    rows.has_shapes = False
    rows.shapes = <Shape **>palloc0(sizeof(Shape *) * (n + 1))
    rows.values = <Datum *>palloc0(sizeof(Datum) * (n + 1))
    rows.nulls = <cbool *>palloc0(sizeof(cbool) * (n + 1))
    rows.desc = CreateTemplateTupleDesc(n)
    for i in range(n):
        rows.shapes[i] = shape_to_send(column(desc, i).atttypid, column(desc, i).atttypmod)
        if rows.shapes[i] == NULL:
            TupleDescInitEntry(rows.desc, <int16_t>(i + 1), NULL, column(desc, i).atttypid,
                               column(desc, i).atttypmod, 0)
        else:
            rows.has_shapes = True
            TupleDescInitEntry(rows.desc, <int16_t>(i + 1), NULL, rows.shapes[i].wire, typmod_of(rows.shapes[i]), 0)
    TupleDescFinalize(rows.desc)
    rows.batch = <char *>palloc(BATCH_BYTES)
    rows.row_context = create_context(job_context, "pg_background row")
    send_columns(desc)
    MemoryContextSwitchTo(old)


cdef MinimalTuple sendable_tuple(TupleTableSlot *slot, cbool *should_free) noexcept nogil:
    """The row as a tuple that any process can read; where it is built anew, in the row context."""
    cdef MinimalTuple tuple
    cdef int n = rows.desc.natts
    cdef int i
    if not rows.has_shapes:
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
        if rows.shapes[i] != NULL:
            rows.values[i] = take_apart(rows.shapes[i], slot.tts_values[i])
        else:
            rows.values[i] = in_one_piece(slot.tts_values[i], column(rows.desc, i).attlen)
    return form_minimal_tuple(rows.desc, rows.values, rows.nulls)


cdef void flush_batch() noexcept nogil:
    """Between two rows: what is allocated meanwhile goes with the row context."""
    cdef MemoryContext old = MemoryContextSwitchTo(rows.row_context)
    flush_rows()
    MemoryContextSwitchTo(old)
    MemoryContextReset(rows.row_context)


cdef bint append_values(TupleTableSlot *slot) noexcept nogil:
    """Form the row's tuple where the batch ends, if that has room for it when it is empty; False where sendable_tuple
    must make it."""
    cdef Size size = form_tuple_in_place(rows.desc, slot.tts_values, slot.tts_isnull, rows.batch + rows.used,
                                         BATCH_BYTES - rows.used)
    if size == 0 and rows.used > 0:
        flush_batch()
        size = form_tuple_in_place(rows.desc, slot.tts_values, slot.tts_isnull, rows.batch, BATCH_BYTES)
    if size == 0:
        return False
    rows.used += size
    rows.count += 1
    return True


cdef cbool rows_receive(TupleTableSlot *slot, DestReceiver *self) noexcept nogil:
    """Callback of the receiver: append one row to the batch, in the row context. May write, and so wait for the
    reader."""
    cdef MinimalTuple tuple
    cdef cbool should_free = False
    cdef Size size
    cdef MemoryContext old
    if rows.desc == NULL or is_output_unwanted(my_job):
        return True
    if not rows.has_shapes and is_slot_virtual(slot) and append_values(slot):
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
    """One row that is too large for a batch."""
    write_message(MSG_ROWS, 1, <char *>tuple, tuple.t_len, True)


cdef void flush_rows() noexcept nogil:
    """Write the batch as a message; may wait for the reader, and raises where the output finds no place."""
    cdef uint32_t count = rows.count
    cdef Size used = rows.used
    rows.count = 0
    rows.used = 0
    if count > 0:
        write_message(MSG_ROWS, count, rows.batch, used, True)


cdef void rows_end(DestReceiver *self) noexcept nogil:
    """Callback of the receiver: rows are flushed when all statements have run."""
    pass


cdef DestReceiver *rows_receiver() noexcept nogil:
    return &rows.receiver


cdef void set_up_rows() noexcept nogil:
    """Once in a worker."""
    memset(&rows, 0, sizeof(rows))
    rows.receiver.receiveSlot = rows_receive
    rows.receiver.rStartup = rows_start
    rows.receiver.rShutdown = rows_end
    rows.receiver.rDestroy = rows_end
    rows.receiver.mydest = DestNone
