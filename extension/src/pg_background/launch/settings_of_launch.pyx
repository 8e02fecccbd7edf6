# The settings of the launch point, as the launcher packs them: in the server's own serialised form, in which a worker
# restores them. What each job has of its own is not among them: its name and its trace, which the entry has.

cdef uint64_t placeholder_digest(const char *name) noexcept nogil:
    """For the sum over a set of names, which does not depend on their order."""
    return hash_bytes_extended(<const unsigned char *>name, <int>strlen(name), 0)


cdef bint is_placeholder(const char *name) noexcept nogil:
    """Whether no library defines it: whatever name with a dot is set becomes a setting."""
    return strchr(name, c'.') != NULL and (GetConfigOptionFlags(name, True) & GUC_CUSTOM_PLACEHOLDER) != 0


cdef inline bint is_of_each_job(Setting *setting) noexcept nogil:
    """Others with the same settings would not be taken for the same, if it were one of them."""
    return is_named(setting, b"application_name") or is_named(setting, b"pg_background.traceparent")


# ---- for a job in this database: all of them

cdef char *packed_settings          # for the last launch
cdef Size packed_capacity
cdef uint32_t packed_size
cdef uint64_t packed_hash
cdef Oid packed_role
cdef char *packed_from              # what they were made of: the server's form
cdef Size packed_from_size          # 0: the next launch packs anew
cdef Size packed_from_capacity


cdef void pack_settings(Launch *launch) noexcept nogil:
    """Into a buffer of this process's, without the launcher's name. Where nothing has changed since the last launch,
    all is as it was then."""
    global packed_from_size
    cdef Size size = serialize_settings()
    cdef char *to
    cdef char *place = settings_buffer + sizeof(Size)
    cdef char *end = settings_buffer + size
    cdef Setting setting
    launch.temp_buffers = num_temp_buffers
    if (size == packed_from_size and GetCurrentRoleId() == packed_role
            and memcmp(settings_buffer, packed_from, size) == 0):
        launch.settings = packed_settings
        launch.settings_size = packed_size
        launch.settings_hash = packed_hash
        return
    packed_from_size = 0
    ensure_capacity(&packed_settings, &packed_capacity, size)
    to = packed_settings + sizeof(Size)
    while read_setting(place, end, &setting):
        place = setting.end
        if is_of_each_job(&setting):
            continue
        if is_placeholder(setting.name):
            launch.placeholders += placeholder_digest(setting.name)
        memcpy(to, setting.name, setting.end - setting.name)
        to += setting.end - setting.name
    finish_settings(launch, packed_settings, to)
    if launch.placeholders == 0:
        note_packed(launch, size)


cdef void note_packed(Launch *launch, Size size) noexcept nogil:
    """Not for placeholders: a library that is loaded later makes settings of them, with the same names and values."""
    global packed_from_size, packed_size, packed_hash, packed_role
    ensure_capacity(&packed_from, &packed_from_capacity, size)
    memcpy(packed_from, settings_buffer, size)
    packed_size = launch.settings_size
    packed_hash = launch.settings_hash
    packed_role = GetCurrentRoleId()
    packed_from_size = size


cdef void finish_settings(Launch *launch, char *buffer, char *end) noexcept nogil:
    """The serialised form begins with the length of what follows."""
    cdef Size length = end - buffer - sizeof(Size)
    memcpy(buffer, &length, sizeof(Size))
    launch.settings = buffer
    launch.settings_size = <uint32_t>(end - buffer)
    launch.settings_hash = hash_bytes_extended(<const unsigned char *>buffer, <int>launch.settings_size,
                                               GetCurrentRoleId())


# ---- for a job in another database: what this session has set

cdef bint goes_elsewhere(Setting *setting) noexcept nogil:
    """Set by the session, or given by its client as it connected. Roles go as such, and what is of one transaction or
    of a connection's own stays."""
    if setting.source != PGC_S_CLIENT and setting.source < PGC_S_SESSION:
        return False
    return not (is_of_each_job(setting) or is_named(setting, b"client_encoding")
                or is_named(setting, b"role") or is_named(setting, b"session_authorization")
                or strncmp(setting.name, b"transaction_", 12) == 0)


cdef char *put_text(char *to, const char *text) noexcept nogil:
    cdef Size size = strlen(text) + 1
    memcpy(to, text, size)
    return to + size


cdef char *put_converted(char *to, char *text, int encoding) noexcept nogil:
    """Raises 22P05 for what that encoding lacks: left out, the job would run with another value."""
    cdef char *there = converted_for(text, encoding)
    to = put_text(to, there)
    if there != text:
        pfree(there)
    return to


cdef void pack_own_settings(Launch *launch) noexcept nogil:
    """Into memory of the caller's context, in the encoding of the job's database."""
    cdef Size size = serialize_settings()
    cdef char *packed = <char *>MemoryContextAllocExtended(CurrentMemoryContext, size * MAX_CONVERSION_GROWTH,
                                                           MCXT_ALLOC_HUGE)
    cdef char *to = packed + sizeof(Size)
    cdef char *place = settings_buffer + sizeof(Size)
    cdef char *end = settings_buffer + size
    cdef Setting setting
    while read_setting(place, end, &setting):
        place = setting.end
        if not goes_elsewhere(&setting):
            continue
        to = put_converted(to, setting.name, launch.encoding)
        if is_named(&setting, b"pg_background.notify_channel"):
            # it has been cut as long as names may be there, so that it is not refused
            to = put_text(to, launch.notify_channel)
        else:
            to = put_converted(to, setting.value, launch.encoding)
        memcpy(to, setting.rest, setting.end - setting.rest)
        to += setting.end - setting.rest
    if to - packed > setting_job_memory * <int64_t>1024:
        raise_out_of_job_memory()
    finish_settings(launch, packed, to)


# ---- its name

cdef void name_job(Launch *launch) noexcept nogil:
    """application_name in the job: pg_background:<label>:<pid of the launcher>, in printable ASCII, cut in the label.

    A definer's label is not for its caller, who can see the process.
    """
    cdef char pid[16]
    cdef int room
    cdef int used
    cdef const char *c = launch.label
    cdef char *name = launch.application_name
    snprintf(pid, sizeof(pid), b"%d", MyProcPid)
    used = snprintf(name, NAMEDATALEN, b"pg_background:")
    if c != NULL and c[0] != 0 and not launch.is_hidden:
        room = NAMEDATALEN - 2 - <int>strlen(pid)
        while c[0] != 0 and used < room:
            name[used] = c[0] if c" " <= c[0] <= c"~" else c"?"
            used += 1
            c += pg_mblen(c)
        name[used] = c":"
        used += 1
    snprintf(name + used, NAMEDATALEN - used, b"%s", pid)
