# Waits that can never end: who waits for whom, through locks, parallel groups and waits for jobs.
#
# The server's own detector knows nothing of a wait for a job. So the one who waits looks, every deadlock_timeout,
# whether it waits for itself. Most processes need all of those that they wait for; a session that waits for any of
# several jobs needs one, and so does a queued job of those that have the workers, or will.
# In a cluster the search goes on where other nodes tell what waits there (cluster_waits.pyx).

cdef struct Waiter:
    int64_t pid                 # or what stands for a queued job, or a global pid of another node
    int first                   # of its edges
    int count
    bint needs_all              # ... else one of them
    bint is_free                # goes on, or will
    bint would_be_free          # ... if this process gave up its wait


cdef struct WaitGraph:
    Waiter *waiters             # [0] is this process
    int count
    int capacity
    int64_t *edges              # pids, and once all is known, numbers of waiters
    int edge_count
    int edge_capacity
    ClusterWaits *cluster       # NULL: only this server is searched


cdef int waiter_of_pid(WaitGraph *graph, int64_t pid) noexcept nogil:
    """The number of this process, added if need be."""
    cdef int i
    cdef Waiter *larger
    for i in range(graph.count):
        if graph.waiters[i].pid == pid:
            return i
    if graph.count == graph.capacity:
        larger = <Waiter *>palloc(sizeof(Waiter) * graph.capacity * 2)
        memcpy(larger, graph.waiters, sizeof(Waiter) * graph.count)
        pfree(graph.waiters)
        graph.waiters = larger
        graph.capacity *= 2
    memset(&graph.waiters[graph.count], 0, sizeof(Waiter))
    graph.waiters[graph.count].pid = pid
    graph.count += 1
    return graph.count - 1


cdef void reserve_edges(WaitGraph *graph, int more) noexcept nogil:
    """Room for so many more, in the current memory context: none may be allocated under the lock."""
    cdef int64_t *larger
    cdef int capacity = graph.edge_capacity
    while capacity < graph.edge_count + more:
        capacity *= 2
    if capacity == graph.edge_capacity:
        return
    larger = <int64_t *>palloc(sizeof(int64_t) * capacity)
    memcpy(larger, graph.edges, sizeof(int64_t) * graph.edge_count)
    pfree(graph.edges)
    graph.edges = larger
    graph.edge_capacity = capacity


cdef void add_edge(WaitGraph *graph, Waiter *waiter, int64_t pid) noexcept nogil:
    """Room was reserved; a process of 0 is a prepared transaction, which waits for nobody."""
    if pid != 0:
        graph.edges[graph.edge_count] = pid
        graph.edge_count += 1
        waiter.count += 1


cdef void add_edges(WaitGraph *graph, Waiter *waiter, ArrayType *pids) noexcept nogil:
    """All of an array that the server has returned, which is freed."""
    cdef int n = array_length(pids)
    cdef int i
    reserve_edges(graph, n)
    for i in range(n):
        add_edge(graph, waiter, array_int32(pids, i))
    pfree(pids)


cdef void add_blockers(WaitGraph *graph, Waiter *waiter) noexcept nogil:
    """Those whose locks the process or its parallel group waits for, or whose end its deferrable transaction does."""
    waiter.needs_all = True
    add_edges(graph, waiter, blocking_pids(<int>waiter.pid))
    add_edges(graph, waiter, safe_snapshot_blocking_pids(<int>waiter.pid))


cdef Session *session_of_pid(int32_t pid) noexcept nogil:
    """Under the lock."""
    cdef int32_t i
    for i in range(registry.sessions_size):
        if registry.sessions[i].id != 0 and registry.sessions[i].pid == pid:
            return &registry.sessions[i]
    return NULL


cdef void add_new_edge(WaitGraph *graph, Waiter *waiter, int64_t pid) noexcept nogil:
    """Unless it is there: of many jobs most wait in the same line."""
    cdef int i
    for i in range(graph.edge_count - waiter.count, graph.edge_count):
        if graph.edges[i] == pid:
            return
    add_edge(graph, waiter, pid)


cdef void drop_edges(WaitGraph *graph, Waiter *waiter) noexcept nogil:
    """Forget those of the waiter that was added last."""
    graph.edge_count -= waiter.count
    waiter.count = 0


cdef int32_t add_watched(WaitGraph *graph, Waiter *waiter, Session *session, int32_t first) noexcept nogil:
    """The workers of some of the jobs that a session waits for together, from this one on; returns the number of the
    next one, or -1 when nothing more is to be known. Under the lock."""
    cdef Watch *watches = <Watch *>address(session.watches)
    cdef int32_t last = first + WATCH_STEP
    cdef int32_t i, pid
    waiter.needs_all = session.waits_for_all
    if last > session.watch_count:
        last = session.watch_count
    for i in range(first, last):
        pid = 0 if watches[i].job < 0 else pid_waited_for(watches[i].job, watches[i].cookie)
        if pid == 0 and not waiter.needs_all:
            # one that has ended, or waits for nobody yet, is enough
            drop_edges(graph, waiter)
            return -1
        add_new_edge(graph, waiter, pid)
    return last if last < session.watch_count else -1


