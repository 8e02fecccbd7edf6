"""Shared memory, locks, latches, condition variables and atomics (storage/*.h, port/atomics.h, utils/dsa.h)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from .base cimport cbool, Datum, Size

cdef extern from "shim.h" nogil:
    # Shared memory
    void (*shmem_request_hook)() noexcept nogil
    void (*shmem_startup_hook)() noexcept nogil
    void request_shmem_now()
    void RequestAddinShmemSpace(Size size)
    void RequestNamedLWLockTranche(const char *tranche_name, int num_lwlocks)
    void *ShmemInitStruct(const char *name, Size size, cbool *foundPtr)
    int count_procs()

    # Light-weight locks
    ctypedef struct LWLock:
        uint32_t tranche
        # ...
    ctypedef struct LWLockPadded:
        LWLock lock
    enum:
        LW_EXCLUSIVE, LW_SHARED
    LWLock *AddinShmemInitLock
    LWLockPadded *GetNamedLWLockTranche(const char *tranche_name)
    cbool LWLockAcquire(LWLock *lock, int mode)
    void LWLockRelease(LWLock *lock)
    cbool LWLockHeldByMeInMode(LWLock *lock, int mode)

    # Latches
    ctypedef struct Latch:
        pass
    enum:
        WL_LATCH_SET, WL_TIMEOUT, WL_EXIT_ON_PM_DEATH
        PG_WAIT_EXTENSION
    Latch *MyLatch
    bint is_latch_set()
    int sched_yield()
    void SetLatch(Latch *latch)
    void ResetLatch(Latch *latch)
    int WaitLatch(Latch *latch, int wakeEvents, long timeout, uint32_t wait_event_info)

    # Processes
    ctypedef struct PGPROC:
        pass
    PGPROC *MyProc
    uint32_t wait_of(PGPROC *)
    const char *pgstat_get_wait_event_type(uint32_t wait_event_info)
    const char *pgstat_get_wait_event(uint32_t wait_event_info)
    Latch *proc_latch(PGPROC *)
    int my_proc_number()
    int proc_number(PGPROC *)
    int DeadlockTimeout

    # Condition variables
    ctypedef struct ConditionVariable:
        pass
    void ConditionVariableInit(ConditionVariable *cv)
    void ConditionVariablePrepareToSleep(ConditionVariable *cv)
    cbool ConditionVariableTimedSleep(ConditionVariable *cv, long timeout, uint32_t wait_event_info)
    cbool ConditionVariableCancelSleep()
    void ConditionVariableBroadcast(ConditionVariable *cv)

    # Atomics
    ctypedef struct pg_atomic_uint32:
        pass
    ctypedef struct pg_atomic_uint64:
        pass
    void pg_atomic_init_u32(pg_atomic_uint32 *, uint32_t)
    uint32_t pg_atomic_read_u32(pg_atomic_uint32 *)
    void pg_atomic_write_u32(pg_atomic_uint32 *, uint32_t)
    void pg_atomic_init_u64(pg_atomic_uint64 *, uint64_t)
    uint64_t pg_atomic_read_u64(pg_atomic_uint64 *)
    void pg_atomic_write_u64(pg_atomic_uint64 *, uint64_t)
    uint64_t pg_atomic_fetch_add_u64(pg_atomic_uint64 *, uint64_t)
    uint64_t pg_atomic_fetch_sub_u64(pg_atomic_uint64 *, uint64_t)
    void pg_memory_barrier()
    void pg_read_barrier()
    void pg_write_barrier()

    # Dynamic shared areas
    ctypedef struct dsa_area:
        pass
    ctypedef struct dsm_segment:
        pass
    ctypedef uint64_t dsa_pointer
    enum:
        InvalidDsaPointer
        DSA_ALLOC_NO_OOM, DSA_ALLOC_HUGE
    dsa_area *dsa_create_in_place(void *place, size_t size, int tranche_id, dsm_segment *segment)
    dsa_area *dsa_attach_in_place(void *place, dsm_segment *segment)
    void dsa_release_in_place(void *place)
    void dsa_pin(dsa_area *area)
    void dsa_pin_mapping(dsa_area *area)
    void dsa_detach(dsa_area *area)
    void dsa_set_size_limit(dsa_area *area, size_t limit)
    dsa_pointer dsa_allocate_extended(dsa_area *area, size_t size, int flags)
    void dsa_free(dsa_area *area, dsa_pointer dp)
    void *dsa_get_address(dsa_area *area, dsa_pointer dp)

    # Leaving
    void before_shmem_exit(void (*function)(int, Datum) noexcept nogil, Datum arg)
    cbool proc_exit_inprogress
    void proc_exit(int code)
