# Whether a database takes jobs from others.

cdef void raise_not_from_elsewhere(Oid database) noexcept nogil:
    """Raise 42501, with the statement that would allow it."""
    cdef char *name = get_database_name(database)
    raise_with_hint(ERRCODE_INSUFFICIENT_PRIVILEGE,
                    psprintf(b"A superuser can allow them: ALTER DATABASE %s SET "
                             b"pg_background.jobs_from_other_databases = on.", quote_identifier(name)),
                    b"jobs from other databases are not allowed in database \"%s\"", name)


cdef char *find_setting_for(Oid database, Oid role, const char *name) noexcept nogil:
    """What ALTER DATABASE or ALTER ROLE has set this to for them, or NULL; InvalidOid: for all databases, or roles."""
    cdef ScanKeyData keys[2]
    cdef Relation relation = table_open(DbRoleSettingRelationId, AccessShareLock)
    cdef SysScanDesc scan
    cdef HeapTuple tuple
    cdef Datum settings = 0
    cdef Datum *texts = NULL
    cdef cbool *nulls = NULL
    cdef cbool is_null = True
    cdef char *found = NULL
    cdef char *text
    cdef Size size = strlen(name)
    cdef int i
    ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(database))
    ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role))
    scan = systable_beginscan(relation, DbRoleSettingDatidRolidIndexId, True, NULL, 2, keys)
    tuple = systable_getnext(scan)
    if tuple != NULL:
        settings = heap_getattr(tuple, Anum_pg_db_role_setting_setconfig, relation_columns(relation), &is_null)
    if not is_null:
        for i in range(array_elements(array_of(settings), &texts, &nulls)):
            text = TextDatumGetCString(texts[i])
            if pg_strncasecmp(text, name, size) == 0 and text[size] == c"=":
                found = text + size + 1
    systable_endscan(scan)
    table_close(relation, AccessShareLock)
    return found


cdef char *find_setting_of_login(Oid database, Oid role, const char *name) noexcept nogil:
    """What a login of the role in the database would find set for it, or NULL."""
    cdef char *value = find_setting_for(database, role, name)
    if value == NULL:
        value = find_setting_for(InvalidOid, role, name)
    if value == NULL:
        value = find_setting_for(database, InvalidOid, name)
    return value if value != NULL else find_setting_for(InvalidOid, InvalidOid, name)


cdef bint is_on_elsewhere(Oid database, Oid role, const char *name, cbool server_value) noexcept nogil:
    """The setting as a login of the role in the database would have it."""
    cdef cbool value = server_value
    cdef char *text = find_setting_of_login(database, role, name)
    if text != NULL:
        parse_bool(text, &value)
    return value


cdef bint may_come_from_elsewhere(Oid database, Oid role) noexcept nogil:
    return is_on_elsewhere(database, role, b"pg_background.jobs_from_other_databases",
                           server_jobs_from_other_databases)


cdef bint keeps_history_elsewhere(Oid database, Oid role) noexcept nogil:
    """For a job that ends before a process runs it there."""
    return is_on_elsewhere(database, role, b"pg_background.history", server_history)


cdef int32_t limit_elsewhere(Oid database, Oid role, const char *name, int server_value) noexcept nogil:
    cdef int value = server_value
    cdef char *text = find_setting_of_login(database, role, name)
    if text != NULL:
        parse_int(text, &value, 0, NULL)
    return value


cdef void read_limits_elsewhere(Oid database, Oid role, Limits *limits) noexcept nogil:
    """Of a database, for a job from another one: as a login of the role there would have them."""
    limits.jobs = limit_elsewhere(database, role, b"pg_background.max_database_jobs", server_max_database_jobs)
    limits.workers = limit_elsewhere(database, role, b"pg_background.max_database_workers",
                                     server_max_database_workers)
