# Who a job is: whose process it needs, and the rights that this takes, at its launch and again at its begin.

cdef inline bint is_same_identity(Identity *a, Identity *b) noexcept nogil:
    return (a.database == b.database and a.login == b.login and a.session_user == b.session_user and a.user == b.user
            and a.security_context == b.security_context and a.is_away == b.is_away
            and a.system_user == b.system_user)


cdef Identity identity_here(Oid database) noexcept nogil:
    """Of a job that is launched here and now, to run in that database."""
    cdef Identity identity
    cdef const char *system_user = get_system_user()
    memset(&identity, 0, sizeof(identity))
    identity.database = database
    identity.login = GetAuthenticatedUserId()
    identity.session_user = GetSessionUserId()
    GetUserIdAndSecContext(&identity.user, <int *>&identity.security_context)
    identity.is_away = database != MyDatabaseId
    if system_user != NULL:
        # and a hash of 0 is none
        identity.system_user = hash_bytes_extended(<const unsigned char *>system_user, <int>strlen(system_user), 0) | 1
    return identity


cdef void require_role(Oid role) noexcept nogil:
    """Raise 42704 when the role was dropped meanwhile: PUBLIC's rights would be left of it."""
    if GetUserNameFromId(role, True) == NULL:
        raise_error(ERRCODE_UNDEFINED_OBJECT, b"role with OID %u does not exist", role)


cdef void require_connect(Oid database, Oid role) noexcept nogil:
    """Raise 42501 as the server does when such a role connects."""
    if not may_connect(database, role):
        raise_with_detail(ERRCODE_INSUFFICIENT_PRIVILEGE, b"User does not have CONNECT privilege.", NULL,
                          b"permission denied for database \"%s\"", get_database_name(database))


cdef void require_rights(Identity *identity, Oid role) noexcept nogil:
    """Raise unless all hold that a session needs to become this: rights may be taken away while it lives, or while a
    job waits. `role` is that of SET ROLE, or InvalidOid."""
    require_role(identity.login)
    require_role(identity.session_user)
    require_role(identity.user)
    if not may_log_in(identity.login):
        raise_error(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, b"role \"%s\" is not permitted to log in",
                    GetUserNameFromId(identity.login, False))
    require_connect(identity.database, identity.login)
    if identity.is_away:
        # this database's owner has let the role in here, not there
        require_connect(identity.database, identity.user)
    if identity.session_user != identity.login and not superuser_arg(identity.login):
        raise_error(ERRCODE_INSUFFICIENT_PRIVILEGE, b"permission denied to set session authorization \"%s\"",
                    GetUserNameFromId(identity.session_user, False))
    if role != InvalidOid:
        require_role(role)
        if not may_set_role(identity.session_user, role):
            raise_error(ERRCODE_INSUFFICIENT_PRIVILEGE, b"permission denied to set role \"%s\"",
                        GetUserNameFromId(role, False))


cdef void require_unrestricted() noexcept nogil:
    """Maintenance runs others' functions fenced in; a job would run outside of that fence."""
    if InSecurityRestrictedOperation():
        raise_error(ERRCODE_INSUFFICIENT_PRIVILEGE,
                    b"cannot launch a background job within security-restricted operation")
