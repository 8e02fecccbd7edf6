"""Roles, settings and the state of a session (miscadmin.h, utils/guc.h, utils/acl.h, commands/*.h)."""

from libc.stdint cimport uint32_t

from .base cimport ArrayType, cbool, Datum, Oid, Size
from .executor cimport HeapTuple, Snapshot, TupleDesc

cdef extern from "shim.h" nogil:
    # Roles
    enum:
        ROLE_PG_SIGNAL_BACKEND, ROLE_PG_READ_ALL_STATS
    Oid GetUserId()
    Oid GetSessionUserId()
    Oid GetAuthenticatedUserId()
    Oid GetCurrentRoleId()
    const char *get_system_user()
    Size system_user_size()
    void write_system_user(Size size, char *place)
    void become_system_user(char *place)
    void SetSessionAuthorization(Oid userid, cbool is_superuser)
    void GetUserIdAndSecContext(Oid *userid, int *sec_context)
    void SetUserIdAndSecContext(Oid userid, int sec_context)
    cbool InSecurityRestrictedOperation()
    # ... from one transaction of a job to the next
    ctypedef enum XactEvent:
        XACT_EVENT_COMMIT, XACT_EVENT_ABORT
    enum:
        OWN_INVALIDATION_CACHE
    void RegisterXactCallback(void (*callback)(XactEvent event, void *arg) noexcept nogil, void *arg)
    void CacheRegisterSyscacheCallback(int cacheid, void (*func)(Datum, int, uint32_t) noexcept nogil, Datum arg)
    void send_own_invalidation()
    cbool is_own_invalidation(uint32_t hash_value)
    char *GetUserNameFromId(Oid roleid, cbool noerr)
    cbool superuser_arg(Oid roleid)
    cbool has_privs_of_role(Oid member, Oid role)
    cbool may_use_reserved(Oid role)
    cbool may_log_in(Oid role)
    cbool may_set_role(Oid member, Oid role)
    cbool may_connect(Oid db, Oid role)
    Oid get_database_oid(const char *dbname, cbool missing_ok)
    char *get_database_name(Oid dbid)
    int database_encoding(Oid dbid, cbool *allows_connections)

    cbool may_create_databases()
    cbool owns_database(Oid db, Oid role)
    cbool is_template(Oid db)
    cbool accepts_connections(HeapTuple database)

    # Reading a catalogue
    ctypedef struct RelationData:
        pass
    ctypedef RelationData *Relation
    ctypedef struct SysScanDescData:
        pass
    ctypedef SysScanDescData *SysScanDesc
    ctypedef struct ScanKeyData:
        pass
    enum:
        DbRoleSettingRelationId, DbRoleSettingDatidRolidIndexId
        Anum_pg_db_role_setting_setdatabase, Anum_pg_db_role_setting_setrole, Anum_pg_db_role_setting_setconfig
        DatabaseRelationId
        AccessShareLock, BTEqualStrategyNumber, F_OIDEQ
    Relation table_open(Oid relationId, int lockmode)
    void table_close(Relation relation, int lockmode)
    void ScanKeyInit(ScanKeyData *entry, int attributeNumber, int strategy, Oid procedure, Datum argument)
    SysScanDesc systable_beginscan(Relation heapRelation, Oid indexId, cbool indexOK, Snapshot snapshot, int nkeys,
                                   ScanKeyData *key)
    HeapTuple systable_getnext(SysScanDesc sysscan)
    void systable_endscan(SysScanDesc sysscan)
    TupleDesc relation_columns(Relation relation)
    Datum heap_getattr(HeapTuple tup, int attnum, TupleDesc tupleDesc, cbool *isnull)
    ArrayType *array_of(Datum)
    cbool parse_bool(const char *value, cbool *result)
    cbool parse_int(const char *value, int *result, int flags, const char **hintmsg)
    int pg_strncasecmp(const char *s1, const char *s2, size_t n)
    const char *quote_identifier(const char *ident)

    # The connection
    ctypedef struct SockAddr:
        pass
    void make_port(char *role, char *database)
    void copy_client_address(SockAddr *address)
    void show_client(const SockAddr *address)

    # Settings
    ctypedef enum GucSource:
        PGC_S_ARGV, PGC_S_CLIENT, PGC_S_OVERRIDE, PGC_S_SESSION
    enum:
        PGC_INTERNAL, PGC_POSTMASTER, PGC_SIGHUP, PGC_SUSET, PGC_USERSET
        GUC_CUSTOM_PLACEHOLDER, GUC_DISALLOW_IN_FILE
        SERIALIZED_ORIGIN_SIZE, TEMP_BUFFERS_AT_BOOT
        GUC_UNIT_MS, GUC_UNIT_S, GUC_UNIT_BYTE, GUC_UNIT_KB
        NAMEDATALEN
    Size EstimateGUCStateSpace()
    void SerializeGUCState(Size maxsize, char *start_address)
    void RestoreGUCState(void *gucstate)
    void reset_to_reading()
    void SetConfigOption(const char *name, const char *value, int context, int source)
    const char *GetConfigOption(const char *name, cbool missing_ok, cbool restrict_privileged)
    void DefineCustomIntVariable(const char *name, const char *short_desc, const char *long_desc, int *valueAddr,
                                 int bootValue, int minValue, int maxValue, int context, int flags,
                                 cbool (*check_hook)(int *value, void **extra, GucSource source) noexcept nogil,
                                 void *assign_hook, void *show_hook)
    void DefineCustomStringVariable(const char *name, const char *short_desc, const char *long_desc, char **valueAddr,
                                    const char *bootValue, int context, int flags,
                                    cbool (*check_hook)(char **value, void **extra, GucSource source) noexcept nogil,
                                    void *assign_hook, void *show_hook)
    void DefineCustomBoolVariable(const char *name, const char *short_desc, const char *long_desc, cbool *valueAddr,
                                  cbool bootValue, int context, int flags,
                                  cbool (*check_hook)(cbool *value, void **extra, GucSource source) noexcept nogil,
                                  void *assign_hook, void *show_hook)
    void MarkGUCPrefixReserved(const char *className)
    int GetConfigOptionFlags(const char *name, cbool missing_ok)
    int try_to_set(const char *name, const char *value, int context, int source, Oid role)
    Oid read_setting_role(const char *origin)
    int num_temp_buffers
    int NLocBuffer
    ctypedef struct config_generic "struct config_generic":
        const char *name
        int flags
        # ...
    config_generic **list_variables(int *count)
    void release_variables(config_generic **variables)
    Size gauge_variables()
    void process_session_preload_libraries()
    void fire_login_triggers()
    int CountUserBackends(Oid roleid)
    int CountDBConnections(Oid databaseid)
    int role_connection_limit(Oid role)
    int database_connection_limit(Oid database)
    Size EstimateLibraryStateSpace()
    void SerializeLibraryState(Size maxsize, char *start_address)
    void RestoreLibraryState(char *start_address)
    int temp_file_limit
    int SetClientEncoding(int encoding)
    int GetDatabaseEncoding()

    # What DISCARD ALL discards
    enum:
        USER_LOCKMETHOD
    void PortalHashTableDeleteAll()
    void DropAllPreparedStatements()
    void Async_UnlistenAll()
    void Async_Notify(const char *channel, const char *payload)
    void LockReleaseAll(int lockmethodid, cbool allLocks)
    void ResetTempTableNamespace()
    void ResetSequenceCaches()
    void ResetPlanCache()
    void reset_replication_origin()
    void release_replication_slots()
    cbool session_has_backup()
    void GetTempNamespaceState(Oid *tempNamespaceId, Oid *tempToastNamespaceId)

    # Activity
    enum:
        STATE_RUNNING, STATE_IDLE
    void pgstat_report_activity(int state, const char *cmd_str)
    void pgstat_report_stat(cbool force)
    void set_ps_display(const char *activity)
