"""Types, Datums, function calls and memory contexts (fmgr.h, postgres.h, palloc.h, miscadmin.h)."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t, uint64_t
from posix.types cimport pid_t

cdef extern from "shim.h" nogil:
    ctypedef bint cbool "bool"
    ctypedef uint64_t Datum
    ctypedef uint32_t Oid
    ctypedef size_t Size
    ctypedef int64_t TimestampTz

    enum:
        InvalidOid
        BOOLOID, INT4OID, INT8OID, TEXTOID, VARCHAROID, OIDOID, TIMESTAMPTZOID, FLOAT8OID
        NAMEOID, BPCHAROID, JSONOID, XMLOID, NUMERICOID, BYTEAOID, BITOID, VARBITOID, INETOID, CIDROID
        TIDOID, TIDARRAYOID
        FirstUnpinnedObjectId

    # Variable-length values
    ctypedef struct text "text":
        pass
    ctypedef struct varlena "struct varlena":
        pass
    char *VARDATA_ANY(const void *)
    int VARSIZE_ANY_EXHDR(const void *)
    cbool VARATT_IS_EXTERNAL(const void *)
    varlena *detoast_external_attr(varlena *attr)
    char *text_to_cstring(const text *t)
    text *cstring_to_text_with_len(const char *s, int len)
    cbool is_like(const char *string, text *pattern)
    Size MAXALIGN(Size)

    # Datum conversions
    Datum BoolGetDatum(cbool)
    Datum Int32GetDatum(int32_t)
    Datum Int64GetDatum(int64_t)
    Datum Float8GetDatum(double)
    double get_float8_infinity()
    Datum ObjectIdGetDatum(Oid)
    Oid DatumGetObjectId(Datum)
    Datum TimestampTzGetDatum(TimestampTz)
    Datum PointerGetDatum(const void *)
    Datum CStringGetTextDatum(const char *)
    char *TextDatumGetCString(Datum)
    Datum UInt64GetDatum(uint64_t)
    int32_t DatumGetInt32(Datum)
    cbool DatumGetBool(Datum)
    int64_t DatumGetInt64(Datum)
    uint64_t DatumGetUInt64(Datum)
    void *DatumGetPointer(Datum)

    # Function calls
    ctypedef struct FmgrInfo:
        Oid fn_oid
        # ...
    ctypedef struct FunctionCallInfoBaseData:
        FmgrInfo *flinfo
        cbool isnull
        # ...
    ctypedef FunctionCallInfoBaseData *FunctionCallInfo
    ctypedef struct HeapTupleHeaderData:
        pass
    ctypedef HeapTupleHeaderData *HeapTupleHeader
    int32_t arg_int32(FunctionCallInfo, int n)
    int64_t arg_int64(FunctionCallInfo, int n)
    double arg_float8(FunctionCallInfo, int n)
    text *arg_text(FunctionCallInfo, int n)
    HeapTupleHeader arg_record(FunctionCallInfo, int n)
    cbool arg_bool(FunctionCallInfo, int n)
    const char *arg_name(FunctionCallInfo, int n)
    HeapTupleHeader record_of(Datum)
    cbool arg_isnull(FunctionCallInfo, int n)
    int arg_count(FunctionCallInfo)
    Oid function_oid(FunctionCallInfo)
    Oid get_func_signature(Oid funcid, Oid **argtypes, int *nargs)
    Datum GetAttributeByNum(HeapTupleHeader tuple, int16_t attrno, cbool *isNull)
    void fmgr_info(Oid functionId, FmgrInfo *finfo)
    char *OutputFunctionCall(FmgrInfo *flinfo, Datum val)
    Datum FunctionCall1(FmgrInfo *flinfo, Datum arg)
    char *OidOutputFunctionCall(Oid functionId, Datum val)
    Datum OidInputFunctionCall(Oid functionId, char *str, Oid typioparam, int32_t typmod)

    # Arrays
    ctypedef struct ArrayType:
        pass
    ArrayType *arg_array(FunctionCallInfo, int n)
    enum:
        SIZEOF_TID "sizeof(ItemPointerData)"
    ArrayType *construct_array(Datum *elems, int nelems, Oid elmtype, int elmlen, cbool elmbyval, char elmalign)
    void deconstruct_array(ArrayType *array, Oid elmtype, int elmlen, cbool elmbyval, char elmalign, Datum **elemsp,
                           cbool **nullsp, int *nelemsp)
    int array_elements(ArrayType *, Datum **values, cbool **nulls)
    int array_length(ArrayType *)
    int32_t array_int32(ArrayType *, int i)
    int array_dimensions(ArrayType *)
    ArrayType *blocking_pids(int pid)
    ArrayType *safe_snapshot_blocking_pids(int pid)

    # Assertions
    enum:
        IS_CHECKING_ASSERTIONS
    void Assert(cbool)

    # Memory contexts
    ctypedef struct MemoryContextData:
        pass
    ctypedef MemoryContextData *MemoryContext
    MemoryContext CurrentMemoryContext, TopMemoryContext
    enum:
        MCXT_ALLOC_HUGE, MCXT_ALLOC_NO_OOM
        MaxAllocSize, MAX_CONVERSION_GROWTH
    void *palloc(Size)
    void *palloc0(Size)
    void *repalloc(void *, Size)
    void pfree(void *)
    char *pstrdup(const char *)
    char *pnstrdup(const char *, Size)
    char *psprintf(const char *fmt, ...)
    void *MemoryContextAlloc(MemoryContext, Size)
    void *MemoryContextAllocExtended(MemoryContext, Size, int flags)
    MemoryContext MemoryContextSwitchTo(MemoryContext)
    void MemoryContextReset(MemoryContext)
    void MemoryContextDelete(MemoryContext)
    MemoryContext create_context(MemoryContext parent, const char *name)

    # This process
    int MyProcPid
    Oid MyDatabaseId
    cbool process_shared_preload_libraries_in_progress
    int work_mem
    int max_worker_processes

    # Time and chance
    TimestampTz GetCurrentTimestamp()
    long TimestampDifferenceMilliseconds(TimestampTz start, TimestampTz stop)
    cbool pg_strong_random(void *buf, size_t len)
    uint64_t hash_bytes_extended(const unsigned char *k, int keylen, uint64_t seed)
    int pg_encoding_mblen(int encoding, const char *mbstr)
    int pg_mbstrlen(const char *mbstr)
    int pg_mbcliplen(const char *mbstr, int len, int limit)
    int pg_mblen(const char *mbstr)
    int pg_mbstrlen_with_len(const char *mbstr, int len)
    enum:
        PG_SQL_ASCII, PG_UTF8, PG_LATIN1, PG_LATIN10, PG_ISO_8859_5, PG_ISO_8859_8
    Oid FindDefaultConversionProc(int32_t for_encoding, int32_t to_encoding)
    unsigned char *pg_do_encoding_conversion(unsigned char *src, int len, int src_encoding, int dest_encoding)
    int pg_do_encoding_conversion_buf(Oid proc, int src_encoding, int dest_encoding, unsigned char *src, int srclen,
                                      unsigned char *dst, int dstlen, cbool noError)
    cbool pg_verify_mbstr(int encoding, const char *mbstr, int len, cbool noError)
    int pg_encoding_verifymbchar(int encoding, const char *mbstr, int len)
    void reseed_random(double seed)
