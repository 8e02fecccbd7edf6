/*
 * Every test of the server's version. They give old servers the newest API, so that the
 * Cython parts are written for one server only.
 */
#if PG_VERSION_NUM >= 180000
#define portal_run(p, dest, alt, qc) PortalRun(p, FETCH_ALL, true, dest, alt, qc)
#define form_minimal_tuple(desc, values, nulls) heap_form_minimal_tuple(desc, values, nulls, 0)
#else
#define portal_run(p, dest, alt, qc) PortalRun(p, FETCH_ALL, true, true, dest, alt, qc)
#define form_minimal_tuple(desc, values, nulls) heap_form_minimal_tuple(desc, values, nulls)
#endif

#if PG_VERSION_NUM >= 170000
#define my_proc_number() MyProcNumber
#define proc_number(p) GetNumberFromPGProc(p)
#define disable_transaction_timeout() disable_timeout(TRANSACTION_TIMEOUT, false)
/* an authenticated role whose LOGIN was taken away after it had connected still finds its worker */
#define WORKER_CONNECTION_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#define may_log_in(role) true
#define drop_replication_slots() ReplicationSlotCleanup(false)
#else
#define drop_replication_slots() ReplicationSlotCleanup()
#define my_proc_number() (MyProc->pgprocno)
#define proc_number(p) ((p)->pgprocno)
#define disable_transaction_timeout() ((void) 0)
#define WORKER_CONNECTION_FLAGS 0

/* as a worker's connection checks it, with no way round it yet */
static inline bool
may_log_in(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		may = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return may;
}
#endif

#if PG_VERSION_NUM >= 160000
#define backend_of_snapshot(i) pgstat_get_local_beentry_by_index(i)
#define parse_type(text, type, typmod) ((void) parseTypeString(text, type, typmod, NULL))
#define may_connect(db, role) (object_aclcheck(DatabaseRelationId, db, role, ACL_CONNECT) == ACLCHECK_OK)
#else
#define backend_of_snapshot(i) pgstat_fetch_stat_local_beentry(i)
#define parse_type(text, type, typmod) parseTypeString(text, type, typmod, false)
#define may_connect(db, role) (pg_database_aclcheck(db, role, ACL_CONNECT) == ACLCHECK_OK)
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
#else
#define request_shmem_now() ((void) 0)
#endif

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
