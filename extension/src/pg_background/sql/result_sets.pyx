# Rows as results of SQL functions.

cdef TupleDesc row_type(FunctionCallInfo fcinfo, const char *types) noexcept nogil:
    """The composite type that the function is declared to return; raises 55000 if it has other columns than these."""
    cdef TupleDesc desc = NULL
    if get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE:
        raise_error(ERRCODE_DATATYPE_MISMATCH, b"return type must be a row type")
    require_shape(desc, types)
    return BlessTupleDesc(desc)


cdef Datum row_datum(FunctionCallInfo fcinfo, const char *types, Datum *values, cbool *nulls) noexcept nogil:
    """A row of the type that the function is declared to return, of values of these types."""
    cdef Oid type = get_fn_expr_rettype(fcinfo.flinfo)
    cdef TupleDesc desc
    cdef Datum row
    if type == InvalidOid or type == RECORDOID:
        return HeapTupleGetDatum(heap_form_tuple(row_type(fcinfo, types), values, nulls))
    # of a type that has a name the server keeps the description; row_type copies it twice
    desc = lookup_rowtype_tupdesc(type, -1)
    require_shape(desc, types)
    row = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls))
    ReleaseTupleDesc(desc)
    return row


cdef Tuplestorestate *open_rows(ReturnSetInfo *info, TupleDesc desc) noexcept nogil:
    """An empty result of such rows, both of which must live as long as the query."""
    cdef MemoryContext old = MemoryContextSwitchTo(per_query_memory(info))
    cdef Tuplestorestate *store = tuplestore_begin_heap((info.allowedModes & SFRM_Materialize_Random) != 0, False,
                                                        work_mem)
    info.returnMode = SFRM_Materialize
    info.setResult = store
    info.setDesc = desc
    MemoryContextSwitchTo(old)
    return store


cdef Tuplestorestate *rows_of_declared_type(FunctionCallInfo fcinfo, const char *types, TupleDesc *desc) noexcept nogil:
    """An empty result of the rows that the function is declared to return, in FROM or elsewhere, with such columns."""
    cdef ReturnSetInfo *info = result_set_info(fcinfo)
    cdef MemoryContext old
    if info == NULL or (info.allowedModes & SFRM_Materialize) == 0:
        raise_error(ERRCODE_FEATURE_NOT_SUPPORTED,
                    b"set-valued function called in context that cannot accept a set")
    old = MemoryContextSwitchTo(per_query_memory(info))
    desc[0] = CreateTupleDescCopy(row_type(fcinfo, types))
    MemoryContextSwitchTo(old)
    return open_rows(info, desc[0])


cdef Tuplestorestate *materialized(FunctionCallInfo fcinfo, TupleDesc *wanted) noexcept nogil:
    """An empty result in the form that the caller declared; raises 0A000 outside of FROM."""
    cdef ReturnSetInfo *info = result_set_info(fcinfo)
    cdef MemoryContext old
    if info == NULL or (info.allowedModes & SFRM_Materialize) == 0 or info.expectedDesc == NULL:
        raise_with_hint(ERRCODE_FEATURE_NOT_SUPPORTED,
                        b"Call the function in the FROM clause, with a column definition list.",
                        b"function returning record called in context that cannot accept type record")
    old = MemoryContextSwitchTo(per_query_memory(info))
    wanted[0] = CreateTupleDescCopy(info.expectedDesc)
    MemoryContextSwitchTo(old)
    return open_rows(info, wanted[0])


cdef Tuplestorestate *materialized_as(FunctionCallInfo fcinfo, const char *types, TupleDesc *declared) noexcept nogil:
    """The same for a function whose columns are declared with it: they must be such."""
    cdef Tuplestorestate *store = materialized(fcinfo, declared)
    require_shape(declared[0], types)
    return store
