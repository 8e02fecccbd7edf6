# Values taken apart, in the worker: what travels of a value whose meaning DDL can change.

cdef struct SentRecord:
    Oid type                    # as the values' headers have it
    int32_t typmod
    Shape shape

cdef SentRecord **sent_records      # shapes of anonymous records that the job has told, each once
cdef int sent_record_count


cdef void forget_sent_records() noexcept nogil:
    """They lie in the last job's memory."""
    global sent_records, sent_record_count
    sent_records = NULL
    sent_record_count = 0


cdef void prepare_apart(Shape *shape) noexcept nogil:
    """Look up what taking such values apart needs; in the memory context that the shape lives in."""
    cdef Oid function = InvalidOid
    cdef cbool is_varlena = False
    cdef int i
    if shape.kind == SHAPE_PLAIN or shape.kind == SHAPE_WRITTEN:
        get_typlenbyval(shape.type, &shape.length, &shape.by_value)
    if shape.kind == SHAPE_ENUM or shape.kind == SHAPE_REFERENCE or shape.kind == SHAPE_WRITTEN \
            or shape.kind == SHAPE_TEXT or shape.kind == SHAPE_ANYARRAY:
        getTypeOutputInfo(shape.type, &function, &is_varlena)
        fmgr_info(function, &shape.function)
        return
    if shape.kind == SHAPE_COMPOSITE or shape.kind == SHAPE_BOXES:
        shape.wire_desc = fields_desc(shape, False)
    for i in range(shape.count):
        prepare_apart(&shape.parts[i])


cdef Datum in_one_piece(Datum value, int length) noexcept nogil:
    """Without pointers to a table's toast, which may be gone when the reader comes."""
    if length == -1 and VARATT_IS_EXTERNAL(DatumGetPointer(value)):
        return PointerGetDatum(detoast_external_attr(<varlena *>DatumGetPointer(value)))
    return value


cdef Datum take_apart(Shape *shape, Datum value) noexcept nogil:
    """The value as it travels, in the current memory context."""
    check_stack_depth()
    if shape.kind == SHAPE_PLAIN:
        return in_one_piece(value, shape.length)
    if shape.kind == SHAPE_DOMAIN:
        return take_apart(shape.parts, value)
    if shape.kind == SHAPE_TEXT:
        return CStringGetTextDatum(OutputFunctionCall(&shape.function, value))
    if shape.kind == SHAPE_WRITTEN:
        return written_value(shape, value)
    if shape.kind == SHAPE_REFERENCE or shape.kind == SHAPE_ENUM:
        return reference_value(shape, value)
    if shape.kind == SHAPE_ARRAY or shape.kind == SHAPE_BOXES:
        return array_apart(shape, value)
    if shape.kind == SHAPE_ANYARRAY:
        return any_array_apart(shape, value)
    if shape.kind == SHAPE_RECORD:
        return record_apart(value)
    return fields_apart(shape, record_of(value))


cdef int begin_stable_form() noexcept nogil:
    """Settings under which text is written in one form, whatever the job's are."""
    cdef int level = NewGUCNestLevel()
    set_for_now("datestyle", "ISO")
    set_for_now("intervalstyle", "postgres")
    set_for_now("extra_float_digits", "1")
    set_for_now("bytea_output", "hex")
    set_for_now("lc_monetary", "C")
    set_for_now("search_path", "pg_catalog")
    return level


cdef Datum written_value(Shape *shape, Datum value) noexcept nogil:
    """As the payload of a bytea: its size and bytes, for who has its type, and the types that it is made of, as they
    are, and the text that others read.

    The bytes hold what the text does not: which object a name meant, and that a word is NULL.
    """
    cdef char *written = written_form(shape, value)
    cdef Size length = strlen(written)
    cdef Size size = 0
    cdef char *bytes = value_bytes(&value, shape.length, shape.by_value, &size)
    cdef char *both = <char *>palloc(sizeof(Size) + size + length)
    cdef text *payload
    memcpy(both, &size, sizeof(Size))
    memcpy(both + sizeof(Size), bytes, size)
    memcpy(both + sizeof(Size) + size, written, length)
    payload = cstring_to_text_with_len(both, <int>(sizeof(Size) + size + length))
    pfree(both)
    pfree(written)
    return PointerGetDatum(payload)


cdef char *written_form(Shape *shape, Datum value) noexcept nogil:
    """Of what is made of other types, a form that does not depend on the job's settings."""
    cdef char *written
    cdef int level
    if shape.count == 0:
        return OutputFunctionCall(&shape.function, value)
    level = begin_stable_form()
    written = OutputFunctionCall(&shape.function, value)
    AtEOXact_GUC(False, level)
    return written


cdef Datum reference_value(Shape *shape, Datum value) noexcept nogil:
    """The OID, for this database, and the name that is read elsewhere, as the payload of a bytea."""
    cdef char *name = OutputFunctionCall(&shape.function, value)
    cdef Oid oid = DatumGetObjectId(value)
    cdef text *both
    cdef Size size = strlen(name)
    cdef char *buffer = <char *>palloc(sizeof(Oid) + size)
    memcpy(buffer, &oid, sizeof(Oid))
    memcpy(buffer + sizeof(Oid), name, size)
    both = cstring_to_text_with_len(buffer, <int>(sizeof(Oid) + size))
    return PointerGetDatum(both)


