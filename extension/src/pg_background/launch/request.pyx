# Writing what a job is told: its SQL and parameters, and the settings and libraries of the launch point.

cdef char *settings_buffer
cdef Size settings_capacity
cdef char *libraries_buffer
cdef Size libraries_capacity


cdef void ensure_capacity(char **buffer, Size *capacity, Size size) noexcept nogil:
    """For a buffer that lives as long as the process; its content is lost when it grows."""
    if size <= capacity[0]:
        return
    if buffer[0] != NULL:
        pfree(buffer[0])
        buffer[0] = NULL
        capacity[0] = 0
    buffer[0] = <char *>MemoryContextAlloc(TopMemoryContext, size * 2)
    capacity[0] = size * 2


cdef uint32_t serialize_libraries() noexcept nogil:
    """The libraries that this process has loaded, in libraries_buffer; returns their size."""
    cdef Size size = EstimateLibraryStateSpace()
    ensure_capacity(&libraries_buffer, &libraries_capacity, size)
    memset(libraries_buffer, 0, size)
    SerializeLibraryState(size, libraries_buffer)
    return <uint32_t>size


cdef Size serialize_settings() noexcept nogil:
    """This process's settings in settings_buffer; returns their size. Raises 53200 for huge ones."""
    cdef Size size = EstimateGUCStateSpace()
    if size > MaxAllocSize // 2 or size > <Size>setting_job_memory * 1024:
        # no worker could be told them
        raise_out_of_job_memory()
    ensure_capacity(&settings_buffer, &settings_capacity, size)
    SerializeGUCState(size, settings_buffer)
    # the estimate was an upper bound
    memcpy(&size, settings_buffer, sizeof(Size))
    return size + sizeof(Size)


cdef Size request_bytes(Launch *launch) noexcept nogil:
    """Size of the request in job memory; write_request fills all of it."""
    return (MAXALIGN(sizeof(JobRequest)) + MAXALIGN(launch.settings_size) + MAXALIGN(launch.libraries_size)
            + launch.sql_size + 1 + launch.parameters_size + launch.system_user_size)


cdef void write_request(void *place, Launch *launch) noexcept nogil:
    """Pack what the job is told into `place`, of request_bytes. Between its allocation and accept_job: nothing raises
    here."""
    cdef JobRequest *request = <JobRequest *>place
    request.settings_size = launch.settings_size
    request.libraries_size = launch.libraries_size
    request.sql_size = launch.sql_size
    request.parameters_size = launch.parameters_size
    request.system_user_size = launch.system_user_size
    request.parameters = launch.parameter_count
    request.each_statement = launch.each_statement
    # of a job that can only read, whatever it has set since
    request.read_only = setting_read_only or job_is_read_only
    request.worker_timeout = setting_worker_timeout
    request.role = GetCurrentRoleId()
    copy_client_address(&request.client)
    memcpy(request.application_name, launch.application_name, NAMEDATALEN)
    memcpy(request.notify_channel, launch.notify_channel, NAMEDATALEN)
    memcpy(request_settings(request), launch.settings, launch.settings_size)
    # For a job that takes none the buffer may not have been made yet, and memcpy must not get NULL.
    if launch.libraries_size > 0:
        memcpy(request_libraries(request), libraries_buffer, launch.libraries_size)
    memcpy(request_sql(request), launch.sql, launch.sql_size)
    request_sql(request)[launch.sql_size] = 0
    if launch.parameters_size > 0:
        memcpy(request_parameters(request), launch.packed_parameters, launch.parameters_size)
    if launch.system_user_size > 0:
        write_system_user(launch.system_user_size, request_system_user(request))


cdef inline char *request_system_user(JobRequest *request) noexcept nogil:
    return request_parameters(request) + request.parameters_size
