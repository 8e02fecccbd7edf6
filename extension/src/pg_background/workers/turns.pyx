# Whose turn it is: which queued job a worker takes that has become free, for whom it makes room, and for whom the
# keeper starts a process.
#
# Workers go to the role that has the fewest, and within a role to the job that has waited longest. A worker serves one
# role only, so another role's turn means that one process goes and another comes: once it has served for TURN_MS it
# leaves for a role that has fewer workers than its own, and of roles that have none in turn. Else two roles whose
# places don't divide evenly would have each job begin in a fresh process.

cdef enum:
    BACKLOG_POLL_MS = 100       # the postmaster tells nobody when a slot becomes free
    BACKLOG_PAUSE_MS = 1000
    TURN_MS = 20                # for which a process serves before it leaves for others: to start one takes a few

cdef enum Turn:
    NO_TURN = 0                 # nothing waits for this worker
    TURN_TAKEN                  # it has the next job
    TURN_OF_ANOTHER             # its place is needed for a job that it cannot take


cdef inline bint is_coming(Worker *worker) noexcept nogil:
    """Whether it will take a queued job without being asked."""
    return worker.job < 0 and (worker.state == WORKER_RESETTING or is_started_for_any(worker))


cdef int coming_workers(Job *job) noexcept nogil:
    """Processes that will take a job like this one; under the lock."""
    cdef int32_t i
    cdef int count = 0
    for i in range(registry.workers_size):
        count += is_coming(&registry.workers[i]) and fits(&registry.workers[i], job)
    return count


cdef int workers_of_role(Usage *role) noexcept nogil:
    """Those that run its jobs, or come for them; under the lock."""
    cdef int32_t i
    cdef int count = role.running
    for i in range(registry.workers_size):
        count += is_coming(&registry.workers[i]) and registry.workers[i].identity.login == role.owner
    return count


cdef int jobs_of_line(Job *first, int most) noexcept nogil:
    """How many of the line may begin, counted up to `most`; under the lock."""
    cdef Job *job = first
    cdef int room = room_of_job(first)
    cdef int count = 0
    if room < most:
        most = room
    while count < most:
        count += 1
        job = &registry.jobs[job.next]
        if job == first:
            break
    return count


cdef bint is_short_of_workers(Job *job) noexcept nogil:
    """Whether more jobs that the same workers fit may begin than processes come for, as far as the role's first lines
    tell; under the lock. The job leads a line."""
    cdef int coming = coming_workers(job)
    cdef Job *first = first_of_line(role_usage(job).first_group)
    cdef int _seen
    coming -= jobs_of_line(job, coming + 1)
    for _seen in range(LINES_SEEN):
        if first == NULL or coming < 0:
            break
        if first != job and are_alike(first, job):
            coming -= jobs_of_line(first, coming + 1)
        first = line_of_role_after(first)
    return coming < 0


cdef Job *longest_waiting_line(Job *group, Worker *worker, uint64_t before, int *left) noexcept nogil:
    """Of a group whose jobs may begin the first line that this worker fits, NULL: for which a process is to be started;
    or NULL where none has waited longer than the job `before`. Takes the lines that it looks at from `left`."""
    cdef Job *line = group
    cdef int _seen
    for _seen in range(LINES_OF_GROUP):
        if line == NULL or left[0] == 0 or line.queued_as >= before:
            break
        left[0] -= 1
        if fits(worker, line) if worker != NULL else is_short_of_workers(line):
            return line
        line = line_after(line)
    return NULL


cdef Job *longest_waiting_of_all(Usage *role, Worker *worker, bint has_reserve) noexcept nogil:
    """... of all groups of the role, with a right to reserved places if that is asked for; under the lock. Who is
    behind many that are not wanted waits for these to begin."""
    cdef Job *group = first_ready(role)
    cdef Job *best = NULL
    cdef Job *line
    cdef uint64_t before = ~<uint64_t>0
    cdef int left = LINES_SEEN
    while group != NULL and left > 0 and group.queued_as < before:
        if group.may_take_reserve or not has_reserve:
            line = longest_waiting_line(group, worker, before, &left)
            if line != NULL:
                best = line
                before = line.queued_as
        group = ready_group(group.next_group)
    return best


cdef inline Job *longest_waiting(Usage *role, Worker *worker) noexcept nogil:
    """Of the jobs of the role that may begin, and that this worker fits; under the lock."""
    return longest_waiting_of_all(role, worker, False)


cdef inline Job *longest_waiting_in_need(Usage *role, bint has_reserve) noexcept nogil:
    """Of those for which a process is to be started; under the lock."""
    return longest_waiting_of_all(role, NULL, has_reserve)


