/* ---- what the catalogues say about types, functions and the checks of domains */
typedef struct TypeRow
{
	char		kind;			/* pg_type.typtype */
	Oid			owner;
	Oid			schema;
	Oid			relation;		/* of a composite type */
	Oid			element;		/* of an array */
	Oid			base;			/* of a domain: one level down */
	int32		base_typmod;
	bool		not_null;		/* of a domain, this level alone */
	TransactionId change;		/* the last of the type itself, be it of its name or owner */
} TypeRow;

/* False for a type that does not exist, or is not defined yet. */
static inline bool
get_type_row(Oid type, TypeRow *row)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	bool		defined;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_type) GETSTRUCT(tuple);
	defined = form->typisdefined;
	row->kind = form->typtype;
	row->owner = form->typowner;
	row->schema = form->typnamespace;
	row->relation = form->typrelid;
	row->element = IsTrueArrayType(form) ? form->typelem : InvalidOid;
	row->base = form->typbasetype;
	row->base_typmod = form->typtypmod;
	row->not_null = form->typnotnull;
	row->change = HeapTupleHeaderGetRawXmin(tuple->t_data);
	ReleaseSysCache(tuple);
	return defined;
}

/* The values of an enum, into the current memory context; returns their number. */
static inline int
enum_labels(Oid type, Oid **oids, char ***labels)
{
	CatCList   *list = SearchSysCacheList1(ENUMTYPOIDNAME, ObjectIdGetDatum(type));
	int			count = list->n_members;

	*oids = palloc(sizeof(Oid) * (count + 1));
	*labels = palloc(sizeof(char *) * (count + 1));
	for (int i = 0; i < count; i++)
	{
		Form_pg_enum form = (Form_pg_enum) GETSTRUCT(&list->members[i]->tuple);

		(*oids)[i] = form->oid;
		(*labels)[i] = pstrdup(NameStr(form->enumlabel));
	}
	ReleaseSysCacheList(list);
	return count;
}

/* As LockDatabaseObject with AccessShareLock, where nobody is to be waited for; ConditionalLockDatabaseObject is not in
 * all releases. */
static inline bool
lock_free_type(Oid type)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, TypeRelationId, type, 0);
	if (LockAcquire(&tag, AccessShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	AcceptInvalidationMessages();
	return true;
}

static inline bool
is_label_of(Oid type, Oid label)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	bool		is_so = HeapTupleIsValid(tuple) && ((Form_pg_enum) GETSTRUCT(tuple))->enumtypid == type;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return is_so;
}

/* Of this type, or InvalidOid. */
static inline Oid
enum_value(Oid type, const char *label)
{
	return GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type), CStringGetDatum(label));
}

