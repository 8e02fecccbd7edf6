# The columns that the job sends against those that the reader declares, and its rows in the declared form.

cdef struct SentColumn:
    WireColumn wire
    Shape *shape                # NULL: a type that needs none

cdef struct TakenColumn:
    int place                   # among the wanted ones: a table's row type may have dropped columns
    Oid wire_type               # as it travelled
    Shape *shape                # of what is put together; NULL: it comes as it is
    bint as_text                # ... and written
    bint brings_text            # from another encoding
    FmgrInfo output             # of what is written
    ExprState *fit              # to the declared typmod; NULL: it fits

cdef struct Conversion:
    TupleDesc sent
    TupleDesc wanted
    bint needed                 # some column does not come as it is
    TakenColumn *columns        # per sent column
    Assembly assembly
    Datum *values
    cbool *nulls
    TupleTableSlot *slot
    MemoryContext context       # of what lives as long as the conversion
    MemoryContext row_context


cdef inline bint does_type_exist(Oid type) noexcept nogil:
    """The job may have dropped it, or others since."""
    return get_typtype(type) != 0


cdef SentColumn *unpack_columns(Stream *stream) noexcept nogil:
    """The row description in the current memory context: the stream's buffer is for the next message."""
    cdef SentColumn *columns = <SentColumn *>palloc0(sizeof(SentColumn) * (stream.count + 1))
    cdef uint32_t i
    for i in range(stream.count):
        columns[i].wire = (<WireColumn *>stream.data)[i]
        if columns[i].wire.shape != 0:
            columns[i].shape = <Shape *>palloc(sizeof(Shape))
            unpack_shape(columns[i].shape, stream.data + columns[i].wire.shape)
    return columns


cdef bint are_types_in_force(SentColumn *columns, int count, Job *job) noexcept nogil:
    """Whether this database has all the types as they were sent; in others nobody looks for them."""
    cdef int i
    if job.identity.database != MyDatabaseId:
        return True
    for i in range(count):
        if columns[i].shape != NULL and not is_shape_in_force(columns[i].shape, LOCK_NOTHING):
            return False
    return True


cdef bint await_types(Stream *stream, SentColumn *columns, int count) noexcept nogil:
    """Whether the types are there, if need be after the job's end: one that this session does not see may be the
    job's own, made or changed by it and not committed yet."""
    # the state before the types: what a job has made is there once it is final
    cdef bint final = is_final(stream.job.state)
    pg_read_barrier()
    AcceptInvalidationMessages()
    if are_types_in_force(columns, count, stream.job):
        return True
    if final:
        return False
    while next_message(stream):
        pass
    AcceptInvalidationMessages()
    return are_types_in_force(columns, count, stream.job)


# ---- what a column may be declared as

cdef Shape *shape_declared(SentColumn *sent, Oid wanted) noexcept nogil:
    """The part of the shape that has this type: all of it, or what a domain is based on; NULL where none has, or no
    column may have it."""
    cdef Shape *shape = sent.shape
    while shape.type != wanted and shape.kind == SHAPE_DOMAIN:
        shape = shape.parts
    return shape if shape.type == wanted and can_be_declared(shape) else NULL


cdef bint may_be_text(SentColumn *sent, Oid wanted) noexcept nogil:
    """What DDL can change, or only the job's database knows, can be read as text all the same."""
    return sent.shape.kind != SHAPE_PLAIN and (wanted == TEXTOID or wanted == VARCHAROID)


cdef bint is_column_readable(SentColumn *sent, Oid wanted) noexcept nogil:
    """Whether the column may be declared as this type, before it is looked up whether that type is in force."""
    if sent.shape == NULL:
        return sent.wire.type == wanted
    return shape_declared(sent, wanted) != NULL or may_be_text(sent, wanted)


cdef void raise_mismatch(const char *detail, const char *hint) noexcept nogil:
    """Raise 42804."""
    raise_with_detail(ERRCODE_DATATYPE_MISMATCH, detail, hint,
                      b"remote query result rowtype does not match the specified FROM clause rowtype")


cdef const char *sent_type_name(SentColumn *sent, Job *job) noexcept nogil:
    """As this session writes it, or, where it does not know the type, as the job did."""
    if sent.shape == NULL or (job.identity.database == MyDatabaseId and does_type_exist(sent.wire.type)):
        return type_name(sent.wire.type, sent.wire.typmod if sent.shape == NULL else sent.shape.typmod)
    return shown_here(sent.shape.name, job.encoding)