cdef inline bint is_before(int workers, uint64_t turn, int other_workers, uint64_t other_turn) noexcept nogil:
    """Whether a role comes before another one, by its workers and when it last got one."""
    return workers < other_workers or (workers == other_workers and turn < other_turn)


# ---- a worker that has become free

cdef inline bint is_place_missing(bint has_reserve) noexcept nogil:
    return registry.live_workers >= most_workers(has_reserve) or registry.backlog_unserved > 0


cdef bint is_room_being_made() noexcept nogil:
    """Whether a worker is on its way out: one at a time goes for others, until these have its place."""
    cdef int32_t i
    for i in range(registry.workers_size):
        if registry.workers[i].state == WORKER_LEAVING and is_recent(&registry.workers[i]):
            return True
    return False


cdef inline bint has_had_its_turn(Worker *worker) noexcept nogil:
    return TimestampDifferenceMilliseconds(worker.serves_since, GetCurrentTimestamp()) >= TURN_MS


cdef bint comes_first(Usage *role, Usage *own, Job *job) noexcept nogil:
    """Whether a worker of `own`, NULL if that role has nothing, is to make room for one of `role` rather than take
    `job`, NULL if it could take none; under the lock."""
    cdef int mine, others
    if job == NULL:
        return True
    # without this one; and without the launches that wait, which count as running
    mine = workers_of_role(own) - 1
    others = workers_of_role(role) - role.waiting_launches
    return is_before(others, role.turn, mine, own.turn) and (others < mine or others == 0)


cdef bint is_role_in_need(Usage *role) noexcept nogil:
    """Whether it needs a place that is not there; under the lock."""
    cdef Job *job
    if role.waiting_launches > 0 and is_place_missing(False):
        return True
    job = longest_waiting_in_need(role, False)
    return job != NULL and is_place_missing(job.may_take_reserve)


cdef bint must_make_room(Worker *worker, Usage *own, Job *job) noexcept nogil:
    """Whether a worker of this role is to go for another that needs its place, or for an older job of its own role that
    it cannot take, rather than begin this one, NULL if there is none; under the lock."""
    cdef Usage *role
    cdef Job *other
    cdef int32_t i = registry.first_in_need
    if is_room_being_made():
        return False
    while i >= 0:
        role = &registry.usages[i]
        i = role.next_in_need
        if role == own:
            other = longest_waiting_in_need(role, False)
            if (other != NULL and other != job and (job == NULL or other.queued_as < job.queued_as)
                    and is_place_missing(other.may_take_reserve)):
                return True
        elif (job == NULL or has_had_its_turn(worker)) and comes_first(role, own, job) and is_role_in_need(role):
            return True
    return False


cdef Turn take_turn(Worker *worker) noexcept nogil:
    """What a worker that has become free is to do; under the lock."""
    cdef Usage *own
    cdef Job *job = NULL
    if registry.first_in_need < 0:
        return NO_TURN
    own = find_usage(worker.identity.login, False)
    if own != NULL:
        job = longest_waiting(own, worker)
    if must_make_room(worker, own, job):
        return TURN_OF_ANOTHER
    if job == NULL:
        return NO_TURN
    begin_queued(job, worker)
    return TURN_TAKEN


cdef Job *fail_first_in_line(Worker *worker, int32_t sqlstate, const char *message, Garbage *garbage) noexcept nogil:
    """End the job for which a process was started that could not connect, or NULL; under the lock.

    Otherwise processes would be started for it for ever, as when its database was dropped meanwhile.
    """
    cdef Usage *role = find_usage(worker.identity.login, False)
    cdef Job *line = first_of_line(role.first_group) if role != NULL else NULL
    cdef Job *first = NULL
    while line != NULL:
        if (first == NULL or line.queued_as < first.queued_as) and fits(worker, line):
            first = line
        line = line_of_role_after(line)
    if first != NULL:
        end_without_worker(first, JOB_ERROR, sqlstate, message, garbage)
    return first


# ---- a launch that would take a place

cdef bint are_others_before(Job *job) noexcept nogil:
    """Whether queued jobs for which the keeper has found no place come before this one, whose launch looks for a worker
    and counts as running; under the lock."""
    cdef Usage *own = role_usage(job)
    cdef Usage *role
    cdef int mine = workers_of_role(own) - (own.waiting_launches if own.waiting_launches > 0 else 1)
    cdef int32_t i = registry.first_in_need
    if registry.backlog_unserved == 0:
        return False
    while i >= 0:
        role = &registry.usages[i]
        i = role.next_in_need
        if role.first_group >= 0 and (role == own or is_before(workers_of_role(role), role.turn, mine, own.turn)):
            return True
    return False


