/*
 * The only C of the extension: what Cython cannot say (variadic macros, PG_TRY, the
 * function info blocks), and every test of the server's version. The tests give old
 * servers the newest API, so that the Cython parts are written for one server only.
 */
#ifndef PG_BACKGROUND_SHIM_H
#define PG_BACKGROUND_SHIM_H

#include "postgres.h"
/* Python.h has defined these; Cython's generated code uses its own */
#undef likely
#undef unlikely

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_database.h"
#include "catalog/pg_tablespace_d.h"
#include "catalog/pg_type_d.h"
#include "commands/async.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/prepare.h"
#include "commands/progress.h"
#include "commands/sequence.h"
#include "commands/tablespace.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "jit/jit.h"
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "parser/parse_type.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "storage/shmem.h"
#include "storage/sinval.h"
#include "tcop/cmdtag.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/dsa.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/ps_status.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* ---- what libpq/libpq.h declares; on builds with GSSAPI that header needs gssapi.h */
typedef struct
{
	void		(*comm_reset) (void);
	int			(*flush) (void);
	int			(*flush_if_writable) (void);
	bool		(*is_send_pending) (void);
	int			(*putmessage) (char msgtype, const char *s, size_t len);
	void		(*putmessage_noblock) (char msgtype, const char *s, size_t len);
} PQcommMethods;
extern PGDLLIMPORT const PQcommMethods *PqCommMethods;
extern PGDLLIMPORT ProtocolVersion FrontendProtocol;

/* ---- reporting */
static inline int
optional_hint(const char *hint)
{
	return hint ? errhint("%s", hint) : 0;
}
static inline int
optional_detail(const char *detail)
{
	return detail ? errdetail("%s", detail) : 0;
}
#define raise_error(code, ...) ereport(ERROR, errcode(code), errmsg(__VA_ARGS__))
#define raise_with_hint(code, hint, ...) \
	ereport(ERROR, errcode(code), errmsg(__VA_ARGS__), errhint("%s", hint))
#define raise_with_detail(code, detail, hint, ...) \
	ereport(ERROR, errcode(code), errmsg(__VA_ARGS__), errdetail("%s", detail), \
			optional_hint(hint))
#define raise_file_error(...) ereport(ERROR, errcode_for_file_access(), errmsg(__VA_ARGS__))
#define raise_fatal(code, ...) ereport(FATAL, errcode(code), errmsg(__VA_ARGS__))
#define report(level, ...) ereport(level, errmsg(__VA_ARGS__))
#define report_hidden_statement(level, detail, ...) \
	ereport(level, errmsg(__VA_ARGS__), optional_detail(detail), errhidestmt(true))

/* Run body(arg); return its error, copied into the caller's memory context, or NULL. */
typedef void (*catch_body) (void *arg);
static inline ErrorData *
catch_error(catch_body body, void *arg, bool report_it)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		body(arg);
	}
	PG_CATCH();
	{
		/* a signal must not throw again before the first error is put away */
		HOLD_INTERRUPTS();
		if (report_it)
			EmitErrorReport();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return error;
}

/* ---- macros as functions */
#define arg_int32(f, n) DatumGetInt32((f)->args[n].value)
#define arg_int64(f, n) DatumGetInt64((f)->args[n].value)
#define arg_float8(f, n) DatumGetFloat8((f)->args[n].value)
#define arg_text(f, n) DatumGetTextPP((f)->args[n].value)
#define arg_record(f, n) DatumGetHeapTupleHeader((f)->args[n].value)
#define arg_array(f, n) DatumGetArrayTypeP((f)->args[n].value)
#define arg_bool(f, n) DatumGetBool((f)->args[n].value)
#define arg_name(f, n) NameStr(*DatumGetName((f)->args[n].value))
#define record_of(datum) DatumGetHeapTupleHeader(datum)
#define arg_isnull(f, n) ((f)->args[n].isnull)
#define arg_count(f) ((f)->nargs)
#define function_oid(f) ((f)->flinfo->fn_oid)
#define result_set_info(f) \
	((f)->resultinfo && IsA((f)->resultinfo, ReturnSetInfo) ? (ReturnSetInfo *) (f)->resultinfo : NULL)
