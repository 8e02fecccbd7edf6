/* ---- what the catalogues that all databases share say of logins */
static inline bool
may_log_in(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		may = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return may;
}

/* as CREATE DATABASE asks */
static inline bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		may;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	may = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return may;
}

/* -1: none */
static inline int
role_connection_limit(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	int			limit = HeapTupleIsValid(tuple) ? ((Form_pg_authid) GETSTRUCT(tuple))->rolconnlimit : -1;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return limit;
}

static inline int
database_connection_limit(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	int			limit = HeapTupleIsValid(tuple) ? ((Form_pg_database) GETSTRUCT(tuple))->datconnlimit : -1;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return limit;
}

static inline bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool		is = HeapTupleIsValid(tuple) && ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return is;
}
#define accepts_connections(database) (((Form_pg_database) GETSTRUCT(database))->datallowconn)
#define relation_columns(relation) RelationGetDescr(relation)
#define array_of(datum) DatumGetArrayTypeP(datum)

/* ---- settings in their serialised form: after name, value and file come source, context and, from 15 on, role */
#define SERIALIZED_ORIGIN_SIZE (sizeof(GucSource) + sizeof(GucContext) + SERIALIZED_ROLE_SIZE)
StaticAssertDecl(sizeof(GucSource) == sizeof(int32) && sizeof(GucContext) == sizeof(int32),
				 "the sizes that our parts read");

static inline Oid
read_setting_role(const char *origin)
{
	Oid			role = InvalidOid;

	memcpy(&role, origin + sizeof(GucSource) + sizeof(GucContext), SERIALIZED_ROLE_SIZE);
	return role;
}

/* what the server has compiled in, by way of which restored settings go */
#define TEMP_BUFFERS_AT_BOOT 1024