cdef const char *column_here(SentColumn *sent, int i, Job *job) noexcept nogil:
    """The beginning of a message about a column, as this session writes names and types."""
    return psprintf(b"Column %d is \"%s\" of type %s", i + 1, shown_here(sent.wire.name, job.encoding),
                    sent_type_name(sent, job))


cdef bint can_come_here(Oid type, Job *job) noexcept nogil:
    """Whether values of a plain type can be brought into this database's encoding."""
    return job.encoding == GetDatabaseEncoding() or is_encoding_known(type)


cdef bint can_parts_come_here(Shape *shape, Job *job) noexcept nogil:
    """Whether all that the shape is made of can be brought into this database's encoding."""
    cdef bint can = True
    cdef int i = 0
    if shape.kind == SHAPE_PLAIN:
        return can_come_here(shape.type, job)
    if shape.kind == SHAPE_ENUM or shape.kind == SHAPE_WRITTEN:
        return True
    while can and i < shape.count:
        can = can_parts_come_here(&shape.parts[i], job)
        i += 1
    return can


cdef void raise_of_encoding(const char *what) noexcept nogil:
    """Raise 42804 for a type of which nobody knows which bytes are text."""
    raise_mismatch(psprintf(b"%s in the encoding of another database.", what), "Cast it to text in the job.")


cdef bint can_column_come_here(SentColumn *sent, Job *job) noexcept nogil:
    """Whether the column's values can be brought into this database's encoding."""
    return can_come_here(sent.wire.type, job) if sent.shape == NULL else can_parts_come_here(sent.shape, job)


cdef void check_encoding(SentColumn *sent, int i, Job *job) noexcept nogil:
    """Raise for a column whose bytes mean nothing here, in whatever form it is read."""
    if not can_column_come_here(sent, job):
        raise_of_encoding(column_here(sent, i, job))


cdef void raise_only_text(SentColumn *sent, int i, Job *job) noexcept nogil:
    """Raise 42804 for a column of a type that is not what it was, or not of this database."""
    raise_mismatch(psprintf(b"%s, which %s.", column_here(sent, i, job), b"has changed since the job ran"
                            if job.identity.database == MyDatabaseId else b"only the job's database knows"),
                   "Declare the column as text.")


cdef void check_in_force(SentColumn *sent, Shape *shape, int i, Job *job) noexcept nogil:
    """Raise 42804 for a type that is not what it was. Its composites stay as they are until the transaction ends."""
    if job.identity.database != MyDatabaseId or not is_shape_in_force(shape, LOCK_TYPES):
        raise_only_text(sent, i, job)


cdef int *live_columns(TupleDesc desc, int *count) noexcept nogil:
    """Numbers of the columns that are not dropped; allocates in the current memory context."""
    cdef int *live = <int *>palloc(sizeof(int) * (desc.natts + 1))
    cdef int i
    count[0] = 0
    for i in range(desc.natts):
        if not column(desc, i).attisdropped:
            live[count[0]] = i
            count[0] += 1
    return live


cdef void check_columns(SentColumn *sent, int count, TupleDesc wanted, Job *job) noexcept nogil:
    """Raise 42804 naming the first column that differs."""
    cdef int i, wanted_count
    cdef int *live = live_columns(wanted, &wanted_count)
    cdef FormData_pg_attribute *declared
    if count != wanted_count:
        raise_mismatch(psprintf(b"The query returns %d columns, the column list has %d.", count, wanted_count), NULL)
    for i in range(count):
        check_encoding(&sent[i], i, job)
        declared = column(wanted, live[i])
        if is_column_readable(&sent[i], declared.atttypid):
            continue
        if (sent[i].shape != NULL and job.identity.database != MyDatabaseId
                and sent[i].wire.type >= FirstUnpinnedObjectId):
            raise_only_text(&sent[i], i, job)
        raise_mismatch(psprintf(b"%s in the query%s type %s in the column list.", column_here(&sent[i], i, job),
                                b", which is read as text," if sent[i].shape != NULL
                                and not can_be_declared(sent[i].shape) else b",",
                                type_name(declared.atttypid, declared.atttypmod)), NULL)


# ---- how each column is taken

