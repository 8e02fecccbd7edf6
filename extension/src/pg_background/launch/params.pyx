# Bound parameters: the values of $1, $2, … as texts, whose types the statement itself tells.

cdef void pack_parameters(Launch *launch) noexcept nogil:
    """The array as it travels: of each value its length, -1 for a NULL, and its text with a NUL."""
    cdef Datum *values = NULL
    cdef cbool *nulls = NULL
    cdef char **texts
    cdef char *place
    cdef int32_t size
    cdef int count = 0
    cdef int i
    launch.parameter_count = -1
    if launch.parameters == NULL:
        return
    if array_dimensions(launch.parameters) > 1:
        raise_error(ERRCODE_ARRAY_SUBSCRIPT_ERROR, b"params must be a one-dimensional array")
    if launch.each_statement:
        raise_with_hint(ERRCODE_INVALID_PARAMETER_VALUE, b"A job with parameters is a single statement.",
                        b"params cannot be used with each_statement")
    deconstruct_array(launch.parameters, TEXTOID, -1, False, c'i', &values, &nulls, &count)
    if count > MAX_PARAMETERS:
        raise_error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, b"too many parameters: %d, the limit is %d", count,
                    <int>MAX_PARAMETERS)
    launch.parameter_count = count
    texts = <char **>palloc0(sizeof(char *) * (count + 1))
    for i in range(count):
        launch.parameters_size += sizeof(int32_t)
        if nulls[i]:
            continue
        texts[i] = converted_for(TextDatumGetCString(values[i]), launch.encoding)
        launch.parameters_size += <uint32_t>strlen(texts[i]) + 1
    launch.packed_parameters = <char *>palloc(launch.parameters_size + 1)
    place = launch.packed_parameters
    for i in range(count):
        size = -1 if texts[i] == NULL else <int32_t>strlen(texts[i])
        memcpy(place, &size, sizeof(size))
        place += sizeof(size)
        if size >= 0:
            memcpy(place, texts[i], size + 1)
            place += size + 1


cdef char **parameter_texts(JobRequest *request) noexcept nogil:
    """NULL where the value is; they lie in the request, which stays while the job runs."""
    cdef char **texts = <char **>palloc0(sizeof(char *) * (request.parameters + 1))
    cdef char *place = request_parameters(request)
    cdef int32_t size = 0
    cdef int i
    for i in range(request.parameters):
        memcpy(&size, place, sizeof(size))
        place += sizeof(size)
        if size >= 0:
            texts[i] = place
            place += size + 1
    return texts


cdef void *bind_parameters(JobRequest *request, Oid *types, int count) noexcept nogil:
    """The values in the types that the analysis has found, in the current memory context."""
    cdef char **texts = parameter_texts(request)
    cdef void *parameters
    cdef Oid function = InvalidOid
    cdef Oid element = InvalidOid
    cdef Datum value
    cdef int i
    if count != request.parameters:
        raise_with_detail(ERRCODE_SYNTAX_ERROR,
                          psprintf(b"The statement has %d, and %d were given.", count, request.parameters), NULL,
                          b"wrong number of parameters")
    parameters = makeParamList(count)
    for i in range(count):
        getTypeInputInfo(types[i], &function, &element)
        # of a NULL too: a domain may forbid it
        value = OidInputFunctionCall(function, texts[i], element, -1)
        set_parameter(parameters, i, types[i], value, texts[i] == NULL)
    return parameters


cdef const char *parameters_for_log(JobRequest *request) noexcept nogil:
    """As log_parameter_max_length wants them in the log, or NULL."""
    cdef char **texts
    cdef void *parameters
    cdef int i
    if request.parameters <= 0 or log_parameter_max_length == 0:
        return NULL
    texts = parameter_texts(request)
    parameters = makeParamList(request.parameters)
    for i in range(request.parameters):
        set_parameter(parameters, i, TEXTOID, 0, texts[i] == NULL)
    return psprintf(b"Parameters: %s", BuildParamLogString(parameters, texts, log_parameter_max_length))