/* the reader may come after the type has gone */
#define type_name(type, typmod) \
	format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_ALLOW_INVALID)
#define row_as_json(row) DirectFunctionCall1(row_to_json, row)
#define per_query_memory(info) ((info)->econtext->ecxt_per_query_memory)
#define column(desc, i) TupleDescAttr(desc, i)
#define column_name(desc, i) NameStr(TupleDescAttr(desc, i)->attname)
#define minimal_tuple_natts(t) HeapTupleHeaderGetNatts(t)
/* the macro wants a literal, which Cython makes an array of; ours live as long as the library too */
#define create_context(parent, name) AllocSetContextCreateInternal(parent, name, ALLOCSET_DEFAULT_SIZES)
#define hold_interrupts() HOLD_INTERRUPTS()
#define resume_interrupts() RESUME_INTERRUPTS()
#define proc_latch(p) (&(p)->procLatch)

static inline bool
interrupt_pending(void)
{
	return InterruptPending != 0;
}

/* What StatementCancelHandler does, for a cancel that has been checked to be meant for us. */
static inline void
request_statement_cancel(void)
{
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* text LIKE pattern, byte for byte: whatever the collation of the database makes equal */
static inline bool
is_like(const char *string, text *pattern)
{
	return DatumGetBool(DirectFunctionCall2Coll(textlike, C_COLLATION_OID, CStringGetTextDatum(string),
												PointerGetDatum(pattern)));
}

/* The pids that block this pid's process or its parallel group: a palloc'd int4[]. */
static inline ArrayType *
blocking_pids(int pid)
{
	return DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
}
/* Likewise of one that waits for a snapshot that no serialization failure can come from. */
static inline ArrayType *
safe_snapshot_blocking_pids(int pid)
{
	return DatumGetArrayTypeP(DirectFunctionCall1(pg_safe_snapshot_blocking_pids, Int32GetDatum(pid)));
}
#define array_dimensions(a) ARR_NDIM(a)

/* The elements of an array of any shape, and which of them are NULL; returns their number. */
static inline int
array_elements(ArrayType *array, Datum **values, bool **nulls)
{
	int16		length;
	bool		by_value;
	char		align;
	int			count;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, values, nulls, &count);
	return count;
}
#define array_length(a) ArrayGetNItems(ARR_NDIM(a), ARR_DIMS(a))
#define array_int32(a, i) (((int32 *) ARR_DATA_PTR(a))[i])

/*
 * Drop the snapshot that the server holds for a CALL at top level, so that nobody waits for this session meanwhile.
 * Inside of a function there are others below it, which stay.
 */
static inline void
drop_call_snapshot(void)
{
	if (ActivePortal && ActivePortal->portalSnapshot && ActiveSnapshotSet() &&
		GetActiveSnapshot() == ActivePortal->portalSnapshot)
	{
		ActivePortal->portalSnapshot = NULL;
		PopActiveSnapshot();
		/* kept for rows with toast pointers; the one row of a CALL that calls us has none */
		if (ActivePortal->holdSnapshot)
			UnregisterSnapshotFromOwner(ActivePortal->holdSnapshot, ActivePortal->resowner);
		ActivePortal->holdSnapshot = NULL;
	}
	InvalidateCatalogSnapshot();
}

/* Undo pg_replication_origin_session_setup(). */
static inline void
reset_replication_origin(void)
{
	if (replorigin_session_origin == InvalidRepOriginId)
		return;
	replorigin_session_reset();
	replorigin_session_origin = InvalidRepOriginId;
}

#define session_has_backup() (get_backup_status() != SESSION_BACKUP_NONE)

