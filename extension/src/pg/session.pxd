"""Roles, settings and the state of a session (miscadmin.h, utils/guc.h, utils/acl.h, commands/*.h)."""

from libc.stdint cimport uint32_t

from .base cimport cbool, Datum, Oid, Size

cdef extern from "shim.h" nogil:
    # Roles
    enum:
        ROLE_PG_SIGNAL_BACKEND, ROLE_PG_READ_ALL_STATS, ROLE_PG_MONITOR
    Oid GetUserId()
    Oid GetSessionUserId()
    Oid GetAuthenticatedUserId()
    Oid GetCurrentRoleId()
    void SetSessionAuthorization(Oid userid, cbool is_superuser)
    void SetCurrentRoleId(Oid roleid, cbool is_superuser)
    void GetUserIdAndSecContext(Oid *userid, int *sec_context)
    void SetUserIdAndSecContext(Oid userid, int sec_context)
    cbool InSecurityRestrictedOperation()
    # ... from one transaction of a job to the next
    enum:
        XACT_EVENT_COMMIT, XACT_EVENT_ABORT
        OWN_INVALIDATION_CACHE
    void RegisterXactCallback(void (*callback)(int event, void *arg) noexcept nogil, void *arg)
    void CacheRegisterSyscacheCallback(int cacheid, void (*func)(Datum, int, uint32_t) noexcept nogil, Datum arg)
    void send_own_invalidation()
    cbool is_own_invalidation(uint32_t hash_value)
    char *GetUserNameFromId(Oid roleid, cbool noerr)
    cbool superuser_arg(Oid roleid)
    cbool has_privs_of_role(Oid member, Oid role)
    cbool may_log_in(Oid role)
    cbool may_connect(Oid db, Oid role)
    Oid get_database_oid(const char *dbname, cbool missing_ok)
    char *get_database_name(Oid dbid)
    int database_encoding(Oid dbid, cbool *allows_connections)

    # The connection
    ctypedef struct SockAddr:
        pass
    void make_port(char *role, char *database)
    void copy_client_address(SockAddr *address)
    void show_client(const SockAddr *address)

    # Settings
    enum:
        PGC_POSTMASTER, PGC_SIGHUP, PGC_SUSET, PGC_USERSET
        GUC_UNIT_MS, GUC_UNIT_S, GUC_UNIT_BYTE, GUC_UNIT_KB, GUC_UNIT_MB
        PGC_S_SESSION
        NAMEDATALEN
    Size EstimateGUCStateSpace()
    void SerializeGUCState(Size maxsize, char *start_address)
    void RestoreGUCState(void *gucstate)
    void SetConfigOption(const char *name, const char *value, int context, int source)
    const char *GetConfigOption(const char *name, cbool missing_ok, cbool restrict_privileged)
    void DefineCustomIntVariable(const char *name, const char *short_desc, const char *long_desc, int *valueAddr,
                                 int bootValue, int minValue, int maxValue, int context, int flags,
                                 void *check_hook, void *assign_hook, void *show_hook)
    void DefineCustomStringVariable(const char *name, const char *short_desc, const char *long_desc, char **valueAddr,
                                    const char *bootValue, int context, int flags,
                                    cbool (*check_hook)(char **value, void **extra, int source) noexcept nogil,
                                    void *assign_hook, void *show_hook)
    void MarkGUCPrefixReserved(const char *className)
    char *application_name
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
    void pgstat_report_appname(const char *appname)
    void pgstat_report_stat(cbool force)
    void set_ps_display(const char *activity)
