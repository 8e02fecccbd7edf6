# The statements of a job's SQL, each with its own text.
#
# All are cut before the first one runs: a SET among them, of standard_conforming_strings for one, must not change how
# those after it are read. Each is parsed again from its own text: a tree of the whole string has positions in that.

cdef struct Statement:
    RawStmt *tree
    const char *text
    int start                   # of the text in the job's SQL, in bytes

cdef struct Script:
    const char *sql
    Statement *statements
    int count

cdef int statement_start            # of the running one, for the position of its error
cdef int statement_number           # of the running one; 0 between two, and where a job has one only
cdef int statement_count


cdef void cut_statement(const char *sql, int start, int end, Statement *statement) noexcept nogil:
    """Take the text from `start` to `end` without the blanks and semicolons around it, into the current memory
    context."""
    while start < end and (is_space(sql[start]) or sql[start] == c';'):
        start += 1
    while start < end and is_space(sql[end - 1]):
        end -= 1
    statement.start = start
    statement.text = pnstrdup(sql + start, end - start)


cdef void cut_statements(void *arg) noexcept nogil:
    """Each from the end of the one before it, so that comments, in which extensions look for hints, stay with it."""
    cdef Script *script = <Script *>arg
    cdef Statement *statement
    cdef List *trees
    cdef int i, end
    cdef int start = 0
    for i in range(script.count):
        CHECK_FOR_INTERRUPTS()
        statement = &script.statements[i]
        if statement.tree.stmt_len > 0:
            end = statement.tree.stmt_location + statement.tree.stmt_len
        else:
            end = <int>strlen(script.sql)
        cut_statement(script.sql, start, end, statement)
        start = end
        trees = raw_parser(statement.text, RAW_PARSE_DEFAULT)
        if list_length(trees) != 1:
            raise_error(ERRCODE_INTERNAL_ERROR, b"could not cut a statement out of the job's SQL")
        statement.tree = <RawStmt *>list_nth(trees, 0)


cdef void parse_script(Script *script, const char *sql) noexcept nogil:
    """In the current memory context. A single statement keeps the whole string as its text, as in a session."""
    global escape_string_warning
    cdef List *trees = pg_parse_query(sql)
    cdef bint warns = escape_string_warning
    cdef ErrorData *error
    cdef int i
    script.sql = sql
    script.count = list_length(trees)
    script.statements = <Statement *>palloc0(sizeof(Statement) * (script.count + 1))
    for i in range(script.count):
        script.statements[i].tree = <RawStmt *>list_nth(trees, i)
        script.statements[i].text = sql
    if script.count > 1:
        # the first parse has warned already
        escape_string_warning = False
        error = catch_error(cut_statements, script, False)
        escape_string_warning = warns
        if error != NULL:
            ReThrowError(error)


cdef void move_error_position(ErrorData *error, const char *sql) noexcept nogil:
    """From the text of its statement into the job's SQL; positions count characters."""
    if error.cursorpos > 0:
        error.cursorpos += pg_mbstrlen_with_len(sql, statement_start)


cdef void name_statement(ErrorData *error) noexcept nogil:
    """Say in its context which statement of several has failed."""
    if statement_number == 0:
        return
    if error.context != NULL:
        error.context = psprintf(b"%s\nstatement %d of %d", error.context, statement_number, statement_count)
    else:
        error.context = psprintf(b"statement %d of %d", statement_number, statement_count)
