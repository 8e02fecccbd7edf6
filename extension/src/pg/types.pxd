"""Types, values made of others, and expressions over them (utils/lsyscache.h, utils/typcache.h, nodes/*.h)."""

from libc.stdint cimport int8_t, int16_t, int32_t, uint8_t, uint16_t, uint32_t

from .base cimport ArrayType, cbool, Datum, FmgrInfo, HeapTupleHeader, MemoryContext, Oid, Size, varlena
from .executor cimport ExprContext, Node, TupleDesc

cdef extern from "shim.h" nogil:
    # Types
    enum:
        REGCLASSOID, REGTYPEOID, REGPROCOID, REGPROCEDUREOID, REGOPEROID, REGOPERATOROID, REGROLEOID
        REGNAMESPACEOID, REGCONFIGOID, REGDICTIONARYOID, REGCOLLATIONOID, RECORDOID, RECORDARRAYOID
        ANYARRAYOID, TEXTARRAYOID, JSONARRAYOID, TypeRelationId
        REFCURSOROID, JSONBOID, JSONPATHOID, TSVECTOROID, TSQUERYOID, PATHOID, POLYGONOID
        INT2VECTOROID, OIDVECTOROID, PG_SNAPSHOTOID, TXID_SNAPSHOTOID, PG_NDISTINCTOID, PG_DEPENDENCIESOID
    ctypedef struct TypeRow:
        char kind
        Oid owner
        Oid schema
        Oid relation
        Oid element
        Oid base
        int32_t base_typmod
        cbool not_null
        uint32_t change
    cbool isOtherTempNamespace(Oid namespaceId)
    cbool get_type_row(Oid type, TypeRow *row)
    Oid get_array_type(Oid typid)
    Oid get_element_type(Oid typid)
    Oid get_range_subtype(Oid rangeOid)
    Oid get_multirange_range(Oid multirangeOid)
    int enum_labels(Oid type, Oid **oids, char ***labels)
    Oid enum_value(Oid type, const char *label)
    cbool is_label_of(Oid type, Oid label)
    TupleDesc lookup_rowtype_tupdesc(Oid type_id, int32_t typmod)
    TupleDesc lookup_rowtype_tupdesc_copy(Oid type_id, int32_t typmod)
    void ReleaseTupleDesc(TupleDesc desc)

    # Code that belongs to types
    Oid function_owner(Oid function)
    Oid cast_to_json(Oid type)
    Oid function_called(FmgrInfo *)
    ctypedef struct DomainCheck:
        Oid oid
        cbool is_valid
    cbool has_constraints(Oid domain)
    int domain_checks(Oid domain, DomainCheck **checks)

    # Expressions
    ctypedef struct ExprState:
        pass
    Node *typmod_coercion(Oid type, int32_t sent, int32_t declared)
    Oid function_of_coercion(Node *expression)
    ExprState *prepare_expression(Node *expression)
    ExprContext *CreateStandaloneExprContext()
    void ReScanExprContext(ExprContext *econtext)
    Datum evaluate(ExprState *state, ExprContext *context, Datum value, cbool value_is_null, cbool *is_null)

    # Values within values
    void deform_record(HeapTupleHeader record, TupleDesc desc, Datum *values, cbool *nulls)
    Oid record_type(HeapTupleHeader)
    int32_t record_typmod(HeapTupleHeader)
    void set_record_typmod(HeapTupleHeader, int32_t typmod)
    Oid desc_type(TupleDesc)
    int32_t desc_typmod(TupleDesc)
    ArrayType *array_of(Datum)
    Oid array_element_type(ArrayType *)
    ArrayType *array_like(ArrayType *model, Datum *values, cbool *nulls, Oid element)
    varlena *whole_value(Datum)
    void get_typlenbyval(Oid typid, int16_t *typlen, cbool *typbyval)
    char *value_bytes(Datum *value, int16_t length, cbool by_value, Size *size)
    Datum value_with_bytes(const char *bytes, Size size, int16_t length, cbool by_value)
    Datum name_datum(const char *string)

    # Texts to search, and what is searched for (tsearch/ts_type.h)
    ctypedef uint16_t WordEntryPos
    ctypedef struct WordEntry:
        uint32_t len, pos
    ctypedef struct TSVectorData:
        int32_t size
    ctypedef TSVectorData *TSVector
    ctypedef struct QueryOperand:
        uint8_t weight
        cbool prefix
        uint32_t length, distance
    ctypedef struct QueryOperator:
        int8_t oper
        int16_t distance
        uint32_t left
    ctypedef union QueryItem:
        int8_t type
        QueryOperator qoperator
        QueryOperand qoperand
    ctypedef struct TSQueryData:
        int32_t size
    ctypedef TSQueryData *TSQuery
    enum:
        QI_VAL, OP_NOT, OP_AND, OP_OR, OP_PHRASE
    TSVector vector_of "DatumGetTSVector"(Datum)
    WordEntry *ARRPTR(TSVector)
    char *STRPTR(TSVector)
    int position_count "POSDATALEN"(TSVector, WordEntry *)
    WordEntryPos *positions_of "POSDATAPTR"(TSVector, WordEntry *)
    int WEP_GETWEIGHT(WordEntryPos)
    int WEP_GETPOS(WordEntryPos)
    TSQuery query_of "DatumGetTSQuery"(Datum)
    QueryItem *GETQUERY(TSQuery)
    char *GETOPERAND(TSQuery)

    # Settings for the time of a call, and locks until the transaction's end
    int NewGUCNestLevel()
    void AtEOXact_GUC(cbool isCommit, int nestLevel)
    void set_for_now(const char *name, const char *value)
    enum:
        AccessShareLock
    void LockRelationOid(Oid relid, int lockmode)
    cbool ConditionalLockRelationOid(Oid relid, int lockmode)
    cbool lock_free_type(Oid type)
    void LockDatabaseObject(Oid classid, Oid objid, uint16_t objsubid, int lockmode)
    void UnlockRelationOid(Oid relid, int lockmode)
    void AcceptInvalidationMessages()
    void check_stack_depth()
