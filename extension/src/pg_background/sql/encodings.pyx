# Text from one database's encoding into another's. Between many pairs PostgreSQL has no conversion: those go by way of
# UTF8, with which nearly all have one. A database of SQL_ASCII knows nothing of its texts: their bytes are taken as
# they are, where they are text in the other encoding.


cdef Size ascii_length(const char *text, Size size) noexcept nogil:
    """How much of the text, from its beginning, is the same in all encodings of databases."""
    cdef Size length = 0
    while length < size and <unsigned char>text[length] < 0x80:
        length += 1
    return length


cdef bint goes_by_utf8(int source, int target) noexcept nogil:
    """Whether there is no conversion between the two, so that UTF8 is in between; reads the catalogues."""
    return (source != PG_SQL_ASCII and target != PG_SQL_ASCII and source != PG_UTF8 and target != PG_UTF8
            and FindDefaultConversionProc(source, target) == InvalidOid)


cdef char *converted(const char *text, Size size, int source, int target) noexcept nogil:
    """The text in that encoding: where nothing changes the argument itself, else a copy with a NUL at its end.

    Raises 22P05 for characters that the encoding lacks, 22021 for bytes without encoding that are no text in it.
    """
    if source == target or ascii_length(text, size) == size:
        return <char *>text
    if goes_by_utf8(source, target):
        text = <char *>pg_do_encoding_conversion(<unsigned char *>text, <int>size, source, PG_UTF8)
        size = strlen(text)
        source = PG_UTF8
    return <char *>pg_do_encoding_conversion(<unsigned char *>text, <int>size, source, target)


cdef char *converted_here(const char *text, int source) noexcept nogil:
    """Into this database's encoding, or an error, as above."""
    return converted(text, strlen(text), source, GetDatabaseEncoding())


cdef char *converted_for(const char *text, int target) noexcept nogil:
    """From this database's encoding, or an error, as above."""
    return converted(text, strlen(text), GetDatabaseEncoding(), target)


# ---- text to be looked at, which must not fail what shows it: a ? stands for each character that can't be had

cdef char *shown_here(const char *text, int source) noexcept nogil:
    """In this database's encoding, and valid in it whatever the bytes are."""
    cdef int here = GetDatabaseEncoding()
    cdef Size size = strlen(text)
    if here == PG_SQL_ASCII or ascii_length(text, size) == size:
        return <char *>text
    if source == here or source == PG_SQL_ASCII:
        return <char *>text if pg_verify_mbstr(here, text, <int>size, True) else valid_parts(text, here)
    if goes_by_utf8(source, here):
        text = convertible_parts(text, source, PG_UTF8)
        source = PG_UTF8
    return convertible_parts(text, source, here)


cdef char *valid_parts(const char *text, int encoding) noexcept nogil:
    """A copy with a ? for each byte that is no part of a character."""
    cdef StringInfoData valid
    cdef int size = <int>strlen(text)
    cdef int step
    initStringInfo(&valid)
    while size > 0:
        step = pg_encoding_verifymbchar(encoding, text, size)
        if step > 0:
            appendBinaryStringInfo(&valid, text, step)
        else:
            appendStringInfoChar(&valid, c'?')
            step = 1
        text += step
        size -= step
    return valid.data


cdef char *convertible_parts(const char *text, int source, int target) noexcept nogil:
    """Piece by piece: a conversion ends before the first character that it can't convert."""
    cdef Oid conversion = FindDefaultConversionProc(source, target)
    cdef StringInfoData result
    cdef int size = <int>strlen(text)
    cdef int room = size * MAX_CONVERSION_GROWTH + 1
    cdef unsigned char *buffer = <unsigned char *>palloc(room)
    cdef int step
    initStringInfo(&result)
    while size > 0:
        if conversion != InvalidOid:
            step = pg_do_encoding_conversion_buf(conversion, source, target, <unsigned char *>text, size, buffer,
                                                 room, True)
            appendStringInfoString(&result, <char *>buffer)
        else:
            step = <int>ascii_length(text, size)
            appendBinaryStringInfo(&result, text, step)
        text += step
        size -= step
        if size > 0:
            appendStringInfoChar(&result, c'?')
            step = pg_encoding_mblen(source, text)
            step = step if step < size else size
            text += step
            size -= step
    pfree(buffer)
    return result.data
