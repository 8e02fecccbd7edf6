"""Temporary files (storage/fd.h, commands/tablespace.h)."""

from libc.stdint cimport uint32_t

from .base cimport cbool, Oid

cdef extern from "shim.h" nogil:
    ctypedef int File
    ctypedef long off_t
    enum:
        MAXPGPATH
        O_RDWR, O_RDONLY, O_CREAT
        PG_BINARY
        DEFAULTTABLESPACE_OID
    int PostmasterPid
    Oid MyDatabaseTableSpace
    void PrepareTempTablespaces()
    Oid GetNextTempTableSpace()
    void TempTablespacePath(char *path, Oid tablespace)
    void PathNameCreateTemporaryDir(const char *basedir, const char *directory)
    cbool PathNameDeleteTemporaryFile(const char *path, cbool error_on_failure)
    File PathNameOpenFile(const char *fileName, int fileFlags)
    long FileRead(File file, void *buffer, size_t amount, off_t offset, uint32_t wait_event_info)
    long FileWrite(File file, const void *buffer, size_t amount, off_t offset, uint32_t wait_event_info)
    void FileClose(File file)
