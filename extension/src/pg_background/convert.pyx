# The columns that the reader declares against those that the job sends.

cdef enum ColumnWay:
    TAKE_AS_IT_IS = 0
    TAKE_THROUGH_TEXT           # by output and input function: for another typmod, or from another encoding

cdef struct Conversion:
    TupleDesc sent
    TupleDesc wanted
    bint needed                 # some column does not come as it is
    int *place                  # of a sent column among the wanted ones: a table's row type may have dropped ones
    int *way                    # per sent column
    FmgrInfo *output
    FmgrInfo *input
    Oid *input_parameter
    Datum *values
    cbool *nulls
    int encoding                # of the job's database
    TupleTableSlot *slot
    MemoryContext row_context


cdef inline bint does_type_exist(Oid type) noexcept nogil:
    """The job may have dropped it, or others since."""
    return get_typtype(type) != 0


cdef inline bint is_same_type(Oid sent, Oid wanted) noexcept nogil:
    """The same, or the wanted type is what the sent domain is based on: the same bytes."""
    return sent == wanted or (does_type_exist(sent) and getBaseType(sent) == wanted)


cdef bint is_column_readable(WireColumn *sent, Oid wanted) noexcept nogil:
    if sent.wire_type != sent.type:
        return wanted == TEXTOID or wanted == VARCHAROID
    return is_same_type(sent.type, wanted)


cdef inline bint is_known_elsewhere(WireColumn *sent) noexcept nogil:
    """Whether the type as sent is the same in every database."""
    return sent.wire_type < FirstUnpinnedObjectId


cdef bint is_encoding_known(WireColumn *sent) noexcept nogil:
    """Whether the type holds no text, or nothing else: others cannot be brought from one encoding into another."""
    return (get_typlen(sent.wire_type) > 0 or is_plain_text(sent.wire_type) or sent.wire_type == NUMERICOID
            or sent.wire_type == BYTEAOID or sent.wire_type == VARBITOID or sent.wire_type == BITOID
            or sent.wire_type == INETOID or sent.wire_type == CIDROID)


cdef inline bint is_plain_text(Oid type) noexcept nogil:
    """Whether its output function gives the bytes as they are."""
    return (type == TEXTOID or type == VARCHAROID or type == BPCHAROID or type == JSONOID or type == XMLOID
            or type == NAMEOID)


cdef void raise_mismatch(const char *detail, const char *hint) noexcept nogil:
    raise_with_detail(ERRCODE_DATATYPE_MISMATCH, detail, hint,
                      b"remote query result rowtype does not match the specified FROM clause rowtype")


cdef void check_known_here(WireColumn *sent, int i, Job *job) noexcept nogil:
    """Raise 42804 for a column that means nothing in this database."""
    if job.identity.database != MyDatabaseId and not is_known_elsewhere(sent):
        raise_mismatch(psprintf(b"Column %d is \"%s\" of a type that only the job's database knows.", i + 1,
                                lossy_to_server(sent.name, job.encoding)),
                       "Cast it to text in the job, or read the result in that database.")
    if job.encoding != GetDatabaseEncoding() and not is_encoding_known(sent):
        raise_mismatch(psprintf(b"Column %d is \"%s\" of type %s in the encoding of another database.", i + 1,
                                lossy_to_server(sent.name, job.encoding), type_name(sent.type, sent.typmod)),
                       "Cast it to text in the job.")


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


cdef void check_columns(WireColumn *sent, int count, TupleDesc wanted, Job *job) noexcept nogil:
    """Raise 42804 naming the first column that differs."""
    cdef int i, wanted_count
    cdef int *live = live_columns(wanted, &wanted_count)
    cdef FormData_pg_attribute *declared
    cdef const char *as_text
    if count != wanted_count:
        raise_mismatch(psprintf(b"The query returns %d columns, the column list has %d.", count, wanted_count), NULL)
    for i in range(count):
        check_known_here(&sent[i], i, job)
        declared = column(wanted, live[i])
        if is_column_readable(&sent[i], declared.atttypid):
            continue
        as_text = ", which is read as text," if sent[i].wire_type != sent[i].type else ","
        raise_mismatch(psprintf(b"Column %d is \"%s\" of type %s in the query%s type %s in the column list.", i + 1,
                                lossy_to_server(sent[i].name, job.encoding),
                                type_name(sent[i].type, sent[i].typmod), as_text,
                                type_name(declared.atttypid, declared.atttypmod)), NULL)


