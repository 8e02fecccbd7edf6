-- A job and its end in one call.
CREATE TABLE ran (n int);
SELECT state, command_tag FROM pg_background_run('INSERT INTO ran SELECT generate_series(1, 3)');
SELECT count(*) FROM ran;
SELECT state, sqlstate FROM pg_background_run('INSERT INTO no_such_table VALUES (1)');
SELECT * FROM pg_background_run_query('SELECT max(n), count(*) FROM ran') AS (max int, count bigint);
-- What refuses to run in a transaction block.
BEGIN;
SELECT state FROM pg_background_run('VACUUM ran');
COMMIT;
DROP TABLE ran;
