# Custom settings that no library defines: setting one makes it known to the process, and nothing can make it unknown
# again. A job must see those of its launcher only, so a worker in which others are known takes no job but of a launcher
# that has exactly those.

cdef Size variables_gauge               # as of the last count
cdef uint64_t placeholders_at_first     # those that every process has, from the configuration


cdef uint64_t count_placeholders() noexcept nogil:
    """The digest of those that are known here."""
    cdef uint64_t digest = 0
    cdef int count = 0
    cdef int i
    cdef config_generic **variables = list_variables(&count)
    for i in range(count):
        if variables[i].flags & GUC_CUSTOM_PLACEHOLDER:
            digest += placeholder_digest(variables[i].name)
    release_variables(variables)
    return digest


cdef void note_placeholders() noexcept nogil:
    """Let launches know which custom settings are known here beside those that any process has."""
    global variables_gauge
    cdef uint64_t digest = count_placeholders()
    my_worker.placeholders = digest if digest != placeholders_at_first else 0
    variables_gauge = gauge_variables()


cdef inline bint are_variables_the_same() noexcept nogil:
    """Whether none was made since the last count, as long as the values are the same, too."""
    return gauge_variables() == variables_gauge
