/*
 * Every test of the server's version. They give old servers the newest API, so that the
 * Cython parts are written for one server only.
 */
#if PG_VERSION_NUM < 140000 || PG_VERSION_NUM >= 200000
#error "this release of pg_background is for PostgreSQL 14 to 19"
#endif

#if PG_VERSION_NUM >= 190000
/* backslashes in strings are what the standard says they are, and nobody is warned of them */
static bool escape_string_warning = false;

/*
 * Handlers are told who sent the signal, too, which only the server's own want to know: ours are called with the number.
 * One may interrupt another.
 */
typedef void (*signal_handler) (int signo);
static signal_handler signal_handlers[NSIG];
static const pg_signal_info *signal_info = &(const pg_signal_info) {0};

static void
call_signal_handler(SIGNAL_ARGS)
{
	const pg_signal_info *interrupted = signal_info;

	signal_info = pg_siginfo;
	signal_handlers[postgres_signal_arg] (postgres_signal_arg);
	signal_info = interrupted;
}

static inline void
set_signal_handler(int signo, signal_handler handler)
{
	signal_handlers[signo] = handler;
	pqsignal(signo, call_signal_handler);
}

#define BY_NUMBER(handler) \
	static inline void handler##_by_number(int signo) { handler(signo, signal_info); }
BY_NUMBER(die)
BY_NUMBER(SignalHandlerForConfigReload)
BY_NUMBER(SignalHandlerForShutdownRequest)
BY_NUMBER(procsignal_sigusr1_handler)
#undef pqsignal
#define pqsignal(signo, handler) set_signal_handler(signo, handler)
#define die die_by_number
#define SignalHandlerForConfigReload SignalHandlerForConfigReload_by_number
#define SignalHandlerForShutdownRequest SignalHandlerForShutdownRequest_by_number
#define procsignal_sigusr1_handler procsignal_sigusr1_handler_by_number

#define replication_origin replorigin_xact_state.origin
#define has_constraints(domain) DomainHasConstraints(domain, NULL)
#else
#define replication_origin replorigin_session_origin
#define InvalidReplOriginId InvalidRepOriginId
#define has_constraints(domain) DomainHasConstraints(domain)
#define TupleDescFinalize(desc) ((void) (desc))

#define PROGRESS_COMMAND_REPACK PROGRESS_COMMAND_CLUSTER
#define PROGRESS_REPACK_COMMAND PROGRESS_CLUSTER_COMMAND
#define REPACK_COMMAND_CLUSTER PROGRESS_CLUSTER_COMMAND_CLUSTER
#define REPACK_COMMAND_VACUUMFULL PROGRESS_CLUSTER_COMMAND_VACUUM_FULL
#define PROGRESS_REPACK_PHASE PROGRESS_CLUSTER_PHASE
#define PROGRESS_REPACK_TOTAL_HEAP_BLKS PROGRESS_CLUSTER_TOTAL_HEAP_BLKS
#define PROGRESS_REPACK_HEAP_BLKS_SCANNED PROGRESS_CLUSTER_HEAP_BLKS_SCANNED
#define PROGRESS_REPACK_PHASE_SEQ_SCAN_HEAP PROGRESS_CLUSTER_PHASE_SEQ_SCAN_HEAP
#define PROGRESS_REPACK_PHASE_INDEX_SCAN_HEAP PROGRESS_CLUSTER_PHASE_INDEX_SCAN_HEAP
#define PROGRESS_REPACK_PHASE_SORT_TUPLES PROGRESS_CLUSTER_PHASE_SORT_TUPLES
#define PROGRESS_REPACK_PHASE_WRITE_NEW_HEAP PROGRESS_CLUSTER_PHASE_WRITE_NEW_HEAP
#define PROGRESS_REPACK_PHASE_SWAP_REL_FILES PROGRESS_CLUSTER_PHASE_SWAP_REL_FILES
#define PROGRESS_REPACK_PHASE_REBUILD_INDEX PROGRESS_CLUSTER_PHASE_REBUILD_INDEX
#define PROGRESS_REPACK_PHASE_FINAL_CLEANUP PROGRESS_CLUSTER_PHASE_FINAL_CLEANUP
/* a phase that there is not */
#define PROGRESS_REPACK_PHASE_CATCH_UP (-1)
#endif

