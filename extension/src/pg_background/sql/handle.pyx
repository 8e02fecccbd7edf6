# Handles as arguments and results of SQL functions, and who may use one.

cdef struct Handle:
    int32_t pid
    uint64_t cookie
    int rest                    # number of the first argument after the handle


cdef Oid argument_type(FunctionCallInfo fcinfo, int n) noexcept nogil:
    cdef Oid *types = NULL
    cdef int count = 0
    get_func_signature(function_oid(fcinfo), &types, &count)
    return types[n] if n < count else <Oid>InvalidOid


cdef uint64_t parse_cookie(const char *value) noexcept nogil:
    """Decimal or 0x hexadecimal, as PostgreSQL 16 and later read int8 literals; else 22P02."""
    cdef const char *p = value
    cdef uint64_t cookie = 0
    cdef uint64_t digit
    cdef uint64_t base = 10
    cdef char c
    while p[0] == c' ':
        p += 1
    if p[0] == c'0' and (p[1] == c'x' or p[1] == c'X'):
        base = 16
        p += 2
    if p[0] == 0:
        base = 0
    while base != 0 and p[0] != 0:
        c = p[0]
        if c'0' <= c <= c'9':
            digit = c - c'0'
        elif base == 16 and c'a' <= c <= c'f':
            digit = c - c'a' + 10
        elif base == 16 and c'A' <= c <= c'F':
            digit = c - c'A' + 10
        else:
            break
        if cookie > (<uint64_t>0x7fffffffffffffff - digit) // base:
            break
        cookie = cookie * base + digit
        p += 1
    while base != 0 and p[0] == c' ':
        p += 1
    if base == 0 or p[0] != 0:
        raise_error(ERRCODE_INVALID_TEXT_REPRESENTATION, b"invalid cookie: \"%s\"", value)
    return cookie


cdef Handle composite_handle(HeapTupleHeader record) noexcept nogil:
    """A value of the type pg_background_handle."""
    cdef Handle handle
    cdef cbool pid_is_null = False
    cdef cbool cookie_is_null = False
    memset(&handle, 0, sizeof(handle))
    handle.pid = DatumGetInt32(GetAttributeByNum(record, 1, &pid_is_null))
    handle.cookie = <uint64_t>DatumGetInt64(GetAttributeByNum(record, 2, &cookie_is_null))
    if pid_is_null or cookie_is_null:
        raise_error(ERRCODE_NULL_VALUE_NOT_ALLOWED, b"a background job's handle must not have NULLs")
    return handle


cdef Datum handle_datum(TupleDesc row, Handle *handle) noexcept nogil:
    cdef Datum values[2]
    cdef cbool nulls[2]
    values[0] = Int32GetDatum(handle.pid)
    values[1] = Int64GetDatum(<int64_t>handle.cookie)
    memset(nulls, 0, sizeof(nulls))
    return HeapTupleGetDatum(heap_form_tuple(row, values, nulls))


cdef Handle handle_at(FunctionCallInfo fcinfo, int n) noexcept nogil:
    """The handle that begins at argument n: (pid int4, cookie int8 or text) or one composite value."""
    cdef Handle handle
    if argument_type(fcinfo, n) == INT4OID:
        handle.pid = arg_int32(fcinfo, n)
        if argument_type(fcinfo, n + 1) == TEXTOID:
            handle.cookie = parse_cookie(text_to_cstring(arg_text(fcinfo, n + 1)))
        else:
            handle.cookie = <uint64_t>arg_int64(fcinfo, n + 1)
        handle.rest = n + 2
        return handle
    handle = composite_handle(arg_record(fcinfo, n))
    handle.rest = n + 1
    return handle


cdef Handle handle_argument(FunctionCallInfo fcinfo) noexcept nogil:
    """The handle that a call begins with; a bare pid where it is all that there is."""
    if arg_count(fcinfo) == 1 and argument_type(fcinfo, 0) == INT4OID:
        return bare_pid_handle(arg_int32(fcinfo, 0))
    return handle_at(fcinfo, 0)


cdef TupleDesc row_type(FunctionCallInfo fcinfo) noexcept nogil:
    """The composite type that the function is declared to return."""
    cdef TupleDesc desc = NULL
    if get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE:
        raise_error(ERRCODE_DATATYPE_MISMATCH, b"return type must be a row type")
    return BlessTupleDesc(desc)


cdef Datum row_datum(FunctionCallInfo fcinfo, Datum *values, cbool *nulls) noexcept nogil:
    return HeapTupleGetDatum(heap_form_tuple(row_type(fcinfo), values, nulls))


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


cdef Tuplestorestate *rows_of_declared_type(FunctionCallInfo fcinfo, TupleDesc *desc) noexcept nogil:
    """An empty result of the rows that the function is declared to return, in FROM or elsewhere."""
    cdef ReturnSetInfo *info = result_set_info(fcinfo)
    cdef MemoryContext old
    if info == NULL or (info.allowedModes & SFRM_Materialize) == 0:
        raise_error(ERRCODE_FEATURE_NOT_SUPPORTED,
                    b"set-valued function called in context that cannot accept a set")
    old = MemoryContextSwitchTo(per_query_memory(info))
    desc[0] = CreateTupleDescCopy(row_type(fcinfo))
    MemoryContextSwitchTo(old)
    return open_rows(info, desc[0])


cdef void raise_unknown(int32_t pid) noexcept nogil:
    raise_error(ERRCODE_UNDEFINED_OBJECT, b"PID %d is not attached to this session", pid)


cdef bint has_right(Oid owner, Oid also_allowed) noexcept nogil:
    """Whether the current role may use the jobs of this one; `also_allowed` as in find_job."""
    if has_privs_of_role(GetUserId(), owner):
        return True
    if also_allowed == InvalidOid or not has_privs_of_role(GetUserId(), also_allowed):
        return False
    # as in pg_cancel_backend
    return also_allowed != ROLE_PG_SIGNAL_BACKEND or not superuser_arg(owner)


cdef void require_right(Oid owner, Oid also_allowed, int32_t pid) noexcept nogil:
    if not has_right(owner, also_allowed):
        raise_error(ERRCODE_INSUFFICIENT_PRIVILEGE,
                    b"permission denied for background worker with PID \"%d\"", pid)


cdef Job *find_job(Handle *handle, Oid also_allowed) noexcept nogil:
    """The tracked job of this handle; raises 42704, 55000 or 42501. Join the sessions first.

    `also_allowed` is a predefined role whose members may act on every job, or InvalidOid. The entry may be
    reused as soon as the lock is free: compare the cookie again under the lock before acting on it.
    """
    cdef Job *job
    cdef Oid owner = InvalidOid
    cdef bint known = False
    cdef bint is_stale = False
    share_registry()
    job = find_by_cookie(handle.cookie)
    if job == NULL or job.pid != handle.pid:
        is_stale = is_pid_tracked(handle.pid)
    elif job.tracked:
        known = True
        owner = job.identity.user
    unlock_registry()
    if not known:
        if is_stale:
            raise_with_hint(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, b"The handle is stale.",
                            b"cookie mismatch for PID %d", handle.pid)
        raise_unknown(handle.pid)
    require_right(owner, also_allowed, handle.pid)
    return job
