# What a type is made of. A value whose meaning DDL can change (a composite's fields, an enum's labels) travels taken
# apart, with the shape of its type beside it, and is put together again only where that type still has this shape.

cdef enum ShapeKind:
    SHAPE_PLAIN = 1             # the bytes mean the same as long as the type exists
    SHAPE_ENUM                  # travels as OID and label; the parts are the labels there were
    SHAPE_LABEL                 # one of them, with its OID as the type
    SHAPE_REFERENCE             # regclass and the like: travels as OID and name
    SHAPE_DOMAIN                # travels as what it is based on, its one part
    SHAPE_ARRAY                 # an array of what its one part travels as
    SHAPE_COMPOSITE             # a record of what its fields travel as
    SHAPE_RECORD                # the same, but each value tells the number of its own shape
    SHAPE_BOXES                 # an array whose elements are arrays: each travels in a record, as it has no array type
    SHAPE_ANYARRAY              # an array that tells the number of its own shape, as an anonymous record, and its text
    # travels as its bytes and as text: a base type that is not PostgreSQL's own, which only its database reads; a range
    # of such a kind
    SHAPE_WRITTEN
    SHAPE_TEXT                  # text that no type reads: of pseudo-types

cdef enum:
    MOST_PARTS = 100000         # of one shape: types within types may be many more than there are types

cdef enum:
    # what a value of anyarray travels as
    ANY_ARRAY_TEXT = 0          # as the job has written it
    ANY_ARRAY_VALUE
    ANY_ARRAY_FIELDS

cdef enum Locking:
    LOCK_NOTHING = 0
    LOCK_TYPES                  # against change, until the end of the transaction
    LOCK_FREE_TYPES             # ... where nobody is to be waited for: one that is being changed is not in force

cdef int shape_room                 # parts that the shape being looked up may still have; negative: it has too many

cdef struct Shape:
    int32_t kind
    Oid type
    int32_t typmod              # of a field, or of what a domain is based on
    Oid wire                    # type of the value as it travels
    const char *name            # of a field or label
    int16_t number              # of a field: its attribute number
    uint32_t not_null_since     # of a domain, this level alone: the change of the type that holds now; 0: NULL may be
    int check_count
    DomainCheck *checks
    int32_t count
    Shape *parts
    # what a side keeps for the values: functions and rows
    int16_t length              # as in pg_type.typlen, of what travels as its bytes
    cbool by_value              # ... and typbyval
    FmgrInfo function           # output
    TupleDesc wire_desc         # of a composite as it travels
    TupleDesc desc              # ... as it is, or as the reader gets it
    # on the reader's side
    Oid target                  # type of the value as the reader gets it
    int32_t target_typmod
    bint is_named               # ... which is the sent type itself
    bint is_changed             # ... in another form than it travelled in
    bint is_cast                # ... json that this function makes of it
    FmgrInfo cast


cdef bint is_reference(Oid type) noexcept nogil:
    """OID alias types: their bytes mean something else in each database."""
    return (type == REGCLASSOID or type == REGTYPEOID or type == REGPROCOID or type == REGPROCEDUREOID
            or type == REGOPEROID or type == REGOPERATOROID or type == REGROLEOID or type == REGNAMESPACEOID
            or type == REGCONFIGOID or type == REGDICTIONARYOID or type == REGCOLLATIONOID)


cdef bint needs_no_shape(Oid type) noexcept nogil:
    """A base type or range of PostgreSQL itself, or an array of such: no DDL can change what its bytes mean."""
    cdef TypeRow row
    if type >= FirstUnpinnedObjectId or is_reference(type) or not get_type_row(type, &row):
        return False
    if row.element != InvalidOid:
        type = row.element
        if is_reference(type) or not get_type_row(type, &row):
            return False
    return row.kind == c'b' or row.kind == c'r' or row.kind == c'm'


cdef void add_parts(Shape *shape, int count) noexcept nogil:
    """Room for the parts, in zeros, in the current memory context."""
    shape.count = count
    shape.parts = <Shape *>palloc0(sizeof(Shape) * (count + 1))


cdef void set_plain(Shape *shape, Oid type) noexcept nogil:
    """Of a type whose values go as they are."""
    shape.kind = SHAPE_PLAIN
    shape.type = type
    shape.typmod = -1
    shape.wire = type


cdef bint find_shape(Shape *shape, Oid type, int32_t typmod, int lock) noexcept nogil:
    """Fill in what the catalogues say; False where the type, or one that it is made of, does not exist, or is not to be
    locked.

    With `lock`, a composite's fields stay as they are until the end of the transaction. A type that is made of too many
    parts travels as text. Allocates in the current memory context.
    """
    global shape_room
    shape_room = MOST_PARTS
    if find_part(shape, type, typmod, lock):
        return True
    if shape_room >= 0:
        return False
    set_plain(shape, type)
    travel_as_text(shape)
    return True


cdef void travel_as_text(Shape *shape) noexcept nogil:
    """Of a type whose values no type can read elsewhere."""
    shape.kind = SHAPE_TEXT
    shape.wire = TEXTOID
    shape.count = 0