/* As the server does after an error and at a session's end: acquired and temporary slots. */
static inline void
release_replication_slots(void)
{
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
#if PG_VERSION_NUM >= 170000
	ReplicationSlotCleanup(false);
#else
	ReplicationSlotCleanup();
#endif
}

/*
 * A message in the queue of invalidations that this process gets itself, at the latest as its next transaction starts.
 * It says that an entry of a cache has changed, one that nobody has: of a cache that nobody watches, with a hash value
 * that is ours. Processes that have fallen behind are told a value of 0 instead.
 */
#define OWN_INVALIDATION_CACHE CONVOID
#define OWN_INVALIDATION_HASH 0x70676267

static inline void
send_own_invalidation(void)
{
	SharedInvalidationMessage message;

	memset(&message, 0, sizeof(message));
	message.cc.id = OWN_INVALIDATION_CACHE;
	message.cc.dbId = MyDatabaseId;
	message.cc.hashValue = OWN_INVALIDATION_HASH;
	SendSharedInvalidMessages(&message, 1);
}
#define is_own_invalidation(hash) ((hash) == OWN_INVALIDATION_HASH || (hash) == 0)

/* An unguessable seed, so that one job's setseed() cannot steer the next one's random(). */
static inline void
reseed_random(double seed)
{
	DirectFunctionCall1(setseed, Float8GetDatum(seed));
}

/*
 * ---- named points for tests of races and deaths, in builds with -Ddebug_points=true only
 *
 * A process that comes to a point stops there while the data directory has a file of its name: an empty one holds it
 * until the file is gone; "error", "fatal" or "kill" in it say how the process ends here. Never under the registry's
 * lock.
 */
#ifdef PG_BACKGROUND_DEBUG_POINTS
static void
debug_point(const char *name)
{
	char		path[MAXPGPATH];
	char		what[16];
	FILE	   *file;

	snprintf(path, sizeof(path), "pg_background_point_%s", name);
	if ((file = fopen(path, "r")) == NULL)
		return;
	what[fread(what, 1, sizeof(what) - 1, file)] = '\0';
	fclose(file);
	ereport(LOG, errmsg_internal("at debug point %s%s%s", name, what[0] ? ": " : "", what), errhidestmt(true));
	if (strcmp(what, "error") == 0)
		ereport(ERROR, errmsg_internal("error at debug point %s", name));
	if (strcmp(what, "fatal") == 0)
		ereport(FATAL, errmsg_internal("fatal error at debug point %s", name));
	if (strcmp(what, "kill") == 0)
		kill(MyProcPid, SIGKILL);
	while (access(path, F_OK) == 0)
		pg_usleep(1000);
}
#else
#define debug_point(name) ((void) 0)
#endif

/* ---- parameters */
#define MAX_PARAMETERS 65535	/* as in the extended protocol */
static inline void
set_parameter(void *parameters, int n, Oid type, Datum value, bool isnull)
{
	ParamExternData *parameter = &((ParamListInfo) parameters)->params[n];

	parameter->value = value;
	parameter->isnull = isnull;
	/* a constant to the planner: the plan is used once */
	parameter->pflags = PARAM_FLAG_CONST;
	parameter->ptype = type;
}

