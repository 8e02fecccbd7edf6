# The table of a database's history. The process that writes it is a session of its own, of the server's first
# superuser: no job has had a say in its settings. It acts as the table's owner, who alone can have given the table a
# trigger or an index with code of his own.

cdef enum:
    PRUNED_AT_ONCE = 1000

cdef char *planned_name             # of the table that the plans are for, and the number of its columns
cdef int planned_width
cdef SPIPlanPtr insert_plan
cdef SPIPlanPtr old_rows_plan
cdef SPIPlanPtr delete_plan
cdef Oid history_table              # that the transaction has locked
cdef analyze_hook previous_analyze
cdef int outer_settings             # nest level of the owner's; 0: not entered


cdef const char *table_query() noexcept nogil:
    """Only what is part of the extension, in whatever schema, is its table."""
    return (b"SELECT c.oid FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_depend AS d "
            b"ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid "
            b"AND d.deptype = 'e' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass "
            b"JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'r' "
            b"AND c.relname = 'pg_background_history_rows' WHERE e.extname = 'pg_background'")


cdef inline Datum found_value(uint64_t row) noexcept nogil:
    """The one column of what SPI has found."""
    cdef cbool is_null = False
    return SPI_getbinval(SPI_tuptable.vals[row], SPI_tuptable.tupdesc, 1, &is_null)


cdef Relation open_history() noexcept nogil:
    """The table, locked until the end of the transaction; NULL where this database has none."""
    global history_table
    if SPI_execute(table_query(), True, 1) != SPI_OK_SELECT or SPI_processed == 0:
        return NULL
    history_table = DatumGetObjectId(found_value(0))
    return try_relation_open(history_table, RowExclusiveLock)


# A plan finds the table by its name, each time the server makes it anew. Who owns the schema may rename that at any
# moment, which no lock of the table prevents, and put a table of his own in its place, with defaults, indexes and
# triggers that would run as the owner of the history. So each plan is looked at before it is made: these queries are
# such that all their relations are in the outermost range table.

cdef const char *mark_of_ours() noexcept nogil:
    """What these queries begin with."""
    return b"/* pg_background history */ "


cdef void check_relations(ParseState *state, Query *query, void *jumble) noexcept nogil:
    """Hook: after a query has been analysed, before it is rewritten and planned."""
    cdef RangeTblEntry *entry
    cdef int i
    if previous_analyze != NULL:
        previous_analyze(state, query, jumble)
    if state.p_sourcetext == NULL or strncmp(state.p_sourcetext, mark_of_ours(), strlen(mark_of_ours())) != 0:
        return
    for i in range(list_length(query.rtable)):
        entry = <RangeTblEntry *>list_nth(query.rtable, i)
        if entry.rtekind == RTE_RELATION and entry.relid != history_table:
            raise_error(ERRCODE_OBJECT_IN_USE, b"another table has taken the name of the history of background jobs")


cdef void watch_plans() noexcept nogil:
    """In the process that writes."""
    global previous_analyze, post_parse_analyze_hook
    previous_analyze = post_parse_analyze_hook
    post_parse_analyze_hook = <analyze_hook>check_relations


# ---- what is done with it


cdef SPIPlanPtr plan_for_good(const char *sql, int count, Oid *types) noexcept nogil:
    cdef SPIPlanPtr plan = SPI_prepare(psprintf(b"%s%s", mark_of_ours(), sql), count, types)
    if plan == NULL or SPI_keepplan(plan) != 0:
        raise_error(ERRCODE_INTERNAL_ERROR, b"could not plan for the history of background jobs")
    return plan


cdef const char *insert_query(Relation table, const char *name) noexcept nogil:
    """What the table of an older version of the extension lacks is left out; the last, the waits, is JSON."""
    cdef const char *column = row_columns()
    cdef const char *comma = b""
    cdef StringInfoData columns, values
    cdef char *one
    cdef int i
    initStringInfo(&columns)
    initStringInfo(&values)
    for i in range(ROW_COLUMNS):
        one = pnstrdup(column, strcspn(column, ","))
        column += strlen(one) + 2
        if relation_has(table, one):
            appendStringInfo(&columns, b"%s%s", comma, one)
            appendStringInfo(&values, b"%s$%d::pg_catalog.jsonb" if i == ROW_WAITS else b"%s$%d", comma, i + 1)
            comma = b", "
    return psprintf(b"INSERT INTO %s (%s) VALUES (%s)", name, columns.data, values.data)


