/*
 * The only C of the extension: what Cython cannot say (variadic macros, PG_TRY, the
 * function info blocks). In shim/ are its parts: every test of the server's version, the
 * symbols, the points for tests, whom log lines are about, rows, and text from elsewhere.
 */
#ifndef PG_BACKGROUND_SHIM_H
#define PG_BACKGROUND_SHIM_H

#include "postgres.h"
#include <sched.h>

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_tablespace_d.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/prepare.h"
#include "commands/progress.h"
#include "commands/sequence.h"
#include "commands/tablespace.h"
#include "common/hashfn.h"
#include "common/string.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "jit/jit.h"
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/memnodes.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "storage/bufmgr.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/procsignal.h"
#include "storage/shmem.h"
#include "storage/sinval.h"
#include "tcop/cmdtag.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "tsearch/ts_type.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/dsa.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/ps_status.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
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

#include "shim/versions.h"

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
	ereport(ERROR, errcode(code), errmsg(__VA_ARGS__), optional_detail(detail), \
			optional_hint(hint))
#define raise_file_error(...) ereport(ERROR, errcode_for_file_access(), errmsg(__VA_ARGS__))
#define raise_fatal(code, ...) ereport(FATAL, errcode(code), errmsg(__VA_ARGS__))
#define report(level, ...) ereport(level, errmsg(__VA_ARGS__))
#define report_hidden_statement(level, detail, ...) \
	ereport(level, errmsg(__VA_ARGS__), optional_detail(detail), errhidestmt(true))

#define errcontext_line(...) (errcontext(__VA_ARGS__))

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

/* Whether the server checks its assertions, and so we ours; a constant, so that no code is left where it does not. */
#ifdef USE_ASSERT_CHECKING
#define IS_CHECKING_ASSERTIONS 1
#else
#define IS_CHECKING_ASSERTIONS 0
#endif

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
#define array_as_json(array) DirectFunctionCall1(array_to_json, array)
#define per_query_memory(info) ((info)->econtext->ecxt_per_query_memory)
#define column(desc, i) TupleDescAttr(desc, i)
#define column_name(desc, i) NameStr(TupleDescAttr(desc, i)->attname)
#define minimal_tuple_natts(t) HeapTupleHeaderGetNatts(t)
/* the macro wants a literal, which Cython makes an array of; ours live as long as the library too */
#define create_context(parent, name) AllocSetContextCreateInternal(parent, name, ALLOCSET_DEFAULT_SIZES)
#define hold_interrupts() HOLD_INTERRUPTS()
#define resume_interrupts() RESUME_INTERRUPTS()
#define proc_latch(p) (&(p)->procLatch)
#define wait_of(p) (*(volatile uint32 *) &(p)->wait_event_info)
#define is_latch_set() (MyLatch->is_set)

#define set_resource_owner(owner) (CurrentResourceOwner = (owner))

static inline bool
are_interrupts_held(void)
{
	return InterruptHoldoffCount > 0;
}

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
	if (replication_origin == InvalidReplOriginId)
		return;
	replorigin_session_reset();
	replication_origin = InvalidReplOriginId;
}

/* As SQL names it, whatever the search_path. */
#define relation_name(r) quote_qualified_identifier(get_namespace_name(RelationGetNamespace(r)), RelationGetRelationName(r))
#define relation_has(r, name) (get_attnum(RelationGetRelid(r), name) > 0)
#define relation_width(r) (RelationGetDescr(r)->natts)
#define relation_owner(r) ((r)->rd_rel->relowner)

#define session_has_backup() (get_backup_status() != SESSION_BACKUP_NONE)

/* As the server does after an error and at a session's end: acquired and temporary slots. */
static inline void
release_replication_slots(void)
{
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
	drop_replication_slots();
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

#include "shim/logins.h"
#include "shim/points.h"
#include "shim/port.h"
#include "shim/resources.h"
#include "shim/rows.h"
#include "shim/types.h"
#include "shim/texts.h"

/* ---- what other processes do; the copy of it is kept until the transaction's end, too long for one that polls */
#define forget_backend_snapshot() pgstat_clear_backend_activity_snapshot()

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

#include "shim/symbols.h"

/* Cython's code defines its own, after all of the server's headers have used these */
#undef likely
#undef unlikely

#endif
