# Values of PostgreSQL's own types from a database of another encoding, at the reader: what they hold of text is brought
# into this one's. Types that keep text within a form of their own are written in the job's encoding, which all types
# here do without looking at its characters, and read again in this one.

cdef inline bint is_plain_text(Oid type) noexcept nogil:
    """Whether its output function gives the bytes as they are."""
    return (type == TEXTOID or type == VARCHAROID or type == BPCHAROID or type == JSONOID or type == XMLOID
            or type == NAMEOID or type == REFCURSOROID)


cdef inline bint holds_text(Oid type) noexcept nogil:
    """Whether text of its values is brought from one encoding into another."""
    return (is_plain_text(type) or type == JSONBOID or type == JSONPATHOID or type == TSVECTOROID
            or type == TSQUERYOID)


cdef bint is_without_text(Oid type) noexcept nogil:
    """Whether values of this type of PostgreSQL's own hold no text at all."""
    cdef TypeRow row
    if type == NAMEOID or not get_type_row(type, &row):
        return False
    if row.kind == c'r':
        return is_without_text(get_range_subtype(type))
    if row.kind == c'm':
        return is_without_text(get_multirange_range(type))
    return (get_typlen(type) > 0 or type == NUMERICOID or type == BYTEAOID or type == VARBITOID or type == BITOID
            or type == INETOID or type == CIDROID or type == PATHOID or type == POLYGONOID or type == INT2VECTOROID
            or type == OIDVECTOROID or type == PG_SNAPSHOTOID or type == TXID_SNAPSHOTOID or type == PG_NDISTINCTOID
            or type == PG_DEPENDENCIESOID)


cdef bint is_encoding_known(Oid type) noexcept nogil:
    """Whether its values can come from another encoding: of others nobody knows which bytes are text."""
    cdef Oid element = get_element_type(type)
    return (holds_text(type) or is_without_text(type) or (element != InvalidOid and is_encoding_known(element)))


cdef char *name_here(const char *name, int encoding) noexcept nogil:
    """A name from another encoding, as long as names may be; raises 22P05 for one that this database cannot write."""
    cdef char *here = converted_here(name, encoding)
    cdef int length = pg_mbcliplen(here, <int>strlen(here), NAMEDATALEN - 1)
    return pnstrdup(here, length)


cdef Datum text_here(Datum value, int encoding) noexcept nogil:
    """From the job's encoding; raises 22P05 for what this database's lacks."""
    return CStringGetTextDatum(converted_here(TextDatumGetCString(value), encoding))


cdef Datum plain_here(Oid type, Datum value, int encoding) noexcept nogil:
    """A value of a plain type from the job's encoding."""
    if encoding == GetDatabaseEncoding() or not holds_text(type):
        return value
    if type == NAMEOID:
        return name_datum(name_here(<char *>DatumGetPointer(value), encoding))
    if is_plain_text(type):
        return text_here(value, encoding)
    return written_and_read(type, value, encoding)


cdef Datum written_and_read(Oid type, Datum value, int encoding) noexcept nogil:
    """By way of the type's text; raises 22P05 for a character that this encoding lacks."""
    cdef Oid function = InvalidOid
    cdef Oid parameter = InvalidOid
    cdef cbool is_varlena = False
    cdef char *written
    if type == TSVECTOROID:
        written = written_vector(vector_of(value))
    elif type == TSQUERYOID:
        written = written_query(query_of(value))
    else:
        getTypeOutputInfo(type, &function, &is_varlena)
        written = OidOutputFunctionCall(function, value)
    getTypeInputInfo(type, &function, &parameter)
    return OidInputFunctionCall(function, converted_here(written, encoding), parameter, -1)


# ---- tsvector and tsquery, whose own output functions take the bytes for characters of this database's encoding

cdef void write_lexeme(StringInfo out, const char *lexeme, int size) noexcept nogil:
    """In quotes, of which one within stands twice, as a backslash does; neither byte is part of a longer character."""
    cdef int i
    appendStringInfoChar(out, c"'")
    for i in range(size):
        if lexeme[i] == c"'" or lexeme[i] == c'\\':
            appendStringInfoChar(out, lexeme[i])
        appendStringInfoChar(out, lexeme[i])
    appendStringInfoChar(out, c"'")


cdef inline char weight_letter(int weight) noexcept nogil:
    return <char>(c'D' - weight)


cdef char *written_vector(TSVector vector) noexcept nogil:
    """As tsvectorout writes it, in the bytes of the job's encoding."""
    cdef StringInfoData out
    cdef WordEntry *word
    cdef WordEntryPos *positions
    cdef int i, n
    initStringInfo(&out)
    for i in range(vector.size):
        word = ARRPTR(vector) + i
        write_lexeme(&out, STRPTR(vector) + word.pos, word.len)
        positions = positions_of(vector, word)
        for n in range(position_count(vector, word)):
            appendStringInfoChar(&out, c',' if n > 0 else c':')
            appendStringInfo(&out, b"%d%c", <int>WEP_GETPOS(positions[n]), weight_letter(WEP_GETWEIGHT(positions[n])))
        appendStringInfoChar(&out, c' ')
    return out.data


cdef char *written_query(TSQuery query) noexcept nogil:
    """As tsqueryout might write it, in the bytes of the job's encoding."""
    cdef StringInfoData out
    initStringInfo(&out)
    if query.size > 0:
        write_item(&out, query, GETQUERY(query), 0)
    return out.data


cdef void write_item(StringInfo out, TSQuery query, QueryItem *item, int above) noexcept nogil:
    """With what is below it; `above` is the operator that this is the left side of, or 0.

    Each operator has parentheses, so that it is read as it is, but for chains of one operator, which are read from the
    left: in a long one they would be too deep to read.
    """
    cdef int oper = item.qoperator.oper
    cdef bint goes_on = oper == above and (oper == OP_AND or oper == OP_OR)
    check_stack_depth()
    if item.type == QI_VAL:
        write_lexeme(out, GETOPERAND(query) + item.qoperand.distance, item.qoperand.length)
        write_flags(out, item)
        return
    if not goes_on:
        appendStringInfoChar(out, c'(')
    if oper == OP_NOT:
        appendStringInfoChar(out, c'!')
    else:
        write_item(out, query, item + item.qoperator.left, oper)
        if oper == OP_PHRASE:
            appendStringInfo(out, b"<%d>", <int>item.qoperator.distance)
        else:
            appendStringInfoChar(out, c'&' if oper == OP_AND else c'|')
    write_item(out, query, item + 1, 0)
    if not goes_on:
        appendStringInfoChar(out, c')')


cdef void write_flags(StringInfo out, QueryItem *item) noexcept nogil:
    """Of a lexeme: whether it is a prefix, and the weights that it is restricted to."""
    cdef int weight
    if item.qoperand.prefix or item.qoperand.weight != 0:
        appendStringInfoChar(out, c':')
    if item.qoperand.prefix:
        appendStringInfoChar(out, c'*')
    for weight in range(4):
        if item.qoperand.weight & (1 << weight):
            appendStringInfoChar(out, weight_letter(weight))
