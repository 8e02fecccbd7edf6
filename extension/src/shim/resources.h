/* ---- what this process has taken so far, in the order of Resource (layout.pxd) */
#include <sys/resource.h>

static inline void
read_resources(int64 *amounts)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	*amounts++ = usage.ru_utime.tv_sec * INT64CONST(1000000) + usage.ru_utime.tv_usec;
	*amounts++ = usage.ru_stime.tv_sec * INT64CONST(1000000) + usage.ru_stime.tv_usec;
	*amounts++ = pgBufferUsage.shared_blks_hit;
	*amounts++ = pgBufferUsage.shared_blks_read;
	*amounts++ = pgBufferUsage.shared_blks_dirtied;
	*amounts++ = pgBufferUsage.shared_blks_written;
	*amounts++ = pgBufferUsage.temp_blks_read;
	*amounts++ = pgBufferUsage.temp_blks_written;
	*amounts++ = (int64) blocks_read_time();
	*amounts++ = (int64) blocks_write_time();
	*amounts++ = pgWalUsage.wal_records;
	*amounts++ = pgWalUsage.wal_fpi;
	*amounts++ = (int64) pgWalUsage.wal_bytes;
}

/* ---- the bounds of histograms in microseconds, from 1 ms to 4 h; longer times come after the last one */
static inline int64
histogram_bound(int i)
{
	static const int64 bounds[] = {
		1000, 3000, 10000, 30000, 100000, 300000, 1000000, 3000000, 10000000, 30000000, 60000000, 300000000, 900000000,
		INT64CONST(3600000000), INT64CONST(7200000000), INT64CONST(14400000000)
	};

	return bounds[i];
}
