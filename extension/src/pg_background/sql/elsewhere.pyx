# Whether a database takes jobs from others.

cdef void raise_not_from_elsewhere(Oid database) noexcept nogil:
    """Raise 42501, with the statement that would allow it."""
    cdef char *name = get_database_name(database)
    raise_with_hint(ERRCODE_INSUFFICIENT_PRIVILEGE,
                    psprintf(b"A superuser can allow them: ALTER DATABASE %s SET "
                             b"pg_background.jobs_from_other_databases = on.", quote_identifier(name)),
                    b"jobs from other databases are not allowed in database \"%s\"", name)


cdef bint find_setting_for(Oid database, Oid role, const char *name, cbool *value) noexcept nogil:
    """Whether ALTER DATABASE or ALTER ROLE has set this truth value for them; InvalidOid: for all databases, or
    roles."""
    cdef ScanKeyData keys[2]
    cdef Relation relation = table_open(DbRoleSettingRelationId, AccessShareLock)
    cdef SysScanDesc scan
    cdef HeapTuple tuple
    cdef Datum settings = 0
    cdef Datum *texts = NULL
    cdef cbool *nulls = NULL
    cdef cbool is_null = True
    cdef bint found = False
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
                found = parse_bool(text + size + 1, value)
    systable_endscan(scan)
    table_close(relation, AccessShareLock)
    return found


cdef bint may_come_from_elsewhere(Oid database, Oid role) noexcept nogil:
    """The setting as a login of the role in the database would have it."""
    cdef const char *name = "pg_background.jobs_from_other_databases"
    cdef cbool value = server_jobs_from_other_databases
    if (find_setting_for(database, role, name, &value) or find_setting_for(InvalidOid, role, name, &value)
            or find_setting_for(database, InvalidOid, name, &value)):
        return value
    find_setting_for(InvalidOid, InvalidOid, name, &value)
    return value