static inline int
database_encoding(Oid database, bool *allows_connections)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	int			encoding;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", database);
	encoding = ((Form_pg_database) GETSTRUCT(tuple))->encoding;
	*allows_connections = ((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
	ReleaseSysCache(tuple);
	return encoding;
}

/* Text of another database in this one's encoding: what that cannot express becomes a question mark. */
static inline char *
lossy_to_server(char *text, int encoding)
{
	int			size = strlen(text);
	int			here = GetDatabaseEncoding();
	Oid			conversion;
	StringInfoData result;
	unsigned char *buffer;

	/* without an encoding, a database takes what comes */
	if (encoding == here || here == PG_SQL_ASCII || pg_is_ascii(text))
		return text;
	conversion = FindDefaultConversionProc(encoding, here);
	initStringInfo(&result);
	buffer = palloc(size * MAX_CONVERSION_GROWTH + 1);
	while (*text)
	{
		int			used = 0;

		if (OidIsValid(conversion))
		{
			used = pg_do_encoding_conversion_buf(conversion, encoding, here, (unsigned char *) text, size, buffer,
												 size * MAX_CONVERSION_GROWTH + 1, true);
			appendStringInfoString(&result, (char *) buffer);
		}
		else if (!IS_HIGHBIT_SET(*text))
		{
			appendStringInfoChar(&result, *text);
			text++;
			size--;
			continue;
		}
		text += used;
		size -= used;
		if (*text)
		{
			int			skipped = Min(size, pg_encoding_mblen(encoding, text));

			appendStringInfoChar(&result, '?');
			text += skipped;
			size -= skipped;
		}
	}
	return result.data;
}

/* ---- what other processes do; the copy of it is kept until the transaction's end, too long for one that polls */
#define forget_backend_snapshot() pgstat_clear_backend_activity_snapshot()
#if PG_VERSION_NUM >= 160000
#define backend_of_snapshot(i) pgstat_get_local_beentry_by_index(i)
#else
#define backend_of_snapshot(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* The command that the server follows in this process, with its counters. */
static inline int
progress_of_backend(int pid, int64 *counters)
{
	int			count = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= count; i++)
	{
		PgBackendStatus *status = &backend_of_snapshot(i)->backendStatus;

		if (status->st_procpid != pid)
			continue;
		memcpy(counters, status->st_progress_param, sizeof(int64) * PGSTAT_NUM_PROGRESS_PARAM);
		return status->st_progress_command;
	}
	return PROGRESS_COMMAND_INVALID;
}
StaticAssertDecl(PGSTAT_NUM_PROGRESS_PARAM == 20, "the size of the counters that our parts pass");

/* ---- versions: the newest API for all */
#if PG_VERSION_NUM >= 180000
#define portal_run(p, dest, alt, qc) PortalRun(p, FETCH_ALL, true, dest, alt, qc)
#define form_minimal_tuple(desc, values, nulls) heap_form_minimal_tuple(desc, values, nulls, 0)
#else
#define portal_run(p, dest, alt, qc) PortalRun(p, FETCH_ALL, true, true, dest, alt, qc)
#define form_minimal_tuple(desc, values, nulls) heap_form_minimal_tuple(desc, values, nulls)
#endif

#if PG_VERSION_NUM >= 170000
#define my_proc_number() MyProcNumber
#define disable_transaction_timeout() disable_timeout(TRANSACTION_TIMEOUT, false)
/* an authenticated role whose LOGIN was taken away after it had connected still finds its worker */
#define WORKER_CONNECTION_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#define may_log_in(role) true
#else
#define my_proc_number() (MyProc->pgprocno)
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
#define parse_type(text, type, typmod) ((void) parseTypeString(text, type, typmod, NULL))
#define may_connect(db, role) (object_aclcheck(DatabaseRelationId, db, role, ACL_CONNECT) == ACLCHECK_OK)
#else
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

/* ---- the functions that SQL calls */
PG_MODULE_MAGIC;