cdef void add_jobs_waited_for(WaitGraph *graph, Waiter *waiter) noexcept nogil:
    """The workers of the jobs that the process waits for by this extension."""
    cdef Session *session
    cdef dsa_pointer watches = InvalidDsaPointer
    cdef int32_t next = 0
    # as many different ones as there can be: nothing is allocated under the lock
    reserve_edges(graph, registry.workers_size + registry.sessions_size + 1 + LINE_STEPS)
    while next >= 0:
        CHECK_FOR_INTERRUPTS()
        share_registry()
        session = session_of_pid(<int32_t>waiter.pid)
        if next > 0 and (session == NULL or session.watches != watches):
            # that wait is over
            drop_edges(graph, waiter)
            next = -1
        elif session != NULL and session.watches != InvalidDsaPointer:
            watches = session.watches
            next = add_watched(graph, waiter, session, next)
        else:
            next = -1
            if session != NULL and session.waits_for != 0:
                waiter.needs_all = True
                add_edge(graph, waiter, pid_waited_for(session.waits_for_job, session.waits_for))
        unlock_registry()


cdef void add_waits_on_nodes(WaitGraph *graph, Waiter *waiter, bint for_jobs) noexcept nogil:
    """Those for locks, or those for jobs, that the nodes have told of the process."""
    cdef int64_t global_pid = global_pid_of(graph.cluster, waiter.pid)
    cdef ClusterWait *wait
    cdef uint64_t i
    if waiter.count == 0:
        waiter.needs_all = True
    for i in range(graph.cluster.count):
        wait = &graph.cluster.waits[i]
        if wait.waiter == global_pid and wait.is_for_job == for_jobs:
            graph.cluster.was_followed = True
            waiter.needs_all = waiter.needs_all and wait.needs_all
            reserve_edges(graph, 1)
            add_new_edge(graph, waiter, pid_of_global(graph.cluster, wait.waited_for))


cdef void add_waits(WaitGraph *graph, Waiter *waiter, bint is_me) noexcept nogil:
    """Whom a process waits for: because of locks, and if there are none, as it waits for jobs, as this one does."""
    cdef bint is_here = not is_elsewhere(waiter.pid)
    if is_here and not is_me:
        add_blockers(graph, waiter)
    if graph.cluster != NULL and not is_me:
        add_waits_on_nodes(graph, waiter, False)
    if is_here and waiter.count == 0:
        add_jobs_waited_for(graph, waiter)
    if graph.cluster != NULL and not is_me and waiter.count == 0:
        add_waits_on_nodes(graph, waiter, True)


cdef void begin_graph(WaitGraph *graph) noexcept nogil:
    """With room for some, in the current memory context."""
    memset(graph, 0, sizeof(WaitGraph))
    graph.capacity = 16
    graph.waiters = <Waiter *>palloc(sizeof(Waiter) * graph.capacity)
    graph.edge_capacity = 16
    graph.edges = <int64_t *>palloc(sizeof(int64_t) * graph.edge_capacity)


cdef void build_graph(WaitGraph *graph, ClusterWaits *cluster) noexcept nogil:
    """All that this process waits for, directly or through others."""
    cdef int at = 0
    cdef int i
    cdef Waiter waiter
    begin_graph(graph)
    graph.cluster = cluster
    waiter_of_pid(graph, MyProcPid)
    while at < graph.count:
        # in a cluster they may be very many
        CHECK_FOR_INTERRUPTS()
        waiter = graph.waiters[at]
        waiter.first = graph.edge_count
        if waiter.pid < 0:
            add_workers_waited_for(graph, &waiter)
        else:
            add_waits(graph, &waiter, at == 0)
        graph.waiters[at] = waiter
        for i in range(waiter.first, waiter.first + waiter.count):
            graph.edges[i] = waiter_of_pid(graph, graph.edges[i])
        at += 1


cdef bint goes_on(WaitGraph *graph, Waiter *waiter, bint without_me) noexcept nogil:
    """Whether what is known of the others lets this one go on."""
    cdef int i
    cdef bint one
    for i in range(waiter.first, waiter.first + waiter.count):
        one = (graph.waiters[graph.edges[i]].would_be_free if without_me
               else graph.waiters[graph.edges[i]].is_free)
        if one != waiter.needs_all:
            return one
    return waiter.needs_all or waiter.count == 0


cdef void spread_freedom(WaitGraph *graph) noexcept nogil:
    """From those that wait for nobody to all that they let go on."""
    cdef bint changed = True
    cdef Waiter *waiter
    cdef int i
    graph.waiters[0].would_be_free = True
    while changed:
        CHECK_FOR_INTERRUPTS()
        changed = False
        for i in range(graph.count):
            waiter = &graph.waiters[i]
            if not waiter.is_free and goes_on(graph, waiter, False):
                waiter.is_free = True
                changed = True
            if not waiter.would_be_free and goes_on(graph, waiter, True):
                waiter.would_be_free = True
                changed = True


cdef int64_t worker_that_waits_for_me(ClusterWaits *cluster) noexcept nogil:
    """The worker of a job that this session waits for and that can go on only if it does not, or 0.

    A ring that this process is no part of is left to those that are.
    """
    cdef WaitGraph graph
    cdef Waiter *worker
    cdef int64_t found = 0
    cdef int i
    build_graph(&graph, cluster)
    spread_freedom(&graph)
    if not graph.waiters[0].is_free:
        for i in range(graph.waiters[0].count):
            worker = &graph.waiters[graph.edges[i]]
            if not worker.is_free and worker.would_be_free and found == 0:
                found = worker.pid
    return found
