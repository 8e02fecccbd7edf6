# Job memory that is about to be taken for a role counts as the role's before it is taken. So what a role's limit
# refuses takes nothing, not even for a moment: neither of what is free nor of what others have there.

cdef struct Room:
    Hold hold
    int32_t usage               # of the login role
    int64_t bytes


cdef bint take_room(Room *room, Oid login, Limits *limits, int64_t bytes) noexcept nogil:
    """Count so many bytes, until the hold is released; where they don't fit, what the role no longer needs, or can have
    on disk, goes first. False when they don't fit all the same. In the body of run_guarded."""
    cdef bint has_room
    if not does_role_memory_fit(NULL, limits, bytes):
        # no use in taking the role's own for it
        return False
    while True:
        lock_registry()
        has_room = does_role_memory_fit(find_usage(login, False), limits, bytes)
        if has_room:
            room.usage = hold_usage(login, False)
            room.bytes = bytes
            registry.usages[room.usage].memory += bytes
            take_hold(&room.hold, give_up_room, room)
        unlock_registry()
        if has_room or not make_room(login):
            return has_room


cdef void end_room(Room *room) noexcept nogil:
    """The bytes count no more, as what was taken does, or nothing was; under the lock."""
    registry.usages[room.usage].memory -= room.bytes
    release_usage(room.usage)


cdef void give_up_room(void *what) noexcept nogil:
    """The hold of take_room."""
    lock_registry()
    end_room(<Room *>what)
    unlock_registry()


cdef bint may_take(Job *job, int64_t bytes) noexcept nogil:
    """Whether its role's limit lets this process's job have so many bytes more, as it stands; never under the lock."""
    cdef bint has_room
    if job.role_limits.memory == 0:
        return True
    share_registry()
    has_room = does_role_memory_fit(role_usage(job), &job.role_limits, bytes)
    unlock_registry()
    return has_room


cdef bint make_room_for(Oid login) noexcept nogil:
    """As make_room, of this role before all others."""
    return make_room(login) or make_room(InvalidOid)