#if PG_VERSION_NUM >= 180000
#define portal_run(p, dest, alt, qc) PortalRun(p, FETCH_ALL, true, dest, alt, qc)
#define form_minimal_tuple(desc, values, nulls) heap_form_minimal_tuple(desc, values, nulls, 0)
#else
#define portal_run(p, dest, alt, qc) PortalRun(p, FETCH_ALL, true, true, dest, alt, qc)
#define form_minimal_tuple(desc, values, nulls) heap_form_minimal_tuple(desc, values, nulls)
#endif

#if PG_VERSION_NUM >= 170000
#define blocks_read_time() \
	(INSTR_TIME_GET_MICROSEC(pgBufferUsage.shared_blk_read_time) + \
	 INSTR_TIME_GET_MICROSEC(pgBufferUsage.local_blk_read_time))
#define blocks_write_time() \
	(INSTR_TIME_GET_MICROSEC(pgBufferUsage.shared_blk_write_time) + \
	 INSTR_TIME_GET_MICROSEC(pgBufferUsage.local_blk_write_time))
#define my_proc_number() MyProcNumber
#define proc_number(p) GetNumberFromPGProc(p)
#define disable_transaction_timeout() disable_timeout(TRANSACTION_TIMEOUT, false)
/* that a role may log in is checked as its job begins, so that the error is the job's */
#define WORKER_CONNECTION_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#define drop_replication_slots() ReplicationSlotCleanup(false)
#define fire_login_triggers() EventTriggerOnLogin()
#else
#define blocks_read_time() INSTR_TIME_GET_MICROSEC(pgBufferUsage.blk_read_time)
#define blocks_write_time() INSTR_TIME_GET_MICROSEC(pgBufferUsage.blk_write_time)
#define drop_replication_slots() ReplicationSlotCleanup()
#define my_proc_number() (MyProc->pgprocno)
#define proc_number(p) ((p)->pgprocno)
#define disable_transaction_timeout() ((void) 0)
#define WORKER_CONNECTION_FLAGS 0
#define fire_login_triggers() ((void) 0)
#endif

#if PG_VERSION_NUM >= 160000
#define may_use_reserved(role) has_privs_of_role(role, ROLE_PG_USE_RESERVED_CONNECTIONS)
#define backend_of_snapshot(i) pgstat_get_local_beentry_by_index(i)
#define parse_type(text, type, typmod) ((void) parseTypeString(text, type, typmod, NULL))
#define may_connect(db, role) (object_aclcheck(DatabaseRelationId, db, role, ACL_CONNECT) == ACLCHECK_OK)
#define may_set_role(member, role) member_can_set_role(member, role)
#define owns_database(db, role) object_ownercheck(DatabaseRelationId, db, role)
#define list_variables(count) get_guc_variables(count)
#define release_variables(variables) pfree(variables)
/* RESET of it is an error */
#define reset_to_reading() ((void) 0)

/* SYSTEM_USER, as it travels to parallel workers; a process becomes one once */
#define get_system_user() GetSystemUser()
#define system_user_size() (GetSystemUser() == NULL ? 0 : EstimateClientConnectionInfoSpace())
#define write_system_user(size, place) SerializeClientConnectionInfo(size, place)
#define become_system_user(place) \
	(RestoreClientConnectionInfo(place), \
	 InitializeSystemUser(MyClientConnectionInfo.authn_id, hba_authname(MyClientConnectionInfo.auth_method)))

/*
 * The memory that all variables take: it grows with each that is made, and is the same again when their values are.
 * To list them takes a hundred times longer.
 */