static inline Oid
function_owner(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

#define function_called(info) ((info)->fn_oid)

/* The function of a cast that JSON would be made with, or InvalidOid. */
static inline Oid
cast_to_json(Oid type)
{
	Oid			function = InvalidOid;

	if (find_coercion_pathway(JSONOID, type, COERCION_EXPLICIT, &function) != COERCION_PATH_FUNC)
		return InvalidOid;
	return function;
}

/* A CHECK of a domain. */
typedef struct DomainCheck
{
	Oid			oid;
	bool		is_valid;		/* all values that were there have been checked */
} DomainCheck;

/* Without those of the domain below; into the current memory context; returns their number. */
static inline int
domain_checks(Oid domain, DomainCheck **checks)
{
	Relation	constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			count = 0;
	int			room = 4;

	*checks = palloc(sizeof(DomainCheck) * room);
	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(constraints, ConstraintTypidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype != CONSTRAINT_CHECK)
			continue;
		if (count == room)
		{
			room *= 2;
			*checks = repalloc(*checks, sizeof(DomainCheck) * room);
		}
		(*checks)[count].oid = form->oid;
		(*checks)[count].is_valid = form->convalidated;
		count++;
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return count;
}

/* ---- expressions over one value */

/* A value of a type as an assignment would fit it to this typmod; NULL where there is nothing to do. */
static inline Node *
typmod_coercion(Oid type, int32 from, int32 to)
{
	CaseTestExpr *value = makeNode(CaseTestExpr);
	Node	   *fitted;

	value->typeId = type;
	value->typeMod = from;
	value->collation = get_typcollation(type);
	fitted = coerce_to_target_type(NULL, (Node *) value, type, type, to, COERCION_ASSIGNMENT,
								   COERCE_IMPLICIT_CAST, -1);
	return fitted == (Node *) value || IsA(fitted, RelabelType) ? NULL : fitted;
}

/* The one function that such an expression calls, or InvalidOid for an expression of another form. */
static inline Oid
function_of_coercion(Node *expression)
{
	if (IsA(expression, ArrayCoerceExpr))
		expression = (Node *) ((ArrayCoerceExpr *) expression)->elemexpr;
	return IsA(expression, FuncExpr) ? ((FuncExpr *) expression)->funcid : InvalidOid;
}

static inline ExprState *
prepare_expression(Node *expression)
{
	return ExecInitExpr(expression_planner((Expr *) expression), NULL);
}

/* The result, which lives until the context is reset. */
static inline Datum
evaluate(ExprState *state, ExprContext *context, Datum value, bool value_is_null, bool *is_null)
{
	context->caseValue_datum = value;
	context->caseValue_isNull = value_is_null;
	return ExecEvalExprSwitchContext(state, context, is_null);
}

/* ---- values within values */
static inline void
deform_record(HeapTupleHeader record, TupleDesc desc, Datum *values, bool *nulls)
{
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(record);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = record;
	heap_deform_tuple(&tuple, desc, values, nulls);
}
#define record_type(record) HeapTupleHeaderGetTypeId(record)
#define record_typmod(record) HeapTupleHeaderGetTypMod(record)
#define set_record_typmod(record, typmod) HeapTupleHeaderSetTypMod(record, typmod)

/* An array of the same form with other elements. */
static inline ArrayType *
array_like(ArrayType *model, Datum *values, bool *nulls, Oid element)
{
	int16		length;
	bool		by_value;
	char		align;

	if (ARR_NDIM(model) == 0)
		return construct_empty_array(element);
	get_typlenbyvalalign(element, &length, &by_value, &align);
	return construct_md_array(values, nulls, ARR_NDIM(model), ARR_DIMS(model), ARR_LBOUND(model), element, length,
							  by_value, align);
}
#define desc_type(desc) ((desc)->tdtypeid)
#define desc_typmod(desc) ((desc)->tdtypmod)
#define array_of(datum) DatumGetArrayTypeP(datum)
#define array_element_type(array) ARR_ELEMTYPE(array)

#define whole_value(datum) PG_DETOAST_DATUM(datum)

/* The value's bytes, whole and neither compressed nor elsewhere; those of one that is passed by value take its place. */
static inline char *
value_bytes(Datum *value, int16 length, bool by_value, Size *size)
{
	char	   *bytes = by_value ? (char *) value : DatumGetPointer(*value);

	if (by_value)
		store_att_byval(value, *value, length);
	else if (length == -1)
		bytes = (char *) PG_DETOAST_DATUM(*value);
	*size = length >= 0 ? (Size) length : length == -1 ? VARSIZE(bytes) : strlen(bytes) + 1;
	return bytes;
}

/* The value that has these bytes, which lie anywhere. */
static inline Datum
value_with_bytes(const char *bytes, Size size, int16 length, bool by_value)
{
	char	   *aligned = palloc(size);

	memcpy(aligned, bytes, size);
	return fetch_att(aligned, by_value, length);
}

/* ---- settings for the time of a call; AtEOXact_GUC(false, level) takes them back, as an error does */
static inline void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static inline Datum
name_datum(const char *string)
{
	return DirectFunctionCall1(namein, CStringGetDatum(string));
}