cdef TupleDesc sent_descriptor(WireColumn *sent, int count) noexcept nogil:
    cdef TupleDesc desc = CreateTemplateTupleDesc(count)
    cdef int i
    for i in range(count):
        TupleDescInitEntry(desc, <int16_t>(i + 1), sent[i].name, sent[i].wire_type, sent[i].typmod, 0)
    return desc


cdef void plan_conversion(Conversion *conversion, WireColumn *sent, int count, TupleDesc wanted,
                          Job *job) noexcept nogil:
    """After check_columns; allocates in the current memory context."""
    cdef int i, live
    cdef Oid function = InvalidOid
    cdef cbool is_varlena = False
    cdef FormData_pg_attribute *declared
    cdef bint elsewhere = job.encoding != GetDatabaseEncoding()
    conversion.wanted = wanted
    conversion.encoding = job.encoding
    conversion.needed = count != wanted.natts
    conversion.sent = sent_descriptor(sent, count)
    conversion.place = live_columns(wanted, &live)
    conversion.way = <int *>palloc0(sizeof(int) * (count + 1))
    conversion.output = <FmgrInfo *>palloc0(sizeof(FmgrInfo) * (count + 1))
    conversion.input = <FmgrInfo *>palloc0(sizeof(FmgrInfo) * (count + 1))
    conversion.input_parameter = <Oid *>palloc0(sizeof(Oid) * (count + 1))
    conversion.values = <Datum *>palloc0(sizeof(Datum) * (wanted.natts + 1))
    conversion.nulls = <cbool *>palloc0(sizeof(cbool) * (wanted.natts + 1))
    for i in range(count):
        declared = column(wanted, conversion.place[i])
        if ((declared.atttypmod >= 0 and declared.atttypmod != sent[i].typmod)
                or (elsewhere and is_plain_text(sent[i].wire_type))):
            conversion.needed = True
            conversion.way[i] = TAKE_THROUGH_TEXT
            getTypeOutputInfo(sent[i].wire_type, &function, &is_varlena)
            fmgr_info(function, &conversion.output[i])
            getTypeInputInfo(declared.atttypid, &function, &conversion.input_parameter[i])
            fmgr_info(function, &conversion.input[i])
    conversion.slot = MakeSingleTupleTableSlot(conversion.sent, TTSOpsMinimalTuple_address)
    conversion.row_context = create_context(CurrentMemoryContext, "pg_background conversion")


cdef void convert_row(Conversion *conversion) noexcept nogil:
    """The slot's row in the form that the reader declared, in the current memory context."""
    cdef int i, to
    cdef char *text
    slot_getallattrs(conversion.slot)
    memset(conversion.nulls, True, sizeof(cbool) * conversion.wanted.natts)
    for i in range(conversion.sent.natts):
        to = conversion.place[i]
        conversion.values[to] = conversion.slot.tts_values[i]
        conversion.nulls[to] = conversion.slot.tts_isnull[i]
        if conversion.way[i] == TAKE_THROUGH_TEXT and not conversion.nulls[to]:
            text = OutputFunctionCall(&conversion.output[i], conversion.values[to])
            text = pg_any_to_server(text, <int>strlen(text), conversion.encoding)
            conversion.values[to] = InputFunctionCall(&conversion.input[i], text, conversion.input_parameter[i],
                                                      column(conversion.wanted, to).atttypmod)


cdef void store_converted(Conversion *conversion, Tuplestorestate *store) noexcept nogil:
    cdef MemoryContext old = MemoryContextSwitchTo(conversion.row_context)
    convert_row(conversion)
    tuplestore_putvalues(store, conversion.wanted, conversion.values, conversion.nulls)
    MemoryContextSwitchTo(old)
    MemoryContextReset(conversion.row_context)


cdef void store_rows(Conversion *conversion, Tuplestorestate *store, char *data, uint32_t count) noexcept nogil:
    cdef MinimalTuple tuple
    cdef uint32_t _i
    for _i in range(count):
        tuple = <MinimalTuple>data
        ExecStoreMinimalTuple(tuple, conversion.slot, False)
        if conversion.needed:
            store_converted(conversion, store)
        else:
            tuplestore_puttupleslot(store, conversion.slot)
        data += MAXALIGN(tuple.t_len)