static inline Size
gauge_variables(void)
{
	static MemoryContext variables = NULL;
	MemoryContextCounters counters = {0};

	for (MemoryContext c = TopMemoryContext->firstchild; variables == NULL && c != NULL; c = c->nextchild)
		if (strcmp(c->name, "GUCMemoryContext") == 0)
			variables = c;
	if (variables == NULL)
		elog(ERROR, "no memory context of settings");
	variables->methods->stats(variables, NULL, NULL, &counters, false);
	return counters.totalspace - counters.freespace;
}
#else
/* RESET of it asks nobody, so what it resets to is what it must be; the next job restores all settings */
#define reset_to_reading() SetConfigOption("transaction_read_only", "on", PGC_USERSET, PGC_S_OVERRIDE)
#define may_use_reserved(role) false
#define backend_of_snapshot(i) pgstat_fetch_stat_local_beentry(i)
#define parse_type(text, type, typmod) parseTypeString(text, type, typmod, false)
#define may_connect(db, role) (pg_database_aclcheck(db, role, ACL_CONNECT) == ACLCHECK_OK)
#define may_set_role(member, role) is_member_of_role(member, role)
#define owns_database(db, role) pg_database_ownercheck(db, role)
#define release_variables(variables) ((void) 0)
#define gauge_variables() ((Size) GetNumConfigOptions())
#define get_system_user() ((const char *) NULL)
#define system_user_size() ((Size) 0)
#define write_system_user(size, place) ((void) (place))
#define become_system_user(place) ((void) (place))

static inline struct config_generic **
list_variables(int *count)
{
	*count = GetNumConfigOptions();
	return get_guc_variables();
}
#endif

#ifndef ERRCODE_TRANSACTION_TIMEOUT
#define ERRCODE_TRANSACTION_TIMEOUT MAKE_SQLSTATE('2', '5', 'P', '0', '4')
#endif

#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(name) EmitWarningsOnPlaceholders(name)
/* no hook yet: the request is made while the library is loaded */
typedef void (*shmem_request_hook_type) (void);
static shmem_request_hook_type shmem_request_hook = NULL;
#define request_shmem_now() shmem_request_hook()
#define pg_analyze_and_rewrite_fixedparams pg_analyze_and_rewrite
static inline List *
pg_analyze_and_rewrite_varparams(RawStmt *statement, const char *sql, Oid **types, int *count, void *environment)
{
	Query	   *query = parse_analyze_varparams(statement, sql, types, count);

	for (int i = 0; i < *count; i++)
		if ((*types)[i] == InvalidOid || (*types)[i] == UNKNOWNOID)
			ereport(ERROR, errcode(ERRCODE_INDETERMINATE_DATATYPE),
					errmsg("could not determine data type of parameter $%d", i + 1));
	return pg_rewrite_query(query);
}
#define FirstUnpinnedObjectId FirstBootstrapObjectId
#define SERIALIZED_ROLE_SIZE 0
#define try_to_set(name, value, context, source, role) \
	set_config_option(name, value, context, source, GUC_ACTION_SET, true, DEBUG1, false)
#else
#define SERIALIZED_ROLE_SIZE sizeof(Oid)
#define try_to_set(name, value, context, source, role) \
	set_config_option_ext(name, value, context, source, role, GUC_ACTION_SET, true, DEBUG1, false)
#define request_shmem_now() ((void) 0)
#endif

/* Whether this process, or what it does for its transaction, has a lock other than of its own virtual transaction. */
static inline bool
holds_locks(void)
{
#if PG_VERSION_NUM >= 180000
	for (int i = 0; i < FastPathLockGroupsPerBackend; i++)
		if (MyProc->fpLockBits[i] != 0)
			return true;
#else
	if (MyProc->fpLockBits != 0)
		return true;
#endif
	for (int i = 0; i < NUM_LOCK_PARTITIONS; i++)
#if PG_VERSION_NUM >= 160000
		if (!dlist_is_empty(&MyProc->myProcLocks[i]))
#else
		if (!SHMQueueEmpty(&MyProc->myProcLocks[i]))
#endif
			return true;
	return false;
}

/* PGPROCs there can be; MaxBackends is not known yet while libraries are loaded, so count as it will be. */
static inline int
count_procs(void)
{
	int			autovacuum = autovacuum_max_workers;

#if PG_VERSION_NUM >= 180000
	autovacuum = autovacuum_worker_slots;
#endif
	/* the rest: launchers and auxiliary processes, I/O workers among them */
	return MaxConnections + autovacuum + max_worker_processes + max_wal_senders + 128;
}
