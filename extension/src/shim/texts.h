/* Bound parameters, and the encodings of databases. */
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
