# Handles as arguments and results of SQL functions.

cdef struct Handle:
    int32_t pid
    uint64_t cookie
    int rest                    # number of the first argument after the handle


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
    handle.pid = DatumGetInt32(GetAttributeByNum(record, HANDLE_PID + 1, &pid_is_null))
    handle.cookie = <uint64_t>DatumGetInt64(GetAttributeByNum(record, HANDLE_COOKIE + 1, &cookie_is_null))
    if pid_is_null or cookie_is_null:
        raise_error(ERRCODE_NULL_VALUE_NOT_ALLOWED, b"a background job's handle must not have NULLs")
    return handle


cdef Datum handle_datum(TupleDesc row, Handle *handle) noexcept nogil:
    """A value of the type pg_background_handle, in the current memory context."""
    cdef Datum values[HANDLE_COLUMNS]
    cdef cbool nulls[HANDLE_COLUMNS]
    values[HANDLE_PID] = Int32GetDatum(handle.pid)
    values[HANDLE_COOKIE] = Int64GetDatum(<int64_t>handle.cookie)
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
