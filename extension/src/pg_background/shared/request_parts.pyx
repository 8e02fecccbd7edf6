# Where the parts of a JobRequest lie.

cdef inline char *request_settings(JobRequest *request) noexcept nogil:
    return <char *>request + MAXALIGN(sizeof(JobRequest))


cdef inline char *request_libraries(JobRequest *request) noexcept nogil:
    return request_settings(request) + MAXALIGN(request.settings_size)


cdef inline char *request_sql(JobRequest *request) noexcept nogil:
    return request_libraries(request) + MAXALIGN(request.libraries_size)


cdef inline char *request_parameters(JobRequest *request) noexcept nogil:
    return request_sql(request) + request.sql_size + 1
