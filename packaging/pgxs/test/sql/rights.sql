-- Nobody has it without being told; a job is its role's alone.
CREATE ROLE regress_pgbg_anne;
CREATE ROLE regress_pgbg_bert;
SET ROLE regress_pgbg_anne;
\set VERBOSITY sqlstate
SELECT pg_background_launch('SELECT 1');
\set VERBOSITY terse
RESET ROLE;
GRANT pgbackground_role TO regress_pgbg_anne, regress_pgbg_bert;
SET ROLE regress_pgbg_anne;
SELECT * FROM pg_background_launch('SELECT current_user::text') \gset
RESET ROLE;
SET ROLE regress_pgbg_bert;
\set VERBOSITY sqlstate
SELECT * FROM pg_background_result(:pid, :cookie) AS (who text);
\set VERBOSITY terse
RESET ROLE;
SET ROLE regress_pgbg_anne;
SELECT * FROM pg_background_result(:pid, :cookie) AS (who text);
RESET ROLE;
DROP ROLE regress_pgbg_anne, regress_pgbg_bert;
