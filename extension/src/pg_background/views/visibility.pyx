# Who sees what of a job that others have launched, here and in pg_stat_activity.

cdef enum Visibility:
    SEES_PLACE = 0              # that a process runs it, where and as whom: as pg_stat_activity tells everybody
    SEES_ACTIVITY               # ... how it stands, and the beginning of its SQL: as that tells pg_read_all_stats
    SEES_ALL                    # ... its errors and its whole SQL, where data of rows may be


cdef Visibility visibility_of(Job *copy) noexcept nogil:
    """Of the current user, who need not be the session's: index functions and definers' run as their owners."""
    if has_right(copy.identity.user, InvalidOid):
        return SEES_ALL
    return SEES_ACTIVITY if has_right(copy.identity.user, ROLE_PG_READ_ALL_STATS) else SEES_PLACE


cdef inline bint may_cancel(Job *copy) noexcept nogil:
    """Who may not has no use for the cookie."""
    return has_right(copy.identity.user, ROLE_PG_SIGNAL_BACKEND)


# ---- in pg_stat_activity
#
# A worker shows what it runs to all who have the rights of the user that it is connected as, the caller of a definer's
# function. The definer's SQL is not for the caller: neither here, nor in the parallel workers, which show the text that
# they get from the executor or, for CREATE INDEX and VACUUM, from debug_query_string.

cdef const char *hidden_sql         # what debug_query_string had before; NULL: it still has it
cdef uint64_t hidden_cookie         # of the job that this was for


cdef bint is_hidden_from_caller() noexcept nogil:
    """Whether a job that is launched now is one; before the registry's lock, as it looks into the catalogues."""
    cdef Oid user = InvalidOid
    cdef int security_context = 0
    GetUserIdAndSecContext(&user, &security_context)
    return security_context != 0 and not has_privs_of_role(GetAuthenticatedUserId(), user)


cdef inline const char *hidden_text() noexcept nogil:
    return b"<hidden, see pg_background_jobs>"


cdef inline const char *shown_sql(Job *job, const char *sql) noexcept nogil:
    """What pg_stat_activity may show."""
    return hidden_text() if job.is_hidden else sql


cdef void hide_from_executor(QueryDesc *query) noexcept nogil:
    """Its parallel workers get this; what logs or counts the statement has its text from elsewhere."""
    if my_job != NULL and my_job.is_hidden:
        query.estate.es_sourceText = hidden_text()


cdef inline bint is_text_hidden() noexcept nogil:
    """Of an earlier job it may have been left so, by SQL that has caught an error."""
    return hidden_sql != NULL and my_job != NULL and my_job.cookie == hidden_cookie


cdef bint hide_from_utility() noexcept nogil:
    """True when it has to be shown again after the statement."""
    global debug_query_string, hidden_sql, hidden_cookie
    if my_job == NULL or not my_job.is_hidden or is_text_hidden():
        return False
    hidden_sql = debug_query_string
    hidden_cookie = my_job.cookie
    debug_query_string = hidden_text()
    return True


cdef void show_to_log() noexcept nogil:
    """After the statement, and where it fails: the server's log has all of it."""
    global debug_query_string, hidden_sql
    if is_text_hidden():
        debug_query_string = hidden_sql
        hidden_sql = NULL
