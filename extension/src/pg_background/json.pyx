# result_json: each row as one JSON object, for readers that know no columns.

cdef void plan_json(Reading *reading, WireColumn *sent, int count) noexcept nogil:
    """As plan_conversion, for rows that are not split into columns."""
    cdef Conversion *conversion = &reading.conversion
    cdef int i
    for i in range(count):
        check_known_here(&sent[i], i, reading.job)
    if reading.job.encoding != GetDatabaseEncoding():
        # text is brought into this encoding column by column
        plan_conversion(conversion, sent, count, BlessTupleDesc(sent_descriptor(sent, count)), reading.job)
        return
    conversion.sent = BlessTupleDesc(sent_descriptor(sent, count))
    conversion.slot = MakeSingleTupleTableSlot(conversion.sent, TTSOpsMinimalTuple_address)
    conversion.row_context = create_context(CurrentMemoryContext, "pg_background conversion")


cdef void store_json(Reading *reading, char *data, uint32_t count) noexcept nogil:
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
        MemoryContextReset(conversion.row_context)
        data += MAXALIGN(tuple.t_len)


cdef public Datum pgbg_result_json(FunctionCallInfo fcinfo) noexcept nogil:
    """A job without rows gives {"command_tag": …} for each statement."""
    cdef Reading reading
    memset(&reading, 0, sizeof(reading))
    reading.as_json = True
    reading.handle = handle_argument(fcinfo)
    read_result(fcinfo, &reading)
    return 0
