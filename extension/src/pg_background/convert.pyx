# The columns that the reader declares against those that the job sends.

cdef enum ColumnWay:
    TAKE_AS_IT_IS = 0
    TAKE_THROUGH_TEXT           # by output and input function, for another typmod

cdef struct Conversion:
    TupleDesc sent
    TupleDesc wanted
    bint needed                 # some column does not come as it is
    int *way                    # per column
    FmgrInfo *output
    FmgrInfo *input
    Oid *input_parameter
    Datum *values
    cbool *nulls
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


cdef void raise_mismatch(const char *detail, const char *hint) noexcept nogil:
    raise_with_detail(ERRCODE_DATATYPE_MISMATCH, detail, hint,
                      b"remote query result rowtype does not match the specified FROM clause rowtype")


cdef void check_columns(WireColumn *sent, int count, TupleDesc wanted, Oid database) noexcept nogil:
    """Raise 42804 naming the first column that differs. `database` is the job's, whose types may not be known here."""
    cdef int i
    cdef const char *as_text
    if count != wanted.natts:
        raise_mismatch(psprintf(b"The query returns %d columns, the column list has %d.", count, wanted.natts), NULL)
    for i in range(count):
        if database != MyDatabaseId and not is_known_elsewhere(&sent[i]):
            raise_mismatch(psprintf(b"Column %d is \"%s\" of a type that only the job's database knows.", i + 1,
                                    sent[i].name),
                           "Cast it to text in the job, or read the result in that database.")
        if is_column_readable(&sent[i], column(wanted, i).atttypid):
            continue
        as_text = ", which is read as text," if sent[i].wire_type != sent[i].type else ","
        raise_mismatch(psprintf(b"Column %d is \"%s\" of type %s in the query%s type %s in the column list.", i + 1,
                                sent[i].name, type_name(sent[i].type, sent[i].typmod), as_text,
                                type_name(column(wanted, i).atttypid, column(wanted, i).atttypmod)), NULL)


cdef void plan_conversion(Conversion *conversion, WireColumn *sent, int count, TupleDesc wanted) noexcept nogil:
    """After check_columns; allocates in the current memory context."""
    cdef int i
    cdef Oid function = InvalidOid
    cdef cbool is_varlena = False
    conversion.wanted = wanted
    conversion.needed = False
    conversion.sent = CreateTemplateTupleDesc(count)
    conversion.way = <int *>palloc0(sizeof(int) * (count + 1))
    conversion.output = <FmgrInfo *>palloc0(sizeof(FmgrInfo) * (count + 1))
    conversion.input = <FmgrInfo *>palloc0(sizeof(FmgrInfo) * (count + 1))
    conversion.input_parameter = <Oid *>palloc0(sizeof(Oid) * (count + 1))
    conversion.values = <Datum *>palloc0(sizeof(Datum) * (count + 1))
    conversion.nulls = <cbool *>palloc0(sizeof(cbool) * (count + 1))
    for i in range(count):
        TupleDescInitEntry(conversion.sent, <int16_t>(i + 1), sent[i].name, sent[i].wire_type, sent[i].typmod, 0)
        if column(wanted, i).atttypmod >= 0 and column(wanted, i).atttypmod != sent[i].typmod:
            conversion.needed = True
            conversion.way[i] = TAKE_THROUGH_TEXT
            getTypeOutputInfo(sent[i].wire_type, &function, &is_varlena)
            fmgr_info(function, &conversion.output[i])
            getTypeInputInfo(column(wanted, i).atttypid, &function, &conversion.input_parameter[i])
            fmgr_info(function, &conversion.input[i])
    conversion.slot = MakeSingleTupleTableSlot(conversion.sent, TTSOpsMinimalTuple_address)
    conversion.row_context = create_context(CurrentMemoryContext, "pg_background conversion")


cdef void store_converted(Conversion *conversion, Tuplestorestate *store) noexcept nogil:
    """Store the slot's row in the form that the reader declared."""
    cdef int i
    cdef char *text
    cdef MemoryContext old = MemoryContextSwitchTo(conversion.row_context)
    slot_getallattrs(conversion.slot)
    for i in range(conversion.wanted.natts):
        conversion.values[i] = conversion.slot.tts_values[i]
        conversion.nulls[i] = conversion.slot.tts_isnull[i]
        if conversion.way[i] == TAKE_THROUGH_TEXT and not conversion.nulls[i]:
            text = OutputFunctionCall(&conversion.output[i], conversion.values[i])
            conversion.values[i] = InputFunctionCall(&conversion.input[i], text, conversion.input_parameter[i],
                                                     column(conversion.wanted, i).atttypmod)
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
