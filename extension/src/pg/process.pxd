"""Background workers, signals, interrupts and timeouts (postmaster/bgworker.h, miscadmin.h, utils/timeout.h)."""

from posix.types cimport pid_t

from .base cimport cbool, Datum, Oid, TimestampTz
from libc.stdint cimport int64_t, uint32_t

cdef extern from "shim.h" nogil:
    # Background workers
    ctypedef struct BackgroundWorkerHandle:
        pass
    ctypedef struct BackgroundWorker:
        char bgw_name[96]
        char bgw_type[96]
        int bgw_flags
        int bgw_start_time
        int bgw_restart_time
        char bgw_library_name[96]
        char bgw_function_name[96]
        Datum bgw_main_arg
        pid_t bgw_notify_pid
        # ...
    enum:
        BGW_MAXLEN
        BGWORKER_SHMEM_ACCESS, BGWORKER_BACKEND_DATABASE_CONNECTION, WORKER_CONNECTION_FLAGS
        BgWorkerStart_PostmasterStart, BgWorkerStart_ConsistentState, BgWorkerStart_RecoveryFinished
        BGW_NEVER_RESTART
        BGWH_STOPPED, BGWH_POSTMASTER_DIED
    void RegisterBackgroundWorker(BackgroundWorker *worker)
    cbool RegisterDynamicBackgroundWorker(BackgroundWorker *worker, BackgroundWorkerHandle **handle)
    int GetBackgroundWorkerPid(BackgroundWorkerHandle *handle, pid_t *pidp)
    void BackgroundWorkerUnblockSignals()
    void BackgroundWorkerInitializeConnectionByOid(Oid dboid, Oid useroid, uint32_t flags)

    # Signals
    enum:
        SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2
    int kill(pid_t pid, int sig)
    ctypedef struct siginfo_t:
        pass
    ctypedef struct sigaction_t "struct sigaction":
        void (*sa_handler)(int) noexcept nogil
        void (*sa_sigaction)(int, siginfo_t *, void *) noexcept nogil
        int sa_flags
        # ...
    enum:
        SA_SIGINFO
    void (*SIG_IGN)(int) noexcept nogil
    void (*SIG_DFL)(int) noexcept nogil
    int sigaction(int signo, const sigaction_t *action, sigaction_t *before)
    void *pqsignal(int signo, void (*func)(int) noexcept nogil)
    void die(int sig)
    void SignalHandlerForConfigReload(int sig)
    void procsignal_sigusr1_handler(int sig)
    void SignalHandlerForShutdownRequest(int sig)
    int ShutdownRequestPending "(*(volatile sig_atomic_t *) &ShutdownRequestPending)"
    int ConfigReloadPending "(*(volatile sig_atomic_t *) &ConfigReloadPending)"
    void ProcessConfigFile(int context)

    # Named points for tests, empty in other builds
    void debug_point(const char *name)

    # Interrupts
    void CHECK_FOR_INTERRUPTS()
    void hold_interrupts()
    void resume_interrupts()
    cbool interrupt_pending()
    cbool are_interrupts_held()
    void request_statement_cancel()
    int QueryCancelPending
    int ProcDiePending
    uint32_t CritSectionCount
    int catchupInterruptPending
    void ProcessCatchupInterrupt()

    # What this process has taken, and how long jobs took
    void read_resources(int64_t *amounts)
    int64_t histogram_bound(int i)

    # Timeouts
    enum:
        STATEMENT_TIMEOUT, LOCK_TIMEOUT, USER_TIMEOUT
    int StatementTimeout
    int RegisterTimeout(int id, void (*handler)() noexcept nogil)
    void enable_timeout_after(int id, int delay_ms)
    void enable_timeout_at(int id, TimestampTz fin_time)
    void disable_timeout(int id, cbool keep_indicator)
    void disable_transaction_timeout()
    void disable_all_timeouts(cbool keep_indicators)
    cbool get_timeout_indicator(int id, cbool reset_indicator)
    cbool get_timeout_active(int id)
