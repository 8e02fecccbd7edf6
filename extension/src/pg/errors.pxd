"""Errors and the server log (elog.h); ereport itself is wrapped in shim.h."""

from .base cimport cbool

cdef extern from "shim.h" nogil:
    ctypedef struct ErrorData:
        int elevel
        int sqlerrcode
        char *message
        char *detail
        char *hint
        char *context
        char *schema_name
        char *table_name
        char *column_name
        char *datatype_name
        char *constraint_name
        int cursorpos
        int internalpos
        char *internalquery
        const char *funcname
        # ...
    ctypedef struct ErrorContextCallback:
        ErrorContextCallback *previous
        void (*callback)(void *arg) noexcept nogil
        # ...
    ErrorContextCallback *error_context_stack
    int geterrcode()
    ErrorData *CopyErrorData()
    void FreeErrorData(ErrorData *edata)
    ctypedef void (*emit_log_hook_type)(ErrorData *edata) noexcept nogil
    emit_log_hook_type emit_log_hook
    ctypedef void (*catch_body)(void *arg) noexcept nogil
    enum:
        DEBUG1, LOG, WARNING, ERROR, FATAL
        ERRCODE_INVALID_PARAMETER_VALUE, ERRCODE_UNDEFINED_OBJECT, ERRCODE_DATATYPE_MISMATCH
        ERRCODE_FEATURE_NOT_SUPPORTED, ERRCODE_CONNECTION_FAILURE, ERRCODE_OUT_OF_MEMORY
        ERRCODE_INSUFFICIENT_RESOURCES, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
        ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, ERRCODE_OBJECT_IN_USE, ERRCODE_INSUFFICIENT_PRIVILEGE
        ERRCODE_STRING_DATA_RIGHT_TRUNCATION, ERRCODE_NULL_VALUE_NOT_ALLOWED, ERRCODE_T_R_DEADLOCK_DETECTED
        ERRCODE_AMBIGUOUS_FUNCTION, ERRCODE_QUERY_CANCELED, ERRCODE_INVALID_TEXT_REPRESENTATION, ERRCODE_INTERNAL_ERROR
        ERRCODE_ADMIN_SHUTDOWN, ERRCODE_TRANSACTION_TIMEOUT, ERRCODE_UNDEFINED_DATABASE, ERRCODE_DATABASE_DROPPED, ERRCODE_T_R_SERIALIZATION_FAILURE
        ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION
        ERRCODE_TOO_MANY_CONNECTIONS, ERRCODE_SYNTAX_ERROR, ERRCODE_CANNOT_CONNECT_NOW
        ERRCODE_ARRAY_SUBSCRIPT_ERROR, ERRCODE_PROGRAM_LIMIT_EXCEEDED

    void raise_error(int code, const char *fmt, ...)
    void raise_with_hint(int code, const char *hint, const char *fmt, ...)
    void raise_with_detail(int code, const char *detail, const char *hint, const char *fmt, ...)
    int errcontext_line(const char *fmt, ...)
    void raise_file_error(const char *fmt, ...)
    void raise_fatal(int code, const char *fmt, ...)
    void report(int level, const char *fmt, ...)
    void report_hidden_statement(int level, const char *detail, const char *fmt, ...)

    ErrorData *catch_error(catch_body body, void *arg, cbool report_it)
    void ReThrowError(ErrorData *edata)
    void ThrowErrorData(ErrorData *edata)
    cbool message_level_is_interesting(int elevel)
    char *unpack_sql_state(int sql_state)

    const char *debug_query_string
    int log_statement
    int log_parameter_max_length
    cbool log_duration
    int log_min_duration_statement
    int log_min_duration_sample
    double log_statement_sample_rate
    cbool xact_is_sampled
    enum:
        LOGSTMT_NONE, LOGSTMT_ALL