cdef Datum array_apart(Shape *shape, Datum value) noexcept nogil:
    """An array of its elements taken apart; each in a record where the element is an array itself (SHAPE_BOXES)."""
    cdef ArrayType *array = array_of(value)
    cdef Datum *values = NULL
    cdef cbool *nulls = NULL
    cdef int i
    cdef int count = array_elements(array, &values, &nulls)
    for i in range(count):
        if not nulls[i]:
            values[i] = take_apart(shape.parts, values[i])
        if not nulls[i] and shape.kind == SHAPE_BOXES:
            values[i] = HeapTupleGetDatum(heap_form_tuple(shape.wire_desc, &values[i], &nulls[i]))
    return PointerGetDatum(array_like(array, values, nulls, get_element_type(shape.wire)))


cdef TupleDesc desc_of_record(Shape *shape, HeapTupleHeader record) noexcept nogil:
    """The row type in the value's own header, which is to have the fields of the shape."""
    cdef TupleDesc desc = shape.desc
    cdef int i
    cdef int n = 0
    if desc != NULL and desc_type(desc) == record_type(record) and desc_typmod(desc) == record_typmod(record):
        return desc
    desc = lookup_rowtype_tupdesc_copy(record_type(record), record_typmod(record))
    for i in range(desc.natts):
        if column(desc, i).attisdropped:
            continue
        if n < shape.count and column(desc, i).atttypid != shape.parts[n].type:
            break
        n += 1
    if n != shape.count:
        raise_error(ERRCODE_DATATYPE_MISMATCH, b"value of type %s does not have the fields of that type",
                    type_name(shape.type, -1))
    return desc


cdef Datum fields_apart(Shape *shape, HeapTupleHeader record) noexcept nogil:
    """A record of the fields taken apart, without the dropped ones."""
    cdef TupleDesc desc = desc_of_record(shape, record)
    cdef Datum *values = <Datum *>palloc(sizeof(Datum) * (desc.natts + 1))
    cdef cbool *nulls = <cbool *>palloc(sizeof(cbool) * (desc.natts + 1))
    cdef int i
    cdef int n = 0
    deform_record(record, desc, values, nulls)
    for i in range(desc.natts):
        if column(desc, i).attisdropped:
            continue
        values[n] = 0 if nulls[i] else take_apart(&shape.parts[n], values[i])
        nulls[n] = nulls[i]
        n += 1
    return HeapTupleGetDatum(heap_form_tuple(shape.wire_desc, values, nulls))


# ---- anonymous records and anyarray: each value may have another shape, which is told before the first that has it

cdef Datum record_apart(Datum value) noexcept nogil:
    """An anonymous record, which bears the number of its shape as its typmod."""
    cdef HeapTupleHeader record = record_of(value)
    cdef int number = number_of_record(record_type(record), record_typmod(record))
    cdef Datum apart = fields_apart(&sent_records[number].shape, record)
    set_record_typmod(record_of(apart), number)
    return apart


cdef Datum any_array_apart(Shape *shape, Datum value) noexcept nogil:
    """With the text, for who does not know the type of the elements."""
    cdef int number = number_of_record(ANYARRAYOID, <int32_t>array_element_type(array_of(value)))
    cdef Shape *sent = &sent_records[number].shape
    cdef Datum values[ANY_ARRAY_FIELDS]
    cdef cbool nulls[ANY_ARRAY_FIELDS]
    cdef Datum apart
    memset(nulls, 0, sizeof(nulls))
    values[ANY_ARRAY_TEXT] = CStringGetTextDatum(OutputFunctionCall(&shape.function, value))
    values[ANY_ARRAY_VALUE] = take_apart(&sent.parts[ANY_ARRAY_VALUE], value)
    apart = HeapTupleGetDatum(heap_form_tuple(sent.wire_desc, values, nulls))
    set_record_typmod(record_of(apart), number)
    return apart


cdef int number_of_record(Oid type, int32_t typmod) noexcept nogil:
    """The number by which the reader knows this row type; it is told now if it is new to the job."""
    cdef int i
    # the last ones first: most often all values of a column have the same
    for i in range(sent_record_count - 1, -1, -1):
        if sent_records[i].type == type and sent_records[i].typmod == typmod:
            return i
    return tell_record(type, typmod)


cdef int tell_record(Oid type, int32_t typmod) noexcept nogil:
    """Send the shape of a record's fields, or of an array of elements of the type `typmod`; it is kept as long as the
    job runs."""
    global sent_records, sent_record_count
    cdef MemoryContext old = MemoryContextSwitchTo(job_context)
    cdef SentRecord *sent = <SentRecord *>palloc0(sizeof(SentRecord))
    cdef StringInfoData packed
    cdef int number = sent_record_count
    cdef bint found
    sent.type = type
    sent.typmod = typmod
    sent.shape.type = type
    sent.shape.typmod = typmod
    if type == ANYARRAYOID:
        found = find_any_array(&sent.shape, <Oid>typmod)
    else:
        sent.shape.desc = lookup_rowtype_tupdesc_copy(type, typmod)
        found = find_record(&sent.shape)
    if not found:
        raise_error(ERRCODE_UNDEFINED_OBJECT, b"a type within a record does not exist any more")
    prepare_apart(&sent.shape)
    initStringInfo(&packed)
    pack_shape(&packed, &sent.shape)
    write_message(MSG_SHAPE, number, packed.data, packed.len, True)
    pfree(packed.data)
    if sent_records == NULL:
        sent_records = <SentRecord **>palloc(sizeof(SentRecord *) * 16)
    elif number >= 16 and (number & (number - 1)) == 0:
        sent_records = <SentRecord **>repalloc(sent_records, sizeof(SentRecord *) * number * 2)
    sent_records[number] = sent
    sent_record_count = number + 1
    MemoryContextSwitchTo(old)
    return number