#define SQL_FUNCTION(f) PGDLLEXPORT Datum f(PG_FUNCTION_ARGS); PG_FUNCTION_INFO_V1(f)
SQL_FUNCTION(pgbg_launch);
SQL_FUNCTION(pgbg_submit);
SQL_FUNCTION(pgbg_start);
SQL_FUNCTION(pgbg_result);
SQL_FUNCTION(pgbg_result_typed);
SQL_FUNCTION(pgbg_result_json);
SQL_FUNCTION(pgbg_describe);
SQL_FUNCTION(pgbg_wait);
SQL_FUNCTION(pgbg_wait_timeout);
SQL_FUNCTION(pgbg_await);
SQL_FUNCTION(pgbg_cancel);
SQL_FUNCTION(pgbg_detach);
SQL_FUNCTION(pgbg_pid);
SQL_FUNCTION(pgbg_worker_pid);
SQL_FUNCTION(pgbg_run);
SQL_FUNCTION(pgbg_run_query);
SQL_FUNCTION(pgbg_wait_any);
SQL_FUNCTION(pgbg_drain);
SQL_FUNCTION(pgbg_cancel_all);
SQL_FUNCTION(pgbg_detach_all);
SQL_FUNCTION(pgbg_purge);
SQL_FUNCTION(pgbg_cancel_by_label);
SQL_FUNCTION(pgbg_drain_server);
SQL_FUNCTION(pgbg_resume_server);
SQL_FUNCTION(pgbg_list);
SQL_FUNCTION(pgbg_stats);
SQL_FUNCTION(pgbg_report_progress);
SQL_FUNCTION(pgbg_get_progress);
SQL_FUNCTION(pgbg_registry);
SQL_FUNCTION(pgbg_totals);
SQL_FUNCTION(pgbg_jobs);
SQL_FUNCTION(pgbg_result_info);
SQL_FUNCTION(pgbg_error_info);
SQL_FUNCTION(pgbg_full_sql);
SQL_FUNCTION(pgbg_outcome);

/* ---- the functions that the catalogues of 1.8 and 2.0 call */
SQL_FUNCTION(pg_background_launch);
SQL_FUNCTION(pg_background_stats);
SQL_FUNCTION(pg_background_stats_v2);
SQL_FUNCTION(pg_background_get_progress);
SQL_FUNCTION(pg_background_get_progress_v2);
SQL_FUNCTION(pg_background_wait);
SQL_FUNCTION(pg_background_record_timeout);

/* those that do as ours: a void result is ignored, whatever the value */
#define OLD_SYMBOL(old, ours) SQL_FUNCTION(old); Datum old(PG_FUNCTION_ARGS) { return ours(fcinfo); }
OLD_SYMBOL(pg_background_launch_v2, pgbg_launch)
OLD_SYMBOL(pg_background_submit, pgbg_submit)
OLD_SYMBOL(pg_background_submit_v2, pgbg_submit)
OLD_SYMBOL(pg_background_result, pgbg_result)
OLD_SYMBOL(pg_background_result_v2, pgbg_result)
OLD_SYMBOL(pg_background_wait_v2, pgbg_wait)
OLD_SYMBOL(pg_background_wait_v2_timeout, pgbg_wait_timeout)
OLD_SYMBOL(pg_background_cancel, pgbg_cancel)
OLD_SYMBOL(pg_background_cancel_v2, pgbg_cancel)
OLD_SYMBOL(pg_background_cancel_v2_grace, pgbg_cancel)
OLD_SYMBOL(pg_background_cancel_all, pgbg_cancel_all)
OLD_SYMBOL(pg_background_detach, pgbg_detach)
OLD_SYMBOL(pg_background_detach_v2, pgbg_detach)
OLD_SYMBOL(pg_background_detach_all, pgbg_detach_all)
OLD_SYMBOL(pg_background_list, pgbg_list)
OLD_SYMBOL(pg_background_list_v2, pgbg_list)
OLD_SYMBOL(pg_background_progress, pgbg_report_progress)
OLD_SYMBOL(pg_background_report_progress, pgbg_report_progress)
OLD_SYMBOL(pg_background_result_info, pgbg_result_info)
OLD_SYMBOL(pg_background_error_info, pgbg_error_info)
OLD_SYMBOL(pg_background_full_sql, pgbg_full_sql)

PGDLLEXPORT void pgbg_worker_main(Datum main_arg);
PGDLLEXPORT void pgbg_keeper_main(Datum main_arg);

#endif
