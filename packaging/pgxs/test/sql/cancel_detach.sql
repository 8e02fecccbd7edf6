-- Cancel ends a job and rolls it back.
CREATE TABLE canceled (n int);
SELECT * FROM pg_background_launch('INSERT INTO canceled VALUES (1); SELECT pg_sleep(3600)') \gset
SELECT pg_background_cancel(:pid, :cookie);
SELECT pg_background_wait(:pid, :cookie);
SELECT state, sqlstate FROM pg_background_outcome(:pid, :cookie);
SELECT count(*) FROM canceled;
SELECT pg_background_detach(:pid, :cookie);

-- Detach forgets it, and it goes on.
SELECT pg_advisory_lock(4712);
SELECT * FROM pg_background_launch('SET deadlock_timeout = ''1h''; SELECT pg_advisory_lock_shared(4712); INSERT INTO canceled VALUES (2)') \gset
SELECT pg_background_detach(:pid, :cookie);
\set VERBOSITY sqlstate
SELECT pg_background_wait(:pid, :cookie);
\set VERBOSITY terse
SELECT pg_advisory_unlock(4712);
DO $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM canceled) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
SELECT * FROM canceled;

-- A handle whose cookie is wrong hits nothing.
SELECT * FROM pg_background_launch('SELECT 1') \gset
\set VERBOSITY sqlstate
SELECT pg_background_cancel(:pid, :cookie + 1);
\set VERBOSITY terse
SELECT * FROM pg_background_result(:pid, :cookie) AS (n int);
DROP TABLE canceled;
