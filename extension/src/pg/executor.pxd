"""Statements, portals, tuples and receivers (tcop/*.h, utils/portal.h, executor/*.h, access/*.h, funcapi.h)."""

from libc.stdint cimport int16_t, int32_t, uint16_t, uint32_t, uint64_t

from .base cimport cbool, Datum, FmgrInfo, FunctionCallInfo, MemoryContext, Oid, Size, TimestampTz
from .errors cimport ErrorData

cdef extern from "shim.h" nogil:
    # Nodes and lists
    ctypedef struct Node:
        pass
    ctypedef struct List:
        pass
    int nodeTag(const void *)
    int list_length(const List *)
    void *list_nth(const List *, int n)
    enum:
        T_TransactionStmt, T_DropdbStmt, T_CreatedbStmt, T_RenameStmt, T_AlterDatabaseStmt, OBJECT_DATABASE
        T_ExplainStmt, T_CreateTableAsStmt
    ctypedef struct RawStmt:
        Node *stmt
        int stmt_location
        int stmt_len
        # ...
    ctypedef struct DefElem:
        char *defname
        Node *arg
        # ...
    char *defGetString(DefElem *defel)
    cbool defGetBoolean(DefElem *defel)
    ctypedef struct ExplainStmt:
        Node *query
        List *options
    ctypedef struct DropdbStmt:
        char *dbname
        # ...
    ctypedef struct CreatedbStmt:
        char *dbname
        List *options
    ctypedef struct AlterDatabaseStmt:
        char *dbname
        List *options
    ctypedef struct RenameStmt:
        int renameType
        char *subname
        # ...

    # Transactions
    enum:
        XACT_READ_COMMITTED
    int XactIsoLevel
    cbool XactReadOnly
    void PreventCommandIfReadOnly(const char *cmdname)
    void StartTransactionCommand()
    void CommitTransactionCommand()
    void AbortCurrentTransaction()
    void BeginImplicitTransactionBlock()
    void EndImplicitTransactionBlock()
    void CommandCounterIncrement()
    void SetCurrentStatementStartTimestamp()
    TimestampTz GetCurrentStatementStartTimestamp()
    enum:
        SYNCHRONOUS_COMMIT_OFF
    int synchronous_commit
    cbool RecoveryInProgress()
    void PortalErrorCleanup()
    void jit_reset_after_error()

    # Snapshots
    ctypedef struct SnapshotData:
        pass
    ctypedef SnapshotData *Snapshot
    const Snapshot InvalidSnapshot
    Snapshot GetTransactionSnapshot()
    void PushActiveSnapshot(Snapshot snapshot)
    void PopActiveSnapshot()
    void drop_call_snapshot()
    void EnsurePortalSnapshotExists()

    # Parse, analyse, plan
    List *pg_parse_query(const char *query_string)
    enum:
        RAW_PARSE_DEFAULT
    List *raw_parser(const char *str, int mode)
    cbool escape_string_warning
    int CreateCommandTag(Node *parsetree)
    const char *GetCommandTagName(int commandTag)
    int GetCommandLogLevel(Node *parsetree)
    cbool analyze_requires_snapshot(RawStmt *parseTree)
    List *pg_analyze_and_rewrite_fixedparams(RawStmt *parsetree, const char *query_string, const Oid *paramTypes,
                                             int numParams, void *queryEnv)
    List *pg_analyze_and_rewrite_varparams(RawStmt *parsetree, const char *query_string, Oid **paramTypes,
                                           int *numParams, void *queryEnv)
    List *pg_plan_queries(List *querytrees, const char *query_string, int cursorOptions, void *boundParams)
    enum:
        CURSOR_OPT_PARALLEL_OK

    ctypedef struct Query:
        cbool canSetTag
        Node *utilityStmt
        List *rtable
        List *returningList
        # ...
    # Bound parameters
    enum:
        MAX_PARAMETERS
    void *makeParamList(int numParams)
    void set_parameter(void *parameters, int n, Oid type, Datum value, cbool isnull)
    char *BuildParamLogString(void *params, char **knownTextValues, int valueLen)

    # Portals
    ctypedef struct QueryCompletion:
        int commandTag
        uint64_t nprocessed
    ctypedef struct PortalData:
        cbool visible
        # ...
    ctypedef PortalData *Portal
    Portal CreatePortal(const char *name, cbool allowDup, cbool dupSilent)
    void PortalDefineQuery(Portal portal, const char *prepStmtName, const char *sourceText, int commandTag,
                           List *stmts, void *cplan)
    void PortalStart(Portal portal, void *params, int eflags, Snapshot snapshot)
    cbool portal_run(Portal portal, DestReceiver *dest, DestReceiver *altdest, QueryCompletion *qc)
    void PortalDrop(Portal portal, cbool isTopCommit)
    void InitializeQueryCompletion(QueryCompletion *qc)
    cbool command_tag_display_rowcount(int commandTag)

    # Row descriptors
    ctypedef struct FormData_pg_attribute:
        Oid atttypid
        int32_t atttypmod
        int16_t attlen
        cbool attisdropped
        # ...
    ctypedef struct TupleDescData:
        int natts
        # ...
    ctypedef TupleDescData *TupleDesc
    FormData_pg_attribute *column(TupleDesc desc, int i)
    const char *column_name(TupleDesc desc, int i)
    TupleDesc CreateTemplateTupleDesc(int natts)
    TupleDesc CreateTupleDescCopy(TupleDesc tupdesc)
    void TupleDescInitEntry(TupleDesc desc, int16_t attributeNumber, const char *attributeName, Oid oidtypeid,
                            int32_t typmod, int attdim)
    void TupleDescFinalize(TupleDesc desc)
    TupleDesc BlessTupleDesc(TupleDesc tupdesc)
    char get_typtype(Oid typid)
    void parse_type(const char *text, Oid *type, int32_t *typmod)
    int16_t get_typlen(Oid typid)
    char *type_name(Oid type_oid, int32_t typemod)
    void getTypeOutputInfo(Oid type, Oid *typOutput, cbool *typIsVarlena)
    void getTypeInputInfo(Oid type, Oid *typInput, Oid *typIOParam)

    # Tuples
    ctypedef struct HeapTupleData:
        pass
    ctypedef HeapTupleData *HeapTuple
    ctypedef struct MinimalTupleData:
        uint32_t t_len
        uint16_t t_infomask
        # ...
    ctypedef MinimalTupleData *MinimalTuple
    enum:
        HEAP_HASEXTERNAL
    int minimal_tuple_natts(MinimalTuple)
    bint is_slot_virtual(TupleTableSlot *slot)
    Size form_tuple_in_place(TupleDesc desc, Datum *values, cbool *isnull, char *place, Size room)
    void store_tuple(Tuplestorestate *store, TupleTableSlot *slot, MinimalTuple tuple)
    MinimalTuple form_minimal_tuple(TupleDesc desc, Datum *values, cbool *isnull)
    HeapTuple heap_form_tuple(TupleDesc desc, Datum *values, cbool *isnull)
    Datum HeapTupleGetDatum(HeapTuple tuple)

    # Slots
    ctypedef struct TupleTableSlot:
        Datum *tts_values
        cbool *tts_isnull
        # ...
    const void *TTSOpsMinimalTuple_address "(&TTSOpsMinimalTuple)"
    TupleTableSlot *MakeSingleTupleTableSlot(TupleDesc tupdesc, const void *tts_ops)
    void ExecDropSingleTupleTableSlot(TupleTableSlot *slot)
    void ExecStoreMinimalTuple(MinimalTuple mtup, TupleTableSlot *slot, cbool shouldFree)
    MinimalTuple ExecFetchSlotMinimalTuple(TupleTableSlot *slot, cbool *shouldFree)
    void slot_getallattrs(TupleTableSlot *slot)
    Datum ExecFetchSlotHeapTupleDatum(TupleTableSlot *slot)
    Datum row_as_json(Datum row)
    Datum array_as_json(Datum array)

    # Receivers
    ctypedef struct DestReceiver:
        cbool (*receiveSlot)(TupleTableSlot *slot, DestReceiver *self) noexcept nogil
        void (*rStartup)(DestReceiver *self, int operation, TupleDesc typeinfo) noexcept nogil
        void (*rShutdown)(DestReceiver *self) noexcept nogil
        void (*rDestroy)(DestReceiver *self) noexcept nogil
        int mydest
    enum:
        DestNone, DestRemote
    DestReceiver *None_Receiver
    int whereToSendOutput

    # Set-returning functions
    ctypedef struct Tuplestorestate:
        pass
    ctypedef struct ExprContext:
        pass
    ctypedef struct ReturnSetInfo:
        ExprContext *econtext
        TupleDesc expectedDesc
        int allowedModes
        int returnMode
        Tuplestorestate *setResult
        TupleDesc setDesc
    enum:
        SFRM_Materialize, SFRM_Materialize_Random
        TYPEFUNC_COMPOSITE, TYPEFUNC_COMPOSITE_DOMAIN
    ReturnSetInfo *result_set_info(FunctionCallInfo)
    MemoryContext per_query_memory(ReturnSetInfo *)
    Oid get_fn_expr_rettype(FmgrInfo *flinfo)
    int get_call_result_type(FunctionCallInfo fcinfo, Oid *resultTypeId, TupleDesc *resultTupleDesc)
    Tuplestorestate *tuplestore_begin_heap(cbool randomAccess, cbool interXact, int maxKBytes)
    void tuplestore_putvalues(Tuplestorestate *state, TupleDesc tdesc, const Datum *values, const cbool *isnull)

    # Hooks
    ctypedef struct PlannedStmt:
        Node *utilityStmt
        # ...
    ctypedef struct EState:
        const char *es_sourceText
        # ...
    ctypedef struct QueryDesc:
        EState *estate
        # ...
    ctypedef void (*ProcessUtility_hook_type)(PlannedStmt *pstmt, const char *queryString, cbool readOnlyTree,
                                              int context, void *params, void *queryEnv, DestReceiver *dest,
                                              QueryCompletion *qc) noexcept nogil
    ctypedef void (*ExecutorStart_hook_type)(QueryDesc *queryDesc, int eflags) noexcept nogil
    ProcessUtility_hook_type ProcessUtility_hook
    ExecutorStart_hook_type ExecutorStart_hook
    void standard_ProcessUtility(PlannedStmt *pstmt, const char *queryString, cbool readOnlyTree, int context,
                                 void *params, void *queryEnv, DestReceiver *dest, QueryCompletion *qc)
    void standard_ExecutorStart(QueryDesc *queryDesc, int eflags)

    # Messages to the client
    ctypedef struct PQcommMethods:
        void (*comm_reset)() noexcept nogil
        int (*flush)() noexcept nogil
        int (*flush_if_writable)() noexcept nogil
        cbool (*is_send_pending)() noexcept nogil
        int (*putmessage)(char msgtype, const char *s, size_t n) noexcept nogil
        void (*putmessage_noblock)(char msgtype, const char *s, size_t n) noexcept nogil
    ctypedef struct StringInfoData:
        char *data
        int len
        int maxlen
        int cursor
    ctypedef StringInfoData *StringInfo
    const PQcommMethods *PqCommMethods
    uint32_t FrontendProtocol
    enum:
        PG_PROTOCOL_LATEST
    void initStringInfo(StringInfo str)
    void escape_json(StringInfo buf, const char *str)
    void appendStringInfo(StringInfo str, const char *fmt, ...)
    void appendStringInfoString(StringInfo str, const char *s)
    void appendStringInfoChar(StringInfo str, char ch)
    void appendBinaryStringInfo(StringInfo str, const void *data, int datalen)
    void pq_parse_errornotice(StringInfo msg, ErrorData *edata)
