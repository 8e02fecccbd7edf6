"""SQL from inside of the server (executor/spi.h), and the relation that it is about."""

from libc.stdint cimport int64_t, uint64_t

from .base cimport cbool, Datum, Oid, TimestampTz
from .executor cimport HeapTuple, Query, TupleDesc
from .session cimport Relation

cdef extern from "shim.h" nogil:
    ctypedef struct SPIPlanData "struct _SPI_plan":
        pass
    ctypedef SPIPlanData *SPIPlanPtr
    ctypedef struct SPITupleTable:
        TupleDesc tupdesc
        HeapTuple *vals
        # ...
    enum:
        SPI_OK_CONNECT, SPI_OK_SELECT, SPI_OK_INSERT, SPI_OK_DELETE
        RowExclusiveLock, NoLock
        SECURITY_RESTRICTED_OPERATION
    uint64_t SPI_processed
    SPITupleTable *SPI_tuptable
    int SPI_connect()
    int SPI_finish()
    SPIPlanPtr SPI_prepare(const char *src, int nargs, Oid *argtypes)
    int SPI_keepplan(SPIPlanPtr plan)
    int SPI_freeplan(SPIPlanPtr plan)
    int SPI_execute_plan(SPIPlanPtr plan, Datum *values, const char *nulls, cbool read_only, long tcount)
    int SPI_execute(const char *src, cbool read_only, long tcount)
    Datum SPI_getbinval(HeapTuple tuple, TupleDesc tupdesc, int fnumber, cbool *isnull)

    # In a subtransaction, and back again
    ctypedef struct ResourceOwnerData:
        pass
    ctypedef ResourceOwnerData *ResourceOwner
    ResourceOwner CurrentResourceOwner
    void set_resource_owner(ResourceOwner)
    void BeginInternalSubTransaction(const char *name)
    void ReleaseCurrentSubTransaction()
    void RollbackAndReleaseCurrentSubTransaction()
    cbool ActiveSnapshotSet()
    TimestampTz GetCurrentTransactionStartTimestamp()
    const char *application_name
    cbool holds_locks()
    enum:
        PG_CATALOG_NAMESPACE
    Oid get_relname_relid(const char *name, Oid schema)

    Relation try_relation_open(Oid relationId, int lockmode)
    void relation_close(Relation relation, int lockmode)
    char *relation_name(Relation)
    cbool relation_has(Relation, const char *column)
    int relation_width(Relation)
    Oid relation_owner(Relation)

    # What a query is about, once it has been analysed
    enum:
        RTE_RELATION
    ctypedef struct ParseState:
        const char *p_sourcetext
        # ...
    ctypedef struct RangeTblEntry:
        int rtekind
        Oid relid
        # ...
    ctypedef void (*analyze_hook "post_parse_analyze_hook_type")(ParseState *, Query *, void *) noexcept nogil
    analyze_hook post_parse_analyze_hook
