# Shapes as they travel: of each node its fixed part, the name with a NUL, the checks, then the parts.

cdef struct PackedShape:
    int32_t kind
    Oid type
    int32_t typmod
    Oid wire
    int16_t number
    uint32_t not_null_since
    int32_t check_count
    int32_t count
    int32_t name_size           # with the NUL; 0: none


cdef struct PackedCheck:
    Oid oid
    int32_t is_valid


cdef void pack_shape(StringInfo buffer, Shape *shape) noexcept nogil:
    """Append the shape with all its parts; unpack_shape reads it."""
    cdef PackedShape packed
    cdef PackedCheck check
    cdef int i
    check_stack_depth()
    packed.kind = shape.kind
    packed.type = shape.type
    packed.typmod = shape.typmod
    packed.wire = shape.wire
    packed.number = shape.number
    packed.not_null_since = shape.not_null_since
    packed.check_count = shape.check_count
    packed.count = shape.count
    packed.name_size = 0 if shape.name == NULL else <int32_t>strlen(shape.name) + 1
    appendBinaryStringInfo(buffer, <char *>&packed, sizeof(packed))
    appendBinaryStringInfo(buffer, shape.name, packed.name_size)
    for i in range(shape.check_count):
        check.oid = shape.checks[i].oid
        check.is_valid = shape.checks[i].is_valid
        appendBinaryStringInfo(buffer, <char *>&check, sizeof(check))
    for i in range(shape.count):
        pack_shape(buffer, &shape.parts[i])


cdef char *unpack_shape(Shape *shape, char *place) noexcept nogil:
    """Copies into the current memory context; returns the place after it."""
    cdef PackedShape packed
    cdef PackedCheck check
    cdef int i
    check_stack_depth()
    memcpy(&packed, place, sizeof(packed))
    place += sizeof(packed)
    memset(shape, 0, sizeof(Shape))
    shape.kind = packed.kind
    shape.type = packed.type
    shape.typmod = packed.typmod
    shape.wire = packed.wire
    if packed.name_size > 0:
        shape.name = pnstrdup(place, packed.name_size)
    place += packed.name_size
    shape.number = packed.number
    shape.not_null_since = packed.not_null_since
    shape.check_count = packed.check_count
    shape.checks = <DomainCheck *>palloc0(sizeof(DomainCheck) * (packed.check_count + 1))
    for i in range(packed.check_count):
        memcpy(&check, place, sizeof(check))
        shape.checks[i].oid = check.oid
        shape.checks[i].is_valid = check.is_valid != 0
        place += sizeof(check)
    add_parts(shape, packed.count)
    for i in range(packed.count):
        place = unpack_shape(&shape.parts[i], place)
    return place
