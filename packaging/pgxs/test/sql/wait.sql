-- The advisory lock says when the job may go on: nothing here depends on time.
SELECT pg_advisory_lock(4711);
SELECT * FROM pg_background_launch('SET deadlock_timeout = ''1h''; SELECT pg_advisory_xact_lock_shared(4711)') \gset
SELECT pg_background_wait_v2_timeout(:pid, :cookie, 0);
SELECT pg_advisory_unlock(4711);
SELECT pg_background_wait(:pid, :cookie);
SELECT pg_background_wait_v2_timeout(:pid, :cookie, 0);
SELECT pg_background_detach(:pid, :cookie);

-- The first of several, and all of them.
SELECT pid AS slow_pid, cookie AS slow_cookie FROM pg_background_launch('SELECT pg_sleep(3600)') \gset
SELECT * FROM pg_background_launch('SELECT 1') \gset
SELECT (pg_background_wait_any(ARRAY[(:slow_pid, :slow_cookie)::pg_background_handle,
    (:pid, :cookie)::pg_background_handle])).pid = :pid AS "the one that has ended";
SELECT pg_background_cancel(:slow_pid, :slow_cookie);
SELECT state FROM pg_background_drain(ARRAY[(:slow_pid, :slow_cookie)::pg_background_handle,
    (:pid, :cookie)::pg_background_handle]);

-- A wait that could never end is an error.
SET deadlock_timeout = '10ms';
CREATE TABLE held (n int);
BEGIN;
LOCK TABLE held;
SELECT * FROM pg_background_launch('INSERT INTO held VALUES (1)') \gset
\set VERBOSITY sqlstate
SELECT pg_background_wait(:pid, :cookie);
\set VERBOSITY terse
ROLLBACK;
RESET deadlock_timeout;
SELECT pg_background_wait(:pid, :cookie);
DROP TABLE held;
