# _PG_init: all that has to be set when the library is loaded.

cdef public void _PG_init() noexcept nogil:
    """Full set-up when preloaded; otherwise nothing, so that each call can say what is missing."""
    global previous_request, previous_startup, shmem_request_hook, shmem_startup_hook
    global check_backlog, check_deadlock
    global previous_utility, ProcessUtility_hook, previous_executor_start, ExecutorStart_hook
    if not process_shared_preload_libraries_in_progress:
        return
    define_settings()
    check_deadlock = check_for_deadlock
    check_backlog = check_groups
    previous_request = shmem_request_hook
    shmem_request_hook = request_shared_memory
    previous_startup = shmem_startup_hook
    shmem_startup_hook = start_shared_memory
    previous_utility = ProcessUtility_hook
    ProcessUtility_hook = <ProcessUtility_hook_type>utility_hook
    previous_executor_start = ExecutorStart_hook
    ExecutorStart_hook = executor_start_hook
    register_keeper()
    request_shmem_now()