cdef bint is_launch_before(Usage *own) noexcept nogil:
    """Whether the launch of another role, which has found no place, comes before the queued jobs of this one; under the
    lock."""
    cdef Usage *role
    cdef int mine = workers_of_role(own)
    cdef int32_t i = registry.first_in_need
    while i >= 0:
        role = &registry.usages[i]
        i = role.next_in_need
        if (role != own and role.waiting_launches > 0
                and is_before(workers_of_role(role) - role.waiting_launches, role.turn, mine, own.turn)):
            return True
    return False


cdef bint is_turn_coming(Job *job) noexcept nogil:
    """Whether another role has more workers than this job's, whose launch waits for a place: the next of those that
    become free goes for its sake. Under the lock."""
    cdef int32_t i
    cdef int mine = workers_of_role(role_usage(job)) - role_usage(job).waiting_launches
    cdef Worker *worker
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if (worker.job >= 0 and worker.identity.login != job.identity.login
                and workers_of_role(role_usage(&registry.jobs[worker.job])) > mine):
            return True
    return False


# ---- the keeper's part

cdef Job *job_in_need(bint has_reserve) noexcept nogil:
    """The job for which a process is to be started first; under the lock."""
    cdef Usage *best = NULL
    cdef Usage *role
    cdef Job *job
    cdef Job *best_job = NULL
    cdef int workers
    cdef int best_workers = 0
    cdef int32_t i = registry.first_in_need
    while i >= 0:
        role = &registry.usages[i]
        i = role.next_in_need
        workers = workers_of_role(role)
        if best != NULL and not is_before(workers, role.turn, best_workers, best.turn):
            continue
        job = longest_waiting_in_need(role, has_reserve)
        if job != NULL:
            best = role
            best_job = job
            best_workers = workers
    return best_job


cdef void serve_from_idle() noexcept nogil:
    """Hand jobs to idle workers; under the lock."""
    cdef Usage *role
    cdef Worker *worker
    cdef Job *job
    cdef int32_t i
    for i in range(registry.workers_size):
        worker = &registry.workers[i]
        if worker.state != WORKER_IDLE or worker.job >= 0:
            continue
        role = find_usage(worker.identity.login, False)
        job = longest_waiting(role, worker) if role != NULL else NULL
        if job != NULL:
            begin_queued(job, worker)
            SetLatch(proc_latch(worker.proc))


cdef bint place_for_backlog(Start *start) noexcept nogil:
    """Hand jobs to idle workers, and take a place for the first that none comes for; False when there is one, and no
    place for it."""
    cdef Job *job
    cdef Job *privileged            # who may take the reserve
    start.worker = NULL
    lock_registry()
    serve_from_idle()
    job = job_in_need(False)
    if job != NULL:
        start.worker = take_place(&job.identity, -1,
                                  most_workers(job.may_take_reserve) - is_launch_before(role_usage(job)))
        if start.worker == NULL and not job.may_take_reserve:
            privileged = job_in_need(True)
            if privileged != NULL:
                start.worker = take_place(&privileged.identity, -1, most_workers(True))
    if start.worker != NULL:
        start.generation = start.worker.generation
    registry.backlog_unserved = job != NULL and start.worker == NULL
    unlock_registry()
    return registry.backlog_unserved == 0


cdef long serve_backlog() noexcept nogil:
    """Start a process for each job that waits for one, in place of idle ones if need be; returns milliseconds until
    the next look is due, or -1."""
    cdef Start start
    if registry.backlog_size == 0:
        registry.backlog_unserved = 0
        return -1
    if registry.backlog_pause > GetCurrentTimestamp():
        return BACKLOG_POLL_MS
    while keeper_starts_count < KEEPER_STARTS:
        if not place_for_backlog(&start):
            ask_one_to_leave()
            break
        if start.worker == NULL:
            break
        start.handle = register_process(start.worker)
        if start.handle == NULL:
            free_unstarted_place(start.worker, start.generation)
            lock_registry()
            registry.backlog_unserved = 1
            unlock_registry()
            ask_one_to_leave()
            break
        watch_start(&start)
    return BACKLOG_POLL_MS


cdef void pause_backlog() noexcept nogil:
    """Processes fail before they can take a job: don't start hundreds a second."""
    registry.backlog_pause = GetCurrentTimestamp() + BACKLOG_PAUSE_MS * 1000
