# Who may use a job of which somebody has the handle.

cdef void raise_unknown(int32_t pid) noexcept nogil:
    """Raise 42704: no job is tracked under the handle."""
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
    """Raise 42501 unless has_right."""
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
    share_registry()
    job = find_by_cookie(handle.cookie)
    if job != NULL and job.pid != handle.pid:
        job = NULL
    if job != NULL and job.tracked:
        known = True
        owner = job.identity.user
    unlock_registry()
    if not known:
        if job == NULL and is_pid_tracked(handle.pid):
            raise_with_hint(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, b"The handle is stale.",
                            b"cookie mismatch for PID %d", handle.pid)
        raise_unknown(handle.pid)
    require_right(owner, also_allowed, handle.pid)
    return job
