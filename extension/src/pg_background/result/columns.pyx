# Column definitions as text, "id int4, name varchar(10)": each is a name and a type, and none becomes part of any SQL.

cdef void raise_bad_columns(const char *definitions) noexcept nogil:
    """Raise 42601 for definitions that cannot be parsed."""
    raise_with_hint(ERRCODE_SYNTAX_ERROR, b"Write a name and a type for each column, as in \"id int4, name text\".",
                    b"invalid column definitions: \"%s\"", definitions)


cdef inline bint is_name_start(char c) noexcept nogil:
    return c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c == c'_' or <unsigned char>c >= 0x80


cdef char *skip_space(char *p) noexcept nogil:
    while is_space(p[0]):
        p += 1
    return p


cdef char *skip_quoted(char *p) noexcept nogil:
    """Past a quoted name, in which two quotes stand for one, or to the end of a text that lacks the last one."""
    p += 1
    while p[0] != 0:
        if p[0] == c'"':
            if p[1] != c'"':
                return p + 1
            p += 1
        p += 1
    return p


cdef char *skip_name(char *p) noexcept nogil:
    """Past a name, quoted or not; where none begins, the same place."""
    if p[0] == c'"':
        return skip_quoted(p)
    if is_name_start(p[0]):
        while is_name_start(p[0]) or c'0' <= p[0] <= c'9' or p[0] == c'$':
            p += 1
    return p


cdef char *skip_type(char *p) noexcept nogil:
    """To the comma that ends it, or to the end; what it is made of is for the type's own parser."""
    cdef int depth = 0
    while p[0] != 0 and not (p[0] == c',' and depth <= 0):
        if p[0] == c'"':
            p = skip_quoted(p)
            continue
        if p[0] == c'(':
            depth += 1
        elif p[0] == c')':
            depth -= 1
        p += 1
    return p


cdef TupleDesc with_definitions(const char *definitions, TupleDesc wanted) noexcept nogil:
    """The wanted columns with the lengths and precisions of the definitions; raises 42804 where these are others."""
    cdef TupleDesc columns = CreateTupleDescCopy(wanted)
    cdef char *p = pstrdup(definitions)
    cdef char *start
    cdef char *end
    cdef Oid type
    cdef int32_t typmod
    cdef int count = 0
    while True:
        p = skip_space(p)
        start = skip_name(p)
        if start == p or not is_space(start[0]):
            raise_bad_columns(definitions)
        start = skip_space(start)
        end = skip_type(start)
        if end == start:
            raise_bad_columns(definitions)
        p = end + 1 if end[0] != 0 else end
        if end[0] != 0 and skip_space(p)[0] == 0:
            raise_bad_columns(definitions)
        end[0] = 0
        parse_type(start, &type, &typmod)
        if count < columns.natts:
            define_column(columns, count, type, typmod)
        count += 1
        if p[0] == 0:
            break
    if count != columns.natts:
        raise_mismatch(psprintf(b"col_def has %d columns, the column list has %d.", count, columns.natts), NULL)
    return columns


cdef void define_column(TupleDesc columns, int i, Oid type, int32_t typmod) noexcept nogil:
    """Give column i the typmod of its definition; raises 42804 where type or typmod is another."""
    cdef int32_t declared = column(columns, i).atttypmod
    if column(columns, i).atttypid != type or (typmod >= 0 and declared >= 0 and typmod != declared):
        raise_mismatch(psprintf(b"Column %d is of type %s in col_def, type %s in the column list.", i + 1,
                                type_name(type, typmod), type_name(column(columns, i).atttypid, declared)), NULL)
    if typmod >= 0:
        column(columns, i).atttypmod = typmod
