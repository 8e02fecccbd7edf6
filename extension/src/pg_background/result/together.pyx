# Values put together again, at the reader: as the type that they were sent from, or, where nobody has that type, as
# what can be made of its shape alone: text for an enum, an anonymous record for a composite.

cdef struct Assembly:
    int encoding                # of the job's database
    bint is_elsewhere           # the reader is in another database than the job
    bint is_for_json            # casts to json count
    int locking                 # of types: Locking
    ExprContext *expressions
    Shape **records             # shapes of anonymous records, by number
    int record_count


cdef void prepare_named(Shape *shape) noexcept nogil:
    """For values of the type itself, which exists here and has this shape."""
    cdef int i
    shape.is_named = True
    shape.is_changed = shape.kind != SHAPE_PLAIN
    shape.target = shape.type
    shape.target_typmod = shape.typmod
    if shape.kind == SHAPE_ENUM:
        return
    if shape.kind == SHAPE_WRITTEN:
        get_typlenbyval(shape.type, &shape.length, &shape.by_value)
    for i in range(shape.count):
        prepare_named(&shape.parts[i])
    if shape.kind == SHAPE_DOMAIN:
        shape.is_changed = shape.parts.is_changed
    if shape.kind == SHAPE_COMPOSITE or shape.kind == SHAPE_BOXES:
        shape.wire_desc = fields_desc(shape, False)
    if shape.kind == SHAPE_COMPOSITE:
        shape.desc = lookup_rowtype_tupdesc_copy(shape.type, -1)


cdef void prepare_parts(Shape *shape, Assembly *assembly) noexcept nogil:
    """For values that show what they are made of, without the type that they were sent from."""
    cdef Oid element = get_element_type(shape.type) if shape.kind == SHAPE_PLAIN else <Oid>InvalidOid
    cdef bint is_here = False
    cdef int i
    if assembly.encoding != GetDatabaseEncoding() and holds_text(element):
        # each element is brought from the other encoding
        shape.kind = SHAPE_ARRAY
        add_parts(shape, 1)
        set_plain(shape.parts, element)
    shape.is_named = False
    shape.is_changed = shape.kind != SHAPE_PLAIN or assembly.encoding != GetDatabaseEncoding()
    shape.target = shape.wire
    shape.target_typmod = -1
    if shape.kind == SHAPE_WRITTEN or (shape.kind == SHAPE_ENUM and assembly.is_for_json):
        is_here = not assembly.is_elsewhere and is_shape_in_force(shape, assembly.locking)
    if is_here and assembly.is_for_json and prepare_cast(shape):
        return
    if shape.kind == SHAPE_ENUM:
        shape.target = TEXTOID
        return
    if shape.kind == SHAPE_WRITTEN:
        if not is_here:
            shape.target = TEXTOID
            return
        prepare_named(shape)
        # of a base type the bytes alone make the value, whatever it is part of
        if shape.count > 0 or assembly.is_for_json:
            # text that is written under this session's settings
            shape.target = TEXTOID
            shape.target_typmod = -1
            prepare_output(&shape.function, shape.type)
        return
    if shape.kind == SHAPE_ANYARRAY:
        shape.target = JSONOID if assembly.is_for_json else TEXTOID
        return
    if shape.kind == SHAPE_PLAIN:
        shape.target_typmod = shape.typmod
        return
    if shape.kind == SHAPE_REFERENCE:
        shape.target = TEXTOID if assembly.is_elsewhere else shape.type
        return
    for i in range(shape.count):
        prepare_parts(&shape.parts[i], assembly)
    if shape.kind == SHAPE_BOXES:
        shape.wire_desc = fields_desc(shape, False)
        shape.target = JSONARRAYOID if assembly.is_for_json else TEXTARRAYOID
        prepare_output(&shape.function, shape.parts.target)
    elif shape.kind == SHAPE_DOMAIN:
        shape.is_changed = shape.parts.is_changed
        shape.target = shape.parts.target
        shape.target_typmod = shape.parts.target_typmod
    elif shape.kind == SHAPE_ARRAY:
        shape.target = get_array_type(shape.parts.target)
        shape.target_typmod = shape.parts.target_typmod
    elif shape.kind == SHAPE_COMPOSITE:
        bring_names(shape, assembly)
        shape.wire_desc = fields_desc(shape, False)
        shape.desc = BlessTupleDesc(fields_desc(shape, True))
        shape.target_typmod = desc_typmod(shape.desc)


cdef void prepare_output(FmgrInfo *output, Oid type) noexcept nogil:
    """Look up the type's output function, in the current memory context."""
    cdef Oid function = InvalidOid
    cdef cbool is_varlena = False
    getTypeOutputInfo(type, &function, &is_varlena)
    fmgr_info(function, output)


