-- The rows of a job, once, in this session's types.
SELECT * FROM pg_background_launch('SELECT n, n * n, repeat(''x'', n) FROM generate_series(1, 3) AS n') \gset
SELECT * FROM pg_background_result(:pid, :cookie) AS (n int, square int, word text);
\set VERBOSITY sqlstate
SELECT * FROM pg_background_result(:pid, :cookie) AS (n int, square int, word text);
\set VERBOSITY terse

-- More than the queue holds: the job ends although nobody reads.
SELECT * FROM pg_background_launch('SELECT n FROM generate_series(1, 100000) AS n', 65536) \gset
SELECT pg_background_wait(:pid, :cookie);
SELECT count(*), sum(n) FROM pg_background_result(:pid, :cookie) AS (n int);

-- Several statements are one transaction.
SELECT * FROM pg_background_launch('CREATE TEMP TABLE t AS SELECT 41 AS n; UPDATE t SET n = n + 1; SELECT n FROM t') \gset
SELECT * FROM pg_background_result(:pid, :cookie) AS (n int);

-- A job's error is its reader's, with the same SQLSTATE.
SELECT * FROM pg_background_launch('SELECT 1 / 0') \gset
SELECT pg_background_wait(:pid, :cookie);
SELECT state, sqlstate FROM pg_background_outcome(:pid, :cookie);
\set VERBOSITY sqlstate
SELECT * FROM pg_background_result(:pid, :cookie) AS (n int);
\set VERBOSITY terse

-- Parameters, and the settings of the launching session.
SET timezone = 'Asia/Kolkata';
SELECT * FROM pg_background_start('SELECT $1::int + 1, current_setting(''timezone'')', ARRAY['41']) \gset
SELECT * FROM pg_background_result(:pid, :cookie) AS (n int, zone text);
RESET timezone;