cdef TupleDesc sent_descriptor(SentColumn *sent, int count) noexcept nogil:
    """The row type in which rows travel, in the current memory context."""
    cdef TupleDesc desc = CreateTemplateTupleDesc(count)
    cdef int i
    for i in range(count):
        TupleDescInitEntry(desc, <int16_t>(i + 1), NULL, sent[i].wire.wire_type, sent[i].wire.typmod, 0)
    TupleDescFinalize(desc)
    return desc


cdef void start_conversion(Conversion *conversion, SentColumn *sent, int count, Job *job) noexcept nogil:
    """In the current memory context."""
    cdef int i
    conversion.context = CurrentMemoryContext
    conversion.assembly.encoding = job.encoding
    conversion.assembly.is_elsewhere = job.identity.database != MyDatabaseId
    conversion.assembly.locking = LOCK_TYPES
    conversion.sent = sent_descriptor(sent, count)
    conversion.columns = <TakenColumn *>palloc0(sizeof(TakenColumn) * (count + 1))
    for i in range(count):
        conversion.columns[i].place = i
        conversion.columns[i].wire_type = sent[i].wire.wire_type
        if job.encoding != GetDatabaseEncoding() and sent[i].shape == NULL:
            bring_plain(&conversion.columns[i], sent[i].wire.type, &conversion.assembly)
            conversion.needed |= conversion.columns[i].brings_text or conversion.columns[i].shape != NULL
    conversion.slot = MakeSingleTupleTableSlot(conversion.sent, TTSOpsMinimalTuple_address)
    conversion.row_context = create_context(CurrentMemoryContext, "pg_background conversion")


cdef void bring_plain(TakenColumn *column, Oid type, Assembly *assembly) noexcept nogil:
    """A column of a plain type from another encoding: text, or an array of it, of which each element is brought."""
    column.brings_text = holds_text(type)
    if holds_text(get_element_type(type)):
        column.shape = <Shape *>palloc0(sizeof(Shape))
        set_plain(column.shape, type)
        prepare_parts(column.shape, assembly)


cdef void plan_conversion(Conversion *conversion, SentColumn *sent, int count, TupleDesc wanted,
                          Job *job) noexcept nogil:
    """After check_columns; allocates in the current memory context."""
    cdef int i, live
    cdef int *places = live_columns(wanted, &live)
    start_conversion(conversion, sent, count, job)
    conversion.wanted = wanted
    conversion.needed |= count != wanted.natts
    for i in range(count):
        conversion.columns[i].place = places[i]
        plan_column(conversion, &conversion.columns[i], &sent[i], i, column(wanted, places[i]), job)
    make_room_for_row(conversion)


cdef void make_room_for_row(Conversion *conversion) noexcept nogil:
    """In the current memory context, for as long as the conversion lives."""
    conversion.values = <Datum *>palloc0(sizeof(Datum) * (conversion.wanted.natts + 1))
    conversion.nulls = <cbool *>palloc0(sizeof(cbool) * (conversion.wanted.natts + 1))
    if conversion.needed:
        conversion.assembly.expressions = CreateStandaloneExprContext()


cdef void plan_column(Conversion *conversion, TakenColumn *taken, SentColumn *sent, int i,
                      FormData_pg_attribute *declared, Job *job) noexcept nogil:
    """Decide how a column is taken: as it is, put together, or as text, and whether it is made to fit the declared
    typmod. Raises 42804 for a type that is not in force any more; locks its parts until the transaction ends."""
    cdef Oid type = declared.atttypid
    cdef int32_t typmod = sent.wire.typmod
    if sent.shape != NULL:
        taken.shape = shape_declared(sent, type)
        if taken.shape == NULL:
            write_column(taken, sent.shape, &conversion.assembly)
            typmod = -1
        elif taken.shape.kind == SHAPE_RECORD or taken.shape.type == RECORDARRAYOID:
            prepare_parts(taken.shape, &conversion.assembly)
        elif taken.shape.type < FirstUnpinnedObjectId and needs_no_shape(taken.shape.type):
            # what a domain is based on, which is the same everywhere
            prepare_parts(taken.shape, &conversion.assembly)
        else:
            check_in_force(sent, taken.shape, i, job)
            prepare_named(taken.shape)
        if taken.shape.kind == SHAPE_DOMAIN:
            # its values have the length that it gives them
            typmod = declared.atttypmod
    if job.encoding != GetDatabaseEncoding():
        # so many characters of the one may be more of the other
        typmod = -1
    conversion.needed |= taken.shape != NULL
    if declared.atttypmod >= 0 and declared.atttypmod != typmod:
        taken.fit = fit_to_typmod(type, typmod, declared.atttypmod)
        conversion.needed = True