cdef bint prepare_cast(Shape *shape) noexcept nogil:
    """Of an enum or a written type that is here as it was sent. Where a session would make JSON by a cast of it, and
    that is a superuser's, so do we: by this very function, as the type's owner may give it another cast before the
    next row. Of arrays a session uses none.
    """
    cdef Oid function
    if get_element_type(shape.type) != InvalidOid:
        return False
    function = cast_to_json(shape.type)
    if function == InvalidOid or not may_run(function):
        return False
    prepare_named(shape)
    shape.is_cast = True
    shape.target = JSONOID
    fmgr_info(function, &shape.cast)
    return True


cdef void bring_names(Shape *shape, Assembly *assembly) noexcept nogil:
    """Of fields, into this database's encoding; a character that it lacks must not make the values unreadable."""
    cdef int i
    for i in range(shape.count):
        shape.parts[i].name = shown_here(shape.parts[i].name, assembly.encoding)


cdef void add_record_shape(Assembly *assembly, int number, Shape *shape) noexcept nogil:
    """Records with this number have the shape, which must live as long; in the current memory context."""
    prepare_parts(shape, assembly)
    if shape.type == ANYARRAYOID and shape.count == ANY_ARRAY_FIELDS:
        prepare_output(&shape.function, shape.parts[ANY_ARRAY_VALUE].target)
    if assembly.records == NULL:
        assembly.records = <Shape **>palloc(sizeof(Shape *) * 16)
    elif number >= 16 and (number & (number - 1)) == 0:
        assembly.records = <Shape **>repalloc(assembly.records, sizeof(Shape *) * number * 2)
    assembly.records[number] = shape
    assembly.record_count = number + 1


# ---- values, in the current memory context

cdef Datum put_together(Assembly *assembly, Shape *shape, Datum value, cbool is_null) noexcept nogil:
    """The value as the reader gets it; a NULL stays one."""
    check_stack_depth()
    if is_null or not shape.is_changed:
        return value
    if shape.kind == SHAPE_DOMAIN:
        return put_together(assembly, shape.parts, value, is_null)
    if shape.kind == SHAPE_REFERENCE:
        return reference_here(assembly, shape, value)
    if shape.kind == SHAPE_ARRAY or shape.kind == SHAPE_BOXES:
        return array_together(assembly, shape, value)
    if shape.kind == SHAPE_ANYARRAY:
        return any_array_together(assembly, value)
    if shape.kind == SHAPE_COMPOSITE:
        return fields_together(assembly, shape, value)
    if shape.kind == SHAPE_RECORD:
        return record_together(assembly, value)
    if shape.kind == SHAPE_ENUM:
        value = label_here(assembly, shape, value)
    elif shape.kind == SHAPE_WRITTEN:
        value = written_here(assembly, shape, value)
        if shape.is_named and shape.target == TEXTOID:
            return CStringGetTextDatum(OutputFunctionCall(&shape.function, value))
    elif shape.kind == SHAPE_PLAIN:
        return plain_here(shape.type, value, assembly.encoding)
    elif not shape.is_named:
        return text_here(value, assembly.encoding)
    return json_by_cast(shape, value) if shape.is_cast else value


cdef Datum json_by_cast(Shape *shape, Datum value) noexcept nogil:
    """Or as the text that it is without a cast, from when the function has got another owner."""
    cdef FmgrInfo output
    if may_run(function_called(&shape.cast)):
        return FunctionCall1(&shape.cast, value)
    prepare_output(&output, shape.type)
    return json_string(OutputFunctionCall(&output, value))


cdef Datum json_string(const char *text) noexcept nogil:
    cdef StringInfoData json
    initStringInfo(&json)
    escape_json(&json, text)
    return PointerGetDatum(cstring_to_text_with_len(json.data, json.len))


cdef Datum json_of(Shape *shape, FmgrInfo *output, Datum value) noexcept nogil:
    """Of a value that has been put together."""
    if get_element_type(shape.target) != InvalidOid:
        return array_as_json(value)
    return json_string(OutputFunctionCall(output, value))


cdef Datum written_here(Assembly *assembly, Shape *shape, Datum value) noexcept nogil:
    """The bytes, or the text."""
    cdef varlena *both = whole_value(value)
    cdef char *bytes = VARDATA_ANY(both) + sizeof(Size)
    cdef Size rest = VARSIZE_ANY_EXHDR(both) - sizeof(Size)
    cdef Size size
    memcpy(&size, VARDATA_ANY(both), sizeof(Size))
    if shape.is_named:
        return value_with_bytes(bytes, size, shape.length, shape.by_value)
    return CStringGetTextDatum(converted_here(pnstrdup(bytes + size, rest - size), assembly.encoding))


