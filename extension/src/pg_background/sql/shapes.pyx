# Whether this library and the extension's catalogue fit each other. They are of different versions from when new files
# are installed until the server is restarted and the extension updated, and on a standby whose primary is ahead.

cdef Oid type_of_letter(char letter) noexcept nogil:
    """Of those in columns.pxd."""
    if letter == c"4":
        return INT4OID
    if letter == c"8":
        return INT8OID
    if letter == c"b":
        return BOOLOID
    if letter == c"d":
        return FLOAT8OID
    if letter == c"o":
        return OIDOID
    if letter == c"r":
        return REGTYPEOID
    if letter == c"t":
        return TEXTOID
    if letter == c"z":
        return TIMESTAMPTZOID
    return InvalidOid


cdef void raise_misfit() noexcept nogil:
    """Raise 55000: the library is older than the catalogue, unless somebody has changed that."""
    raise_with_detail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      psprintf(b"The server runs the library of version %s.", catalogue_version()),
                      b"Restart the server, after installing the files of the extension's version if they are not "
                      b"there. \"pg-background doctor\" says which is missing.",
                      b"the library of pg_background does not fit the extension in this database")


cdef void require_shape(TupleDesc declared, const char *types) noexcept nogil:
    """Raise 55000 unless the declared columns are the first ones of these: values are put into them by number."""
    cdef int i
    for i in range(declared.natts):
        if types[i] == 0 or column(declared, i).atttypid != type_of_letter(types[i]):
            raise_misfit()
