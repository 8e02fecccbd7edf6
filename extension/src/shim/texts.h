/* Bound parameters, and text that comes from a database of another encoding. */
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