cdef Datum reference_here(Assembly *assembly, Shape *shape, Datum value) noexcept nogil:
    """The OID in the job's own database, the name in others."""
    cdef char *both = VARDATA_ANY(DatumGetPointer(value))
    cdef int size = VARSIZE_ANY_EXHDR(DatumGetPointer(value)) - <int>sizeof(Oid)
    cdef Oid oid = InvalidOid
    if shape.target == TEXTOID:
        return CStringGetTextDatum(converted_here(pnstrdup(both + sizeof(Oid), size), assembly.encoding))
    memcpy(&oid, both, sizeof(Oid))
    return ObjectIdGetDatum(oid)


cdef Datum label_here(Assembly *assembly, Shape *shape, Datum value) noexcept nogil:
    """Of an enum, by its OID, as it may have got another name while it is read."""
    value = reference_here(assembly, shape, value)
    if shape.target != TEXTOID and not is_label_of(shape.type, DatumGetObjectId(value)):
        raise_error(ERRCODE_INVALID_TEXT_REPRESENTATION, b"a value of the result is not a label of type %s",
                    type_name(shape.type, -1))
    return value


cdef Datum array_together(Assembly *assembly, Shape *shape, Datum value) noexcept nogil:
    """The array of what its elements are here."""
    cdef ArrayType *array = array_of(value)
    cdef Datum *values = NULL
    cdef cbool *nulls = NULL
    cdef int i
    cdef int count = array_elements(array, &values, &nulls)
    for i in range(count):
        if nulls[i]:
            continue
        if shape.kind == SHAPE_BOXES:
            values[i] = from_box(assembly, shape, values[i])
        else:
            values[i] = put_together(assembly, shape.parts, values[i], False)
    return PointerGetDatum(array_like(array, values, nulls, get_element_type(shape.target)))


cdef Datum from_box(Assembly *assembly, Shape *shape, Datum value) noexcept nogil:
    """An element of the domain itself; else its JSON or text."""
    cdef cbool is_null = False
    deform_record(record_of(value), shape.wire_desc, &value, &is_null)
    value = put_together(assembly, shape.parts, value, False)
    if shape.is_named:
        return value
    if assembly.is_for_json:
        return json_of(shape.parts, &shape.function, value)
    return CStringGetTextDatum(OutputFunctionCall(&shape.function, value))


cdef Datum fields_together(Assembly *assembly, Shape *shape, Datum value) noexcept nogil:
    """The record of what its fields are here; dropped columns of the reader's type are NULL."""
    cdef int natts = shape.desc.natts
    cdef Datum *sent = <Datum *>palloc(sizeof(Datum) * (shape.count + 1))
    cdef cbool *sent_nulls = <cbool *>palloc(sizeof(cbool) * (shape.count + 1))
    cdef Datum *values = <Datum *>palloc0(sizeof(Datum) * (natts + 1))
    cdef cbool *nulls = <cbool *>palloc(sizeof(cbool) * (natts + 1))
    cdef int i
    cdef int n = 0
    deform_record(record_of(value), shape.wire_desc, sent, sent_nulls)
    for i in range(natts):
        nulls[i] = True
        if column(shape.desc, i).attisdropped:
            continue
        nulls[i] = sent_nulls[n]
        values[i] = put_together(assembly, &shape.parts[n], sent[n], sent_nulls[n])
        n += 1
    return HeapTupleGetDatum(heap_form_tuple(shape.desc, values, nulls))


cdef Shape *shape_of_record(Assembly *assembly, Datum value) noexcept nogil:
    """What an anonymous record is made of; raises XX000 where the job has not told it."""
    cdef int number = record_typmod(record_of(value))
    if number < 0 or number >= assembly.record_count:
        raise_error(ERRCODE_INTERNAL_ERROR, b"shape of a record is missing")
    return assembly.records[number]


cdef Datum record_together(Assembly *assembly, Datum value) noexcept nogil:
    """An anonymous record, by the shape that it names."""
    return fields_together(assembly, shape_of_record(assembly, value), value)


cdef Datum any_array_together(Assembly *assembly, Datum value) noexcept nogil:
    """As the array that it is where the type of its elements is known here, else as the job has written it."""
    cdef Shape *shape = shape_of_record(assembly, value)
    cdef Datum values[ANY_ARRAY_FIELDS]
    cdef cbool nulls[ANY_ARRAY_FIELDS]
    deform_record(record_of(value), shape.wire_desc, values, nulls)
    if shape.count < ANY_ARRAY_FIELDS:
        value = text_here(values[ANY_ARRAY_TEXT], assembly.encoding)
        return json_string(TextDatumGetCString(value)) if assembly.is_for_json else value
    value = put_together(assembly, &shape.parts[ANY_ARRAY_VALUE], values[ANY_ARRAY_VALUE], False)
    if assembly.is_for_json:
        return json_of(&shape.parts[ANY_ARRAY_VALUE], &shape.function, value)
    return CStringGetTextDatum(OutputFunctionCall(&shape.function, value))
