# The progress of commands that the server itself follows, for jobs that report none: VACUUM, ANALYZE, CREATE INDEX,
# COPY and CLUSTER, as pg_stat_progress_* shows them.

cdef int32_t share(int64_t done, int64_t total) noexcept nogil:
    """In percent; -1 where the total is not known."""
    if total <= 0:
        return -1
    return <int32_t>(100 * done // total) if done < total else 100


cdef const char *vacuum_phase(int64_t phase) noexcept nogil:
    if phase == PROGRESS_VACUUM_PHASE_SCAN_HEAP:
        return "scanning heap"
    if phase == PROGRESS_VACUUM_PHASE_VACUUM_INDEX:
        return "vacuuming indexes"
    if phase == PROGRESS_VACUUM_PHASE_VACUUM_HEAP:
        return "vacuuming heap"
    if phase == PROGRESS_VACUUM_PHASE_INDEX_CLEANUP:
        return "cleaning up indexes"
    if phase == PROGRESS_VACUUM_PHASE_TRUNCATE:
        return "truncating heap"
    if phase == PROGRESS_VACUUM_PHASE_FINAL_CLEANUP:
        return "performing final cleanup"
    return "initializing"


cdef const char *analyze_phase(int64_t phase) noexcept nogil:
    if phase == PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS:
        return "acquiring sample rows"
    if phase == PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS_INH:
        return "acquiring inherited sample rows"
    if phase == PROGRESS_ANALYZE_PHASE_COMPUTE_STATS:
        return "computing statistics"
    if phase == PROGRESS_ANALYZE_PHASE_COMPUTE_EXT_STATS:
        return "computing extended statistics"
    if phase == PROGRESS_ANALYZE_PHASE_FINALIZE_ANALYZE:
        return "finalizing analyze"
    return "initializing"


cdef const char *index_phase(int64_t phase) noexcept nogil:
    if phase == PROGRESS_CREATEIDX_PHASE_BUILD:
        return "building index"
    if (phase == PROGRESS_CREATEIDX_PHASE_VALIDATE_IDXSCAN or phase == PROGRESS_CREATEIDX_PHASE_VALIDATE_SORT
            or phase == PROGRESS_CREATEIDX_PHASE_VALIDATE_TABLESCAN):
        return "validating index"
    return "initializing" if phase == 0 else "waiting for other sessions"


cdef const char *repack_command(int64_t command) noexcept nogil:
    if command == REPACK_COMMAND_VACUUMFULL:
        return "VACUUM FULL"
    return "CLUSTER" if command == REPACK_COMMAND_CLUSTER else "REPACK"


cdef const char *repack_phase(int64_t phase) noexcept nogil:
    if phase == PROGRESS_REPACK_PHASE_SEQ_SCAN_HEAP:
        return "seq scanning heap"
    if phase == PROGRESS_REPACK_PHASE_INDEX_SCAN_HEAP:
        return "index scanning heap"
    if phase == PROGRESS_REPACK_PHASE_SORT_TUPLES:
        return "sorting tuples"
    if phase == PROGRESS_REPACK_PHASE_WRITE_NEW_HEAP:
        return "writing new heap"
    if phase == PROGRESS_REPACK_PHASE_CATCH_UP:
        return "catch-up"
    if phase == PROGRESS_REPACK_PHASE_SWAP_REL_FILES:
        return "swapping relation files"
    if phase == PROGRESS_REPACK_PHASE_REBUILD_INDEX:
        return "rebuilding index"
    if phase == PROGRESS_REPACK_PHASE_FINAL_CLEANUP:
        return "performing final cleanup"
    return "initializing"


cdef int32_t index_share(int64_t *p) noexcept nogil:
    """Reading the table is the first half, sorting what was read most of the rest; then others are waited for."""
    cdef int32_t read = share(p[PROGRESS_SCAN_BLOCKS_DONE], p[PROGRESS_SCAN_BLOCKS_TOTAL])
    cdef int32_t sorted = share(p[PROGRESS_CREATEIDX_TUPLES_DONE], p[PROGRESS_CREATEIDX_TUPLES_TOTAL])
    if p[PROGRESS_CREATEIDX_PHASE] > PROGRESS_CREATEIDX_PHASE_BUILD:
        return 90
    if p[PROGRESS_CREATEIDX_PHASE] < PROGRESS_CREATEIDX_PHASE_BUILD and p[PROGRESS_CREATEIDX_PHASE] > 0:
        return 0
    if sorted >= 0:
        return 50 + sorted * 40 // 100
    return read // 2 if read >= 0 else -1


cdef int32_t command_share(int command, int64_t *p, const char **name, const char **phase) noexcept nogil:
    """Percent done of what the server's counters are about, or -1; also for what the words go on."""
    if command == PROGRESS_COMMAND_VACUUM:
        name[0] = "VACUUM"
        phase[0] = vacuum_phase(p[PROGRESS_VACUUM_PHASE])
        return share(p[PROGRESS_VACUUM_HEAP_BLKS_SCANNED], p[PROGRESS_VACUUM_TOTAL_HEAP_BLKS])
    if command == PROGRESS_COMMAND_ANALYZE:
        name[0] = "ANALYZE"
        phase[0] = analyze_phase(p[PROGRESS_ANALYZE_PHASE])
        return share(p[PROGRESS_ANALYZE_BLOCKS_DONE], p[PROGRESS_ANALYZE_BLOCKS_TOTAL])
    if command == PROGRESS_COMMAND_CREATE_INDEX:
        name[0] = "CREATE INDEX"
        phase[0] = index_phase(p[PROGRESS_CREATEIDX_PHASE])
        return index_share(p)
    if command == PROGRESS_COMMAND_REPACK:
        name[0] = repack_command(p[PROGRESS_REPACK_COMMAND])
        phase[0] = repack_phase(p[PROGRESS_REPACK_PHASE])
        return share(p[PROGRESS_REPACK_HEAP_BLKS_SCANNED], p[PROGRESS_REPACK_TOTAL_HEAP_BLKS])
    if command == PROGRESS_COMMAND_COPY:
        name[0] = "COPY"
        phase[0] = psprintf(b"%lld rows", <long long>p[PROGRESS_COPY_TUPLES_PROCESSED])
        return share(p[PROGRESS_COPY_BYTES_PROCESSED], p[PROGRESS_COPY_BYTES_TOTAL])
    return -1


cdef bint read_command_progress(int32_t pid, int32_t *percent, char *message) noexcept nogil:
    """What the process of this pid does, -1 percent where the server cannot tell how much; False when it runs no such
    command. The message has PROGRESS_BYTES."""
    cdef int64_t counters[PGSTAT_NUM_PROGRESS_PARAM]
    cdef const char *name = NULL
    cdef const char *phase = NULL
    cdef int command = progress_of_backend(pid, counters)
    percent[0] = command_share(command, counters, &name, &phase)
    if name != NULL:
        snprintf(message, PROGRESS_BYTES, b"%s: %s", name, phase)
    return name != NULL
