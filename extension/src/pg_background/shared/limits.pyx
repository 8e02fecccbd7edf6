# What a role or a database may take of what all share, and what stays for superusers and roles with privileges of
# pg_use_reserved_connections (16 and later). Who has a right to that is decided by the login role, as its limits are:
# a SECURITY DEFINER function of a superuser opens the reserve to nobody.

cdef enum:
    FREE_PLACES = 2                     # that stay when workers are started ahead
    LEAST_RESERVED_MEMORY = 1048576     # some jobs with queues of the default size

cdef enum Refusal:
    ACCEPTED = 0
    IS_DRAINING
    SESSION_IS_FULL
    REGISTRY_IS_FULL
    REST_IS_RESERVED
    ROLE_HAS_ALL_JOBS
    ROLE_HAS_ALL_WORKERS
    ROLE_HAS_ALL_MEMORY
    DATABASE_HAS_ALL_JOBS
    DATABASE_HAS_ALL_WORKERS


cdef inline bint may_take_reserve(Oid login) noexcept nogil:
    """May look into the catalogs: never under the lock."""
    return superuser_arg(login) or may_use_reserved(login)


cdef int32_t reserved_jobs() noexcept nogil:
    """Never more than half of all, however few these are."""
    cdef int32_t half = registry.jobs_size // 2
    return setting_reserved_jobs if setting_reserved_jobs < half else half


cdef int most_workers(bint has_reserve) noexcept nogil:
    """Processes that there may be for a job to get another; one for everybody at least."""
    cdef int most = total_worker_limit()
    if has_reserve:
        return most
    return most - setting_reserved_workers if most > setting_reserved_workers else 1


cdef inline int most_ahead() noexcept nogil:
    """Processes that there may be for one to be started ahead of need: the last two places stay free, and the
    reserved ones."""
    return total_worker_limit() - (setting_reserved_workers if setting_reserved_workers > FREE_PLACES else FREE_PLACES)


cdef uint64_t most_memory(bint has_reserve) noexcept nogil:
    """Of the shared area, in bytes: a like share as of the entries is reserved, and not less than a few jobs take."""
    cdef uint64_t all = <uint64_t>setting_job_memory * 1024
    cdef uint64_t reserve = all * reserved_jobs() // registry.jobs_size
    if has_reserve or reserve == 0:
        return all
    return all - (reserve if reserve > LEAST_RESERVED_MEMORY else LEAST_RESERVED_MEMORY)


cdef uint64_t most_file_bytes(bint has_reserve) noexcept nogil:
    cdef uint64_t all = <uint64_t>setting_max_total_result_size * 1024
    return all if has_reserve else all - all * reserved_jobs() // registry.jobs_size


cdef inline bint is_reached(int32_t count, int32_t limit) noexcept nogil:
    return limit > 0 and count >= limit


cdef inline bint does_role_memory_fit(Usage *role, Limits *limits, int64_t size) noexcept nogil:
    """Whether a piece of so many bytes keeps the role, NULL where it has nothing yet, within its limit; under the
    lock."""
    return limits.memory == 0 or (role.memory if role != NULL else 0) + size <= <int64_t>limits.memory * 1024


# ---- the limits in force here

cdef void read_limits(Limits *role, Limits *database) noexcept nogil:
    """Of the login role of this session, and of its database."""
    memset(database, 0, sizeof(Limits))
    role.jobs = setting_max_role_jobs
    role.workers = setting_max_role_workers
    role.memory = setting_max_role_memory
    role.result_size = setting_max_role_result_size
    database.jobs = setting_max_database_jobs
    database.workers = setting_max_database_workers


# ---- refusals

cdef void raise_past_limit(const char *message, const char *name, int32_t limit, const char *setting,
                           const char *hint) noexcept nogil:
    """Raise 53400; the message has a %s for the name of the role or database."""
    raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, psprintf(b"%s is %d.", setting, <int>limit), hint,
                      b"%s", psprintf(message, name))


cdef void raise_past_role_limit(Refusal refusal, Oid login, Limits *limits) noexcept nogil:
    cdef char *name = GetUserNameFromId(login, False)
    if refusal == ROLE_HAS_ALL_JOBS:
        raise_past_limit(b"too many tracked jobs of role \"%s\"", name, limits.jobs, b"pg_background.max_role_jobs",
                         b"Read or detach finished jobs, or have a superuser increase the limit.")
    if refusal == ROLE_HAS_ALL_WORKERS:
        raise_past_limit(b"too many background workers of role \"%s\"", name, limits.workers,
                         b"pg_background.max_role_workers",
                         b"Wait for a job to finish, start it with on_full => 'queue', or have a superuser increase "
                         b"the limit.")
    raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                      psprintf(b"pg_background.max_role_memory is %dkB.", limits.memory),
                      b"Read or detach finished jobs, or have a superuser increase the limit.",
                      b"too much job memory of role \"%s\"", name)


cdef void raise_past_database_limit(Refusal refusal, Oid database, Limits *limits) noexcept nogil:
    cdef char *name = get_database_name(database)
    if refusal == DATABASE_HAS_ALL_JOBS:
        raise_past_limit(b"too many tracked jobs of database \"%s\"", name, limits.jobs,
                         b"pg_background.max_database_jobs",
                         b"Read or detach finished jobs, or have a superuser increase the limit.")
    raise_past_limit(b"too many background workers of database \"%s\"", name, limits.workers,
                     b"pg_background.max_database_workers",
                     b"Wait for a job to finish, start it with on_full => 'queue', or have a superuser increase the "
                     b"limit.")


cdef void raise_registry_full(Refusal refusal) noexcept nogil:
    if refusal == REST_IS_RESERVED:
        raise_with_detail(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                          psprintf(b"pg_background.max_jobs is %d, pg_background.reserved_jobs %d.",
                                   registry.jobs_size, reserved_jobs()),
                          b"Read or detach finished jobs, or increase pg_background.max_jobs.",
                          b"too many tracked jobs: the rest is reserved for superusers")
    raise_with_hint(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                    b"Read or detach finished jobs, or increase pg_background.max_jobs.",
                    b"too many tracked jobs")
