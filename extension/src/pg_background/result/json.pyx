# result_json: each row as one JSON object, for readers that know no columns.

cdef void plan_json(Reading *reading, SentColumn *sent, int count) noexcept nogil:
    """As plan_conversion, for rows that are not split into columns."""
    cdef Conversion *conversion = &reading.conversion
    cdef TakenColumn *taken
    cdef TupleDesc row = CreateTemplateTupleDesc(count)
    cdef Oid type
    cdef int32_t typmod
    cdef int i
    for i in range(count):
        check_encoding(&sent[i], i, reading.job)
    conversion.assembly.is_for_json = True
    start_conversion(conversion, sent, count, reading.job)
    for i in range(count):
        taken = &conversion.columns[i]
        type = sent[i].wire.type
        typmod = sent[i].wire.typmod
        if sent[i].shape != NULL:
            taken.shape = sent[i].shape
            prepare_parts(taken.shape, &conversion.assembly)
            type = taken.shape.target
            typmod = taken.shape.target_typmod
            conversion.needed |= taken.shape.is_changed
        TupleDescInitEntry(row, <int16_t>(i + 1), name_here(sent[i].wire.name, reading.job.encoding), type, typmod, 0)
    TupleDescFinalize(row)
    conversion.wanted = BlessTupleDesc(row)
    make_room_for_row(conversion)
    if not conversion.needed:
        # a slot with the names
        ExecDropSingleTupleTableSlot(conversion.slot)
        conversion.slot = MakeSingleTupleTableSlot(conversion.wanted, TTSOpsMinimalTuple_address)


cdef void store_json(Reading *reading, char *data, uint32_t count) noexcept nogil:
    """Store each row of a message as one JSON object; raises what the conversion of its values raises."""
    cdef Conversion *conversion = &reading.conversion
    cdef MinimalTuple tuple
    cdef MemoryContext old
    cdef Datum value
    cdef cbool is_null = False
    cdef uint32_t _i
    for _i in range(count):
        tuple = <MinimalTuple>data
        ExecStoreMinimalTuple(tuple, conversion.slot, False)
        old = MemoryContextSwitchTo(conversion.row_context)
        if conversion.needed:
            convert_row(conversion)
            value = HeapTupleGetDatum(heap_form_tuple(conversion.wanted, conversion.values, conversion.nulls))
        else:
            value = ExecFetchSlotHeapTupleDatum(conversion.slot)
        value = row_as_json(value)
        tuplestore_putvalues(reading.store, reading.wanted, &value, &is_null)
        MemoryContextSwitchTo(old)
        end_row(conversion)
        data += MAXALIGN(tuple.t_len)


cdef public Datum pgbg_result_json(FunctionCallInfo fcinfo) noexcept nogil:
    """A job without rows gives {"command_tag": …} for each statement."""
    cdef Reading reading
    memset(&reading, 0, sizeof(reading))
    reading.as_json = True
    reading.handle = handle_argument(fcinfo)
    read_result(fcinfo, &reading)
    return 0
