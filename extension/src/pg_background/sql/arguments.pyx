# Arguments of SQL functions.

cdef Oid argument_type(FunctionCallInfo fcinfo, int n) noexcept nogil:
    """As the function is declared; several functions share one symbol."""
    cdef Oid *types = NULL
    cdef int count = 0
    get_func_signature(function_oid(fcinfo), &types, &count)
    return types[n] if n < count else <Oid>InvalidOid


cdef cbool bool_argument(FunctionCallInfo fcinfo, int n) noexcept nogil:
    """A NULL is false."""
    return not arg_isnull(fcinfo, n) and arg_bool(fcinfo, n)


cdef int32_t int_argument(FunctionCallInfo fcinfo, int n) noexcept nogil:
    """A NULL is 0."""
    return 0 if arg_isnull(fcinfo, n) else arg_int32(fcinfo, n)