cdef bint find_part(Shape *shape, Oid type, int32_t typmod, int lock) noexcept nogil:
    """The same for a type within the one that is looked up."""
    global shape_room
    cdef TypeRow row
    check_stack_depth()
    CHECK_FOR_INTERRUPTS()
    memset(shape, 0, sizeof(Shape))
    set_plain(shape, type)
    shape.typmod = typmod
    shape_room -= 1
    if shape_room < 0 or not get_type_row(type, &row):
        return False
    if row.kind == c'c':
        return find_fields(shape, lock)
    if row.kind == c'e':
        find_labels(shape)
    elif row.kind == c'd':
        shape.kind = SHAPE_DOMAIN
        add_parts(shape, 1)
        if not find_part(shape.parts, row.base, row.base_typmod, lock):
            return False
        shape.wire = shape.parts.wire
        shape.not_null_since = row.change if row.not_null else 0
        shape.check_count = domain_checks(type, &shape.checks)
    elif type == RECORDOID:
        shape.kind = SHAPE_RECORD
    elif type == RECORDARRAYOID:
        return find_element(shape, RECORDOID, lock)
    elif type == ANYARRAYOID:
        shape.kind = SHAPE_ANYARRAY
        shape.wire = RECORDOID
    elif row.kind == c'p':
        travel_as_text(shape)
    elif is_reference(type):
        shape.kind = SHAPE_REFERENCE
        shape.wire = BYTEAOID
    elif (row.kind == c'r' or row.kind == c'm') and type >= FirstUnpinnedObjectId:
        shape.kind = SHAPE_WRITTEN
        shape.wire = BYTEAOID
        add_parts(shape, 1)
        return find_part(shape.parts, get_range_subtype(type) if row.kind == c'r' else get_multirange_range(type),
                         -1, lock)
    elif row.element != InvalidOid and not needs_no_shape(type):
        return find_element(shape, row.element, lock)
    elif type >= FirstUnpinnedObjectId:
        shape.kind = SHAPE_WRITTEN
        shape.wire = BYTEAOID
    return True


cdef bint find_element(Shape *shape, Oid element, int lock) noexcept nogil:
    """The shape of an array, by that of its elements; as find_part."""
    add_parts(shape, 1)
    if not find_part(shape.parts, element, -1, lock):
        return False
    if shape.parts.kind == SHAPE_PLAIN:
        shape.count = 0
        return True
    shape.kind = SHAPE_ARRAY
    shape.wire = get_array_type(shape.parts.wire)
    if shape.wire == InvalidOid:
        # of domains over arrays
        shape.kind = SHAPE_BOXES
        shape.wire = RECORDARRAYOID
    return True


cdef bint find_any_array(Shape *shape, Oid element) noexcept nogil:
    """Of a value of anyarray with such elements, as a record: its text, then the array."""
    cdef Oid array = get_array_type(element)
    cdef Shape *value
    shape.kind = SHAPE_COMPOSITE
    shape.type = ANYARRAYOID
    shape.typmod = <int32_t>element
    shape.wire = RECORDOID
    add_parts(shape, ANY_ARRAY_FIELDS)
    value = &shape.parts[ANY_ARRAY_VALUE]
    set_plain(&shape.parts[ANY_ARRAY_TEXT], TEXTOID)
    if array != InvalidOid and not find_shape(value, array, -1, LOCK_TYPES):
        return False
    if array == InvalidOid:
        # the statistics of a column of arrays
        value.kind = SHAPE_BOXES
        value.wire = RECORDARRAYOID
        add_parts(value, 1)
        if not find_shape(value.parts, element, -1, LOCK_TYPES):
            return False
    shape.parts[ANY_ARRAY_TEXT].name = "text"
    value.name = "array"
    return True


cdef void find_labels(Shape *shape) noexcept nogil:
    """The labels of an enum, with their OIDs."""
    cdef Oid *oids = NULL
    cdef char **labels = NULL
    cdef int i
    shape.kind = SHAPE_ENUM
    shape.wire = BYTEAOID
    add_parts(shape, enum_labels(shape.type, &oids, &labels))
    for i in range(shape.count):
        shape.parts[i].kind = SHAPE_LABEL
        shape.parts[i].type = oids[i]
        shape.parts[i].name = labels[i]


cdef bint find_fields(Shape *shape, int lock) noexcept nogil:
    """Of a composite type or a table's rows, without the dropped ones."""
    cdef TypeRow row
    cdef Oid relation
    cdef bint found
    if not get_type_row(shape.type, &row):
        return False
    relation = row.relation
    if lock != LOCK_FREE_TYPES:
        LockRelationOid(relation, AccessShareLock)
    elif not ConditionalLockRelationOid(relation, AccessShareLock):
        return False
    # it may have gone while the lock was waited for, and only locked it cannot go now
    found = get_type_row(shape.type, &row)
    if found:
        found = find_fields_of(shape, lookup_rowtype_tupdesc_copy(shape.type, -1), lock)
    if lock == LOCK_NOTHING:
        UnlockRelationOid(relation, AccessShareLock)
    return found


