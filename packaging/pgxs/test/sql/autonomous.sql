-- What a job has done stays, whatever becomes of the transaction that launched it.
CREATE TABLE audit (event text);
CREATE TABLE work (n int);
BEGIN;
INSERT INTO work VALUES (1);
SELECT * FROM pg_background_submit($$INSERT INTO audit VALUES ('tried')$$) \gset
SELECT pg_background_wait(:pid, :cookie);
ROLLBACK;
SELECT (SELECT count(*) FROM work) AS work, (SELECT string_agg(event, ', ') FROM audit) AS audit;

-- And it does not see what has not been committed.
BEGIN;
INSERT INTO work VALUES (1);
SELECT * FROM pg_background_run_query('SELECT count(*) FROM work') AS (count bigint);
COMMIT;
SELECT * FROM pg_background_run_query('SELECT count(*) FROM work') AS (count bigint);

-- From a function that fails afterwards.
CREATE FUNCTION note_and_fail() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_background_run($job$INSERT INTO audit VALUES ('failed')$job$);
    RAISE EXCEPTION 'no';
END $$;
\set VERBOSITY terse
SELECT note_and_fail();
SELECT event FROM audit ORDER BY event;
DROP FUNCTION note_and_fail();
DROP TABLE audit, work;
