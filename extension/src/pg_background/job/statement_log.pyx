# log_statement, log_duration and log_min_duration_statement with its samples, as a session obeys them: each statement
# of a job with its own text.

cdef TimestampTz statement_began
cdef bint statement_was_logged


cdef bint is_statement_logged(RawStmt *tree) noexcept nogil:
    """As check_log_statement() of the server."""
    if log_statement == LOGSTMT_NONE:
        return False
    return log_statement == LOGSTMT_ALL or GetCommandLogLevel(<Node *>tree) <= log_statement


cdef void begin_log(TimestampTz began) noexcept nogil:
    """Before a statement: when it has begun, for its duration."""
    global statement_began, statement_was_logged
    statement_began = began
    statement_was_logged = False


cdef void log_statement_text(JobRequest *request, Statement *statement) noexcept nogil:
    """Log the statement and its parameters where log_statement says so."""
    global statement_was_logged
    if is_statement_logged(statement.tree):
        statement_was_logged = True
        report_hidden_statement(LOG, parameters_for_log(request), b"statement: %s", statement.text)


cdef inline bint is_as_long(int64_t microseconds, int minimum) noexcept nogil:
    return minimum >= 0 and microseconds >= <int64_t>minimum * 1000


cdef bint is_in_sample() noexcept nogil:
    """Whether log_statement_sample_rate takes this statement."""
    return (log_statement_sample_rate >= 1
            or random_fraction() < log_statement_sample_rate)


cdef void log_duration_of(JobRequest *request, const char *text) noexcept nogil:
    """As check_log_duration() of the server, which counts from statement_timestamp(): in a transaction of several
    statements that stands still."""
    cdef int64_t duration
    cdef bint is_wanted
    if not log_duration and log_min_duration_statement < 0 and log_min_duration_sample < 0 and not xact_is_sampled:
        return
    duration = GetCurrentTimestamp() - statement_began
    is_wanted = (is_as_long(duration, log_min_duration_statement) or xact_is_sampled
                 or (is_as_long(duration, log_min_duration_sample) and is_in_sample()))
    if is_wanted and not statement_was_logged:
        report_hidden_statement(LOG, parameters_for_log(request), b"duration: %lld.%03d ms  statement: %s",
                                <long long>(duration // 1000), <int>(duration % 1000), text)
    elif is_wanted or log_duration:
        report_hidden_statement(LOG, NULL, b"duration: %lld.%03d ms", <long long>(duration // 1000),
                                <int>(duration % 1000))
