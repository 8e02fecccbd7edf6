# Text of a fixed size in an entry: in the encoding of the job's database, cut between characters, harmless where shown.

cdef int clipped_length(const char *text, int size, int bytes, int characters, int encoding) noexcept nogil:
    """How much of it are so many whole characters in so many bytes."""
    cdef int length = 0
    cdef int step
    while length < size and characters > 0:
        step = pg_encoding_mblen(encoding, text + length)
        if length + step > size or length + step > bytes:
            break
        length += step
        characters -= 1
    return length


cdef void copy_clipped(char *to, int capacity, const char *text, int size, int characters,
                       int encoding) noexcept nogil:
    """Copy so many whole characters as fit `capacity` with a NUL."""
    cdef int length = clipped_length(text, size, capacity - 1, characters, encoding)
    memcpy(to, text, length)
    to[length] = 0


cdef int control_size(const char *text, int encoding) noexcept nogil:
    """The bytes of the control character that the text begins with; 0: it begins with none.

    Of several bytes only UTF8 has some, and no byte of a longer character looks like one.
    """
    cdef unsigned char byte = <unsigned char>text[0]
    if byte < 0x20 or byte == 0x7f:
        return 1
    if encoding == PG_UTF8:
        return 2 if byte == 0xc2 and <unsigned char>text[1] < 0xa0 else 0
    if PG_LATIN1 <= encoding <= PG_LATIN10 or PG_ISO_8859_5 <= encoding <= PG_ISO_8859_8:
        return 1 if 0x80 <= byte < 0xa0 else 0
    return 0


cdef void blank_controls(char *text, int encoding) noexcept nogil:
    """Put blanks for control characters other than line ends and tabs, for terminals that would obey them."""
    cdef int size
    while text[0] != 0:
        size = control_size(text, encoding)
        if size > 0 and text[0] != c'\n' and text[0] != c'\t':
            memset(text, c' ', size)
        text += size if size > 0 else 1


cdef char *entry_text_here(char *text, int encoding) noexcept nogil:
    """A label or preview, as this database shows it: bytes without an encoding may be control characters of its own.

    Writes into what it is given, which is to be a copy.
    """
    text = shown_here(text, encoding)
    if encoding == PG_SQL_ASCII:
        blank_controls(text, GetDatabaseEncoding())
    return text


cdef void check_label(const char *label, int encoding) noexcept nogil:
    """Raise 22001 for a label that is too long, 22023 for one with control characters; NULL is none."""
    cdef int size
    cdef int i
    if label == NULL:
        return
    size = <int>strlen(label)
    if clipped_length(label, size, LABEL_BYTES - 1, LABEL_CHARS, encoding) < size:
        raise_with_detail(ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
                          psprintf(b"A label has at most %d characters.", <int>LABEL_CHARS), NULL,
                          b"label too long")
    for i in range(size):
        if control_size(label + i, encoding) > 0:
            raise_error(ERRCODE_INVALID_PARAMETER_VALUE, b"label must not contain control characters")


cdef inline bint is_space(char c) noexcept nogil:
    return c == c' ' or c == c'\t' or c == c'\n' or c == c'\r' or c == c'\f'
