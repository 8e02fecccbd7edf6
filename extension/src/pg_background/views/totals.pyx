# What all jobs of a database and role have come to, for the views pg_background_totals and pg_background_histograms.

cdef Totals *copy_totals(int *count) noexcept nogil:
    """Of those that the current user may see, in the current memory context."""
    cdef Totals *copies
    cdef int i
    cdef int used = 0
    require_registry()
    copies = <Totals *>palloc(sizeof(Totals) * TOTALS_SIZE)
    share_registry()
    for i in range(TOTALS_SIZE):
        # of one moment: the counts of one may go to another
        if registry.totals[i].launched > 0:
            copies[used] = registry.totals[i]
            used += 1
    unlock_registry()
    count[0] = 0
    for i in range(used):
        if has_right(copies[i].user, ROLE_PG_READ_ALL_STATS):
            copies[count[0]] = copies[i]
            count[0] += 1
    return copies


cdef inline bint is_time(int resource) noexcept nogil:
    return resource == CPU_USER or resource == CPU_SYSTEM or resource == BLK_READ_TIME or resource == BLK_WRITE_TIME


cdef void set_resources(Datum *values, int64_t *resources) noexcept nogil:
    """The columns of what jobs took, in the order of Resource; times in milliseconds."""
    cdef int i
    for i in range(RESOURCES):
        if is_time(i):
            values[i] = Float8GetDatum(<double>resources[i] / 1000.0)
        else:
            values[i] = Int64GetDatum(resources[i])


cdef public Datum pgbg_totals(FunctionCallInfo fcinfo) noexcept nogil:
    """Rows of pg_background_all_totals."""
    cdef TupleDesc desc = NULL
    cdef Tuplestorestate *store = materialized_as(fcinfo, totals_types(), &desc)
    cdef int count = 0
    cdef Totals *copies = copy_totals(&count)
    cdef Datum values[TOTALS_COLUMNS]
    cdef cbool nulls[TOTALS_COLUMNS]
    cdef int i
    memset(nulls, 0, sizeof(nulls))
    for i in range(count):
        values[TOTALS_DATABASE] = ObjectIdGetDatum(copies[i].database)
        values[TOTALS_ROLE] = ObjectIdGetDatum(copies[i].user)
        values[TOTALS_LAUNCHED] = Int64GetDatum(copies[i].launched)
        values[TOTALS_COMPLETED] = Int64GetDatum(copies[i].ended[<int>JOB_STOPPED])
        values[TOTALS_FAILED] = Int64GetDatum(copies[i].ended[<int>JOB_ERROR])
        values[TOTALS_CANCELED] = Int64GetDatum(copies[i].ended[<int>JOB_CANCELED])
        values[TOTALS_TIMED_OUT] = Int64GetDatum(copies[i].ended[<int>JOB_TIMED_OUT])
        values[TOTALS_LOST] = Int64GetDatum(copies[i].ended[<int>JOB_LOST])
        values[TOTALS_EXECUTION_MS] = Float8GetDatum(copies[i].execution_ms)
        values[TOTALS_QUEUE_MS] = Float8GetDatum(copies[i].queue_ms)
        values[TOTALS_SINCE] = TimestampTzGetDatum(registry.since)
        set_resources(&values[TOTALS_CPU_USER_MS], copies[i].resources)
        tuplestore_putvalues(store, desc, values, nulls)
    return 0


cdef void put_histogram(Tuplestorestate *store, TupleDesc desc, Totals *totals, const char *metric,
                        Histogram *histogram) noexcept nogil:
    """A row for each bound, with all jobs that took no longer."""
    cdef Datum values[HISTOGRAMS_COLUMNS]
    cdef cbool nulls[HISTOGRAMS_COLUMNS]
    cdef int64_t jobs = 0
    cdef int i
    memset(nulls, 0, sizeof(nulls))
    values[HISTOGRAMS_DATABASE] = ObjectIdGetDatum(totals.database)
    values[HISTOGRAMS_ROLE] = ObjectIdGetDatum(totals.user)
    values[HISTOGRAMS_METRIC] = CStringGetTextDatum(metric)
    for i in range(HISTOGRAM_BOUNDS + 1):
        jobs += histogram.jobs[i]
        values[HISTOGRAMS_LE] = Float8GetDatum(
            <double>histogram_bound(i) / 1000000.0 if i < HISTOGRAM_BOUNDS else get_float8_infinity())
        values[HISTOGRAMS_JOBS] = Int64GetDatum(jobs)
        tuplestore_putvalues(store, desc, values, nulls)


cdef public Datum pgbg_histograms(FunctionCallInfo fcinfo) noexcept nogil:
    """Rows of pg_background_all_histograms."""
    cdef TupleDesc desc = NULL
    cdef Tuplestorestate *store = materialized_as(fcinfo, histograms_types(), &desc)
    cdef int count = 0
    cdef Totals *copies = copy_totals(&count)
    cdef int i
    for i in range(count):
        put_histogram(store, desc, &copies[i], b"queue_wait", &copies[i].queue_wait)
        put_histogram(store, desc, &copies[i], b"run", &copies[i].run)
    return 0