cdef bint find_fields_of(Shape *shape, TupleDesc desc, int lock) noexcept nogil:
    """The shape of a row type, by those of its columns; as find_part."""
    cdef int i
    cdef int n = 0
    shape.kind = SHAPE_COMPOSITE
    shape.wire = RECORDOID
    add_parts(shape, desc.natts)
    for i in range(desc.natts):
        if column(desc, i).attisdropped:
            continue
        if not find_part(&shape.parts[n], column(desc, i).atttypid, column(desc, i).atttypmod, lock):
            return False
        shape.parts[n].name = column_name(desc, i)
        shape.parts[n].number = <int16_t>(i + 1)
        n += 1
    shape.count = n
    return True


cdef bint find_record(Shape *shape) noexcept nogil:
    """Of an anonymous record with the columns of shape.desc."""
    global shape_room
    shape_room = MOST_PARTS
    if find_fields_of(shape, shape.desc, LOCK_TYPES):
        return True
    if shape_room < 0:
        raise_with_hint(ERRCODE_PROGRAM_LIMIT_EXCEEDED, b"Cast it to text in the job.",
                        b"a record of the result is made of too many parts")
    return False


cdef bint is_as_strict(Shape *sent, Shape *here) noexcept nogil:
    """Whether a value of the domain has passed all that it demands now, or was let off in the job too, as a NULL of an
    outer join and a row older than a constraint are."""
    cdef int i, k
    # one that was dropped and set again has let off what came in between
    if here.not_null_since != 0 and sent.not_null_since != here.not_null_since:
        return False
    for i in range(here.check_count):
        k = 0
        while k < sent.check_count and sent.checks[k].oid != here.checks[i].oid:
            k += 1
        # one that has been validated since binds what it has let off before
        if k == sent.check_count or (here.checks[i].is_valid and not sent.checks[k].is_valid):
            return False
    return True


cdef bint is_same_shape(Shape *sent, Shape *here) noexcept nogil:
    """Whether values of the one are what they seem when they are read as the other."""
    cdef int i
    if sent.kind != here.kind or sent.type != here.type or sent.typmod != here.typmod:
        return False
    if sent.kind == SHAPE_ENUM:
        # labels may have been added since
        for i in range(sent.count):
            if enum_value(here.type, sent.parts[i].name) != sent.parts[i].type:
                return False
        return True
    if sent.count != here.count or not is_as_strict(sent, here):
        return False
    for i in range(sent.count):
        if sent.parts[i].number != here.parts[i].number:
            return False
        if sent.kind == SHAPE_COMPOSITE and strcmp(sent.parts[i].name, here.parts[i].name) != 0:
            return False
        if not is_same_shape(&sent.parts[i], &here.parts[i]):
            return False
    return True


cdef bint can_be_declared(Shape *shape) noexcept nogil:
    """Whether PostgreSQL lets a column have the type."""
    cdef int i
    if shape.kind == SHAPE_TEXT or shape.kind == SHAPE_ANYARRAY:
        return False
    for i in range(shape.count):
        if not can_be_declared(&shape.parts[i]):
            return False
    return True


cdef bint is_of_other_session(Shape *shape) noexcept nogil:
    """Whether it is made of a temporary type, which goes when its session, or the worker's job, ends."""
    cdef TypeRow row
    cdef bint is_other = False
    cdef int i = 0
    if shape.kind != SHAPE_LABEL:
        is_other = get_type_row(shape.type, &row) and isOtherTempNamespace(row.schema)
    while not is_other and i < shape.count:
        is_other = is_of_other_session(&shape.parts[i])
        i += 1
    return is_other


cdef bint is_shape_in_force(Shape *sent, int lock) noexcept nogil:
    """Whether the type still exists in this database and has the shape that its values were sent with; `lock` is of
    Locking."""
    cdef Shape here
    if lock == LOCK_TYPES:
        LockDatabaseObject(TypeRelationId, sent.type, 0, AccessShareLock)
    elif lock == LOCK_FREE_TYPES and not lock_free_type(sent.type):
        return False
    return (not is_of_other_session(sent) and find_shape(&here, sent.type, sent.typmod, lock)
            and is_same_shape(sent, &here))


cdef TupleDesc fields_desc(Shape *shape, bint as_target) noexcept nogil:
    """The row type of a composite's fields: as they travel, or as the reader gets them."""
    cdef TupleDesc desc = CreateTemplateTupleDesc(shape.count)
    cdef Shape *part
    cdef int i
    for i in range(shape.count):
        part = &shape.parts[i]
        if as_target:
            TupleDescInitEntry(desc, <int16_t>(i + 1), part.name, part.target, part.target_typmod, 0)
        else:
            TupleDescInitEntry(desc, <int16_t>(i + 1), NULL, part.wire, -1, 0)
    TupleDescFinalize(desc)
    return desc
