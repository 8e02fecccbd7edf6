/*
 * Rows as minimal tuples, without the copies and allocations of the executor's own calls for single rows.
 */

/* Whether the slot has only values: there is no tuple in it that could be copied. */
#define is_slot_virtual(slot) TTS_IS_VIRTUAL(slot)

/*
 * Form a tuple in memory that is aligned and has so much room; 0 where it does not fit, or where a value lies
 * elsewhere, as TOAST tables and expanded objects have it. Else its size with the padding to the next one.
 */
static inline Size
form_tuple_in_place(TupleDesc desc, Datum *values, bool *isnull, char *place, Size room)
{
	MinimalTuple tuple = (MinimalTuple) place;
	int			natts = desc->natts;
	bool		has_null = false;
	Size		header,
				data;

	for (int i = 0; i < natts; i++)
	{
		if (isnull[i])
			has_null = true;
		else if (TupleDescAttr(desc, i)->attlen == -1 && VARATT_IS_EXTERNAL(DatumGetPointer(values[i])))
			return 0;
	}
	header = MAXALIGN(SizeofMinimalTupleHeader + (has_null ? BITMAPLEN(natts) : 0));
	data = heap_compute_data_size(desc, values, isnull);
	if (MAXALIGN(header + data) > room)
		return 0;
	/* what is between the values and after them goes to another process too */
	memset(place, 0, MAXALIGN(header + data));
	tuple->t_len = header + data;
	HeapTupleHeaderSetNatts(tuple, natts);
	tuple->t_hoff = header + MINIMAL_TUPLE_OFFSET;
	heap_fill_tuple(desc, values, isnull, place + header, data, &tuple->t_infomask,
					has_null ? tuple->t_bits : NULL);
	return MAXALIGN(header + data);
}

/*
 * Store a minimal tuple as it is, by a slot that keeps nothing of it. ExecStoreMinimalTuple would make it ready for
 * reading its columns, of which none is read.
 */
static inline void
store_tuple(Tuplestorestate *store, TupleTableSlot *slot, MinimalTuple tuple)
{
	((MinimalTupleTableSlot *) slot)->mintuple = tuple;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
	tuplestore_puttupleslot(store, slot);
	((MinimalTupleTableSlot *) slot)->mintuple = NULL;
	slot->tts_flags |= TTS_FLAG_EMPTY;
}