cdef ExprState *fit_to_typmod(Oid type, int32_t sent, int32_t declared) noexcept nogil:
    """As an assignment does it, without a way through text, which would depend on settings; NULL: it fits."""
    cdef Node *expression = typmod_coercion(type, sent, declared)
    if expression == NULL:
        return NULL
    if not may_run(function_of_coercion(expression)):
        raise_with_hint(ERRCODE_INSUFFICIENT_PRIVILEGE, b"Declare the column without it.",
                        b"the length or precision of type %s is enforced by a function that no superuser owns",
                        type_name(type, -1))
    return prepare_expression(expression)


cdef void write_column(TakenColumn *taken, Shape *shape, Assembly *assembly) noexcept nogil:
    """As text, of what the shape alone tells."""
    taken.shape = shape
    taken.as_text = True
    prepare_parts(shape, assembly)
    prepare_output(&taken.output, shape.target)


# ---- rows

cdef void convert_row(Conversion *conversion) noexcept nogil:
    """The slot's row in the form that the reader declared, in the current memory context."""
    cdef TakenColumn *taken
    cdef Datum value
    cdef cbool is_null
    cdef int i
    slot_getallattrs(conversion.slot)
    memset(conversion.nulls, True, sizeof(cbool) * conversion.wanted.natts)
    for i in range(conversion.sent.natts):
        taken = &conversion.columns[i]
        value = conversion.slot.tts_values[i]
        is_null = conversion.slot.tts_isnull[i]
        if taken.shape != NULL:
            value = put_together(&conversion.assembly, taken.shape, value, is_null)
            if taken.as_text and not is_null:
                value = CStringGetTextDatum(OutputFunctionCall(&taken.output, value))
        elif taken.brings_text and not is_null:
            value = plain_here(taken.wire_type, value, conversion.assembly.encoding)
        if taken.fit != NULL:
            value = evaluate(taken.fit, conversion.assembly.expressions, value, is_null, &is_null)
        conversion.values[taken.place] = value
        conversion.nulls[taken.place] = is_null


cdef void store_converted(Conversion *conversion, Tuplestorestate *store) noexcept nogil:
    """Convert the row in the slot and store it; raises what the conversion raises."""
    cdef MemoryContext old = MemoryContextSwitchTo(conversion.row_context)
    convert_row(conversion)
    tuplestore_putvalues(store, conversion.wanted, conversion.values, conversion.nulls)
    MemoryContextSwitchTo(old)
    end_row(conversion)


cdef void end_row(Conversion *conversion) noexcept nogil:
    """Free what the row was made of, and what expressions have taken."""
    MemoryContextReset(conversion.row_context)
    if conversion.assembly.expressions != NULL:
        ReScanExprContext(conversion.assembly.expressions)


cdef void note_record(Conversion *conversion, Stream *stream) noexcept nogil:
    """The message tells what records with a number are made of."""
    cdef MemoryContext old = MemoryContextSwitchTo(conversion.context)
    cdef Shape *shape = <Shape *>palloc(sizeof(Shape))
    unpack_shape(shape, stream.data)
    # a job that still runs waits for this reader, which must not wait for what the job has locked
    conversion.assembly.locking = LOCK_TYPES if is_final(stream.job.state) else LOCK_FREE_TYPES
    if not can_parts_come_here(shape, stream.job):
        if shape.type != ANYARRAYOID:
            raise_of_encoding(b"A record of the result has a field of a type")
        # its text is left
        shape.count = ANY_ARRAY_VALUE
    add_record_shape(&conversion.assembly, <int>stream.count, shape)
    MemoryContextSwitchTo(old)


cdef void store_rows(Conversion *conversion, Tuplestorestate *store, char *data, uint32_t count) noexcept nogil:
    """Store the rows of one message, converted where the columns need it."""
    cdef MinimalTuple tuple
    cdef uint32_t _i
    for _i in range(count):
        tuple = <MinimalTuple>data
        if conversion.needed:
            ExecStoreMinimalTuple(tuple, conversion.slot, False)
            store_converted(conversion, store)
        else:
            store_tuple(store, conversion.slot, tuple)
        data += MAXALIGN(tuple.t_len)
