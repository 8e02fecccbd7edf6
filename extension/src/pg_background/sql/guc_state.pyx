# The serialised settings of a process, read one by one.

cdef struct Setting:
    # one entry of the serialised form
    char *name
    char *value
    char *rest                  # the file it is from, and then ...
    int32_t source
    int32_t context             # that it was set in
    Oid role                    # that has set it
    char *end


cdef char *after_text(char *text, char *end) noexcept nogil:
    """Past its NUL, or NULL where none comes."""
    cdef char *nul = <char *>memchr(text, 0, end - text) if text != NULL and text < end else NULL
    return nul + 1 if nul != NULL else NULL


cdef bint read_setting(char *place, char *end, Setting *setting) noexcept nogil:
    """The entry that begins there; False at the end."""
    cdef char *p
    if place >= end:
        return False
    setting.name = place
    setting.value = after_text(place, end)
    setting.rest = after_text(setting.value, end)
    p = after_text(setting.rest, end)
    if p != NULL and setting.rest[0] != 0:
        p += sizeof(int)        # the line in that file
    if p == NULL or p + SERIALIZED_ORIGIN_SIZE > end:
        raise_error(ERRCODE_INTERNAL_ERROR, b"unexpected form of serialized settings")
    memcpy(&setting.source, p, sizeof(int32_t))
    memcpy(&setting.context, p + sizeof(int32_t), sizeof(int32_t))
    setting.role = read_setting_role(p)
    setting.end = p + SERIALIZED_ORIGIN_SIZE
    return True


cdef bint is_named(Setting *setting, const char *name) noexcept nogil:
    return strcmp(setting.name, name) == 0