cdef void plan_for_table(Relation table) noexcept nogil:
    """Once, and again where the table has got another name or schema, or other columns."""
    global planned_name, planned_width, insert_plan, old_rows_plan, delete_plan
    cdef char *name = relation_name(table)
    cdef Oid types[ROW_COLUMNS]
    cdef Oid cutoff_type = TIMESTAMPTZOID
    cdef Oid places_type = TIDARRAYOID
    cdef int i
    if planned_name != NULL and strcmp(planned_name, name) == 0 and planned_width == relation_width(table):
        return
    if planned_name != NULL:
        # of this session, for as long as it lives
        pfree(planned_name)
        planned_name = NULL
        SPI_freeplan(insert_plan)
        SPI_freeplan(old_rows_plan)
        SPI_freeplan(delete_plan)
    for i in range(ROW_COLUMNS):
        types[i] = row_type_of(i)
    insert_plan = plan_for_good(insert_query(table, name), ROW_COLUMNS, types)
    planned_width = relation_width(table)
    old_rows_plan = plan_for_good(
        psprintf(b"SELECT ctid FROM ONLY %s WHERE finished_at < $1 ORDER BY finished_at LIMIT %d", name,
                 <int>PRUNED_AT_ONCE), 1, &cutoff_type)
    delete_plan = plan_for_good(psprintf(b"DELETE FROM ONLY %s WHERE ctid = ANY ($1)", name), 1, &places_type)
    planned_name = <char *>MemoryContextAlloc(TopMemoryContext, strlen(name) + 1)
    memcpy(planned_name, name, strlen(name) + 1)


cdef bint begin_on_table() noexcept nogil:
    """In a new transaction; False where there is no table. Until end_on_table, or the transaction's abort."""
    global outer_settings
    cdef Relation table
    outer_settings = 0
    SetCurrentStatementStartTimestamp()
    StartTransactionCommand()
    disable_transaction_timeout()
    # not who the database's owner may have made this session be
    SetUserIdAndSecContext(GetAuthenticatedUserId(), 0)
    PushActiveSnapshot(GetTransactionSnapshot())
    SPI_connect()
    table = open_history()
    if table == NULL:
        return False
    # what the owner's code sets is over with it
    outer_settings = NewGUCNestLevel()
    SetUserIdAndSecContext(relation_owner(table), SECURITY_RESTRICTED_OPERATION)
    plan_for_table(table)
    relation_close(table, NoLock)
    return True


cdef void end_on_table() noexcept nogil:
    """The caller holds interrupts off if it is to know that all is committed. A trigger that is deferred until then the
    server refuses."""
    if outer_settings > 0:
        AtEOXact_GUC(False, outer_settings)
        SetUserIdAndSecContext(GetAuthenticatedUserId(), 0)
    SPI_finish()
    PopActiveSnapshot()
    CommitTransactionCommand()


cdef void insert_row(Job *copy) noexcept nogil:
    """Of a copy of the job's entry."""
    cdef Datum values[ROW_COLUMNS]
    cdef cbool nulls[ROW_COLUMNS]
    cdef char marks[ROW_COLUMNS]
    cdef int i
    make_row(copy, values, nulls)
    for i in range(ROW_COLUMNS):
        marks[i] = c"n" if nulls[i] else c" "
    SPI_execute_plan(insert_plan, values, marks, False, 0)


cdef int64_t delete_old_rows() noexcept nogil:
    """Some of those that are past their retention, the oldest first; returns how many."""
    cdef Datum places[PRUNED_AT_ONCE]
    cdef Datum argument = TimestampTzGetDatum(
        GetCurrentTimestamp() - <TimestampTz>setting_history_retention * 1000000)
    cdef uint64_t row
    SPI_execute_plan(old_rows_plan, &argument, NULL, False, PRUNED_AT_ONCE)
    for row in range(SPI_processed):
        places[row] = found_value(row)
    if SPI_processed == 0:
        return 0
    argument = PointerGetDatum(construct_array(places, <int>SPI_processed, TIDOID, SIZEOF_TID, False, c"s"))
    SPI_execute_plan(delete_plan, &argument, NULL, False, 0)
    return <int64_t>SPI_processed
