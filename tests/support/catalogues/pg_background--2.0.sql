-- The catalogue of version 2.0 of the C extension as a server has it that is to switch: for tests only. The bodies are our own.

CREATE TYPE pg_background_handle AS (pid integer, cookie bigint);

CREATE TYPE pg_background_progress_info AS (progress_pct integer, progress_msg text);

CREATE TYPE pg_background_stats AS (
  workers_launched bigint, workers_completed bigint, workers_failed bigint, workers_canceled bigint,
  workers_timed_out bigint, workers_active integer, avg_execution_ms double precision, max_workers integer);

CREATE TYPE pg_background_result_info AS (
  row_count bigint, command_tag text, completed boolean, has_error boolean, started_at timestamptz,
  finished_at timestamptz);

CREATE TYPE pg_background_error AS (
  sqlstate text, message text, detail text, hint text, context text, schema_name text, table_name text,
  column_name text, constraint_name text);

CREATE TYPE pg_background_outcome AS (
  pid integer, cookie bigint, state text, consumed boolean, completed boolean, has_error boolean, row_count bigint,
  command_tag text, sqlstate text, error_message text, label text, launched_at timestamptz);

CREATE TYPE pg_background_run_result AS (
  pid integer, cookie bigint, state text, consumed boolean, completed boolean, has_error boolean, row_count bigint,
  command_tag text, sqlstate text, error_message text, label text, launched_at timestamptz,
  timed_out boolean, elapsed_ms bigint);

CREATE FUNCTION pg_background_launch(sql text, queue_size integer DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_launch' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_launch(sql text, queue_size integer, label text)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_launch' LANGUAGE C;

CREATE FUNCTION pg_background_submit(sql text, queue_size integer DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_submit' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_submit(sql text, queue_size integer, label text)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_submit' LANGUAGE C;

CREATE FUNCTION pg_background_result(pid integer, cookie bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pg_background_result' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_wait(pid integer, cookie bigint, timeout_ms integer DEFAULT 0)
RETURNS boolean AS 'MODULE_PATHNAME', 'pg_background_wait' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_cancel(pid integer, cookie bigint, grace_ms integer DEFAULT 0)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_cancel' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_detach(pid integer, cookie bigint)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_detach' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_cancel_all()
RETURNS integer AS 'MODULE_PATHNAME', 'pg_background_cancel_all' LANGUAGE C;

CREATE FUNCTION pg_background_detach_all()
RETURNS integer AS 'MODULE_PATHNAME', 'pg_background_detach_all' LANGUAGE C;

CREATE FUNCTION pg_background_list()
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pg_background_list' LANGUAGE C;

CREATE FUNCTION pg_background_stats()
RETURNS pg_background_stats AS 'MODULE_PATHNAME', 'pg_background_stats' LANGUAGE C;

CREATE FUNCTION pg_background_get_progress(pid integer, cookie bigint)
RETURNS pg_background_progress_info AS 'MODULE_PATHNAME', 'pg_background_get_progress' LANGUAGE C;

CREATE FUNCTION pg_background_result_info(pid integer, cookie bigint)
RETURNS pg_background_result_info AS 'MODULE_PATHNAME', 'pg_background_result_info' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_error_info(pid integer, cookie bigint)
RETURNS pg_background_error AS 'MODULE_PATHNAME', 'pg_background_error_info' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_full_sql(pid integer, cookie bigint)
RETURNS text AS 'MODULE_PATHNAME', 'pg_background_full_sql' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_launch_v2(sql text, queue_size integer DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_launch' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_launch_v2(sql text, queue_size integer, label text)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_launch' LANGUAGE C;

CREATE FUNCTION pg_background_submit_v2(sql text, queue_size integer DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_submit' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_submit_v2(sql text, queue_size integer, label text)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_submit' LANGUAGE C;

CREATE FUNCTION pg_background_result_v2(pid integer, cookie bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pg_background_result' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_wait_v2(pid integer, cookie bigint, timeout_ms integer DEFAULT 0)
RETURNS boolean AS 'MODULE_PATHNAME', 'pg_background_wait' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_cancel_v2(pid integer, cookie bigint, grace_ms integer DEFAULT 0)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_cancel' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_detach_v2(pid integer, cookie bigint)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_detach' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_cancel_all_v2()
RETURNS integer AS 'MODULE_PATHNAME', 'pg_background_cancel_all' LANGUAGE C;

CREATE FUNCTION pg_background_detach_all_v2()
RETURNS integer AS 'MODULE_PATHNAME', 'pg_background_detach_all' LANGUAGE C;

CREATE FUNCTION pg_background_list_v2()
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pg_background_list' LANGUAGE C;

CREATE FUNCTION pg_background_stats_v2()
RETURNS pg_background_stats AS 'MODULE_PATHNAME', 'pg_background_stats' LANGUAGE C;

CREATE FUNCTION pg_background_get_progress_v2(pid integer, cookie bigint)
RETURNS pg_background_progress_info AS 'MODULE_PATHNAME', 'pg_background_get_progress' LANGUAGE C;

CREATE FUNCTION pg_background_result_info_v2(pid integer, cookie bigint)
RETURNS pg_background_result_info AS 'MODULE_PATHNAME', 'pg_background_result_info' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_error_info_v2(pid integer, cookie bigint)
RETURNS pg_background_error AS 'MODULE_PATHNAME', 'pg_background_error_info' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_full_sql_v2(pid integer, cookie bigint)
RETURNS text AS 'MODULE_PATHNAME', 'pg_background_full_sql' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_report_progress(pct integer, msg text DEFAULT NULL)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_report_progress' LANGUAGE C;

CREATE FUNCTION pg_background_record_timeout()
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_record_timeout' LANGUAGE C;

CREATE VIEW pg_background_list AS
SELECT * FROM pg_background_list() AS (
  pid integer, cookie bigint, launched_at timestamptz, user_id oid, queue_size integer, state text, sql_preview text,
  last_error text, consumed boolean, label text);

CREATE VIEW pg_background_activity AS
SELECT l.pid, l.cookie, l.launched_at, l.user_id, l.queue_size, l.state AS pgbg_state, l.sql_preview, l.last_error,
  l.consumed, l.label, a.state AS backend_state, a.wait_event_type, a.wait_event, a.xact_start, a.query_start,
  a.backend_start, a.query
FROM pg_background_list AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid;

CREATE FUNCTION pg_background_outcome(p_pid integer, p_cookie bigint)
RETURNS pg_background_outcome LANGUAGE plpgsql AS $$
DECLARE
  listed record;
  info pg_background_result_info;
  failure pg_background_error;
  unknown pg_background_outcome;
BEGIN
  SELECT * INTO listed FROM pg_background_list AS l WHERE l.pid = p_pid AND l.cookie = p_cookie;
  IF NOT FOUND THEN
    unknown.pid := p_pid;
    unknown.cookie := p_cookie;
    unknown.state := 'unknown';
    RETURN unknown;
  END IF;
  info := pg_background_result_info(p_pid, p_cookie);
  failure := pg_background_error_info(p_pid, p_cookie);
  RETURN ROW(p_pid, p_cookie, listed.state, listed.consumed, info.completed, info.has_error, info.row_count,
             info.command_tag, failure.sqlstate, failure.message, listed.label, listed.launched_at);
END $$;

CREATE FUNCTION pg_background_run(
  sql text, queue_size integer DEFAULT 0, timeout_ms integer DEFAULT 0, label text DEFAULT NULL)
RETURNS pg_background_run_result LANGUAGE plpgsql AS $$
DECLARE
  started timestamptz := clock_timestamp();
  handle pg_background_handle := pg_background_launch(sql, queue_size, label);
  in_time boolean := pg_background_wait(handle.pid, handle.cookie, timeout_ms);
  ended pg_background_outcome;
BEGIN
  IF NOT in_time THEN
    PERFORM pg_background_cancel(handle.pid, handle.cookie, 500);
    PERFORM pg_background_record_timeout();
  END IF;
  ended := pg_background_outcome(handle.pid, handle.cookie);
  PERFORM pg_background_detach(handle.pid, handle.cookie);
  RETURN ROW(ended.pid, ended.cookie, ended.state, ended.consumed, ended.completed, ended.has_error, ended.row_count,
             ended.command_tag, ended.sqlstate, ended.error_message, ended.label, ended.launched_at, NOT in_time,
             (extract(epoch FROM clock_timestamp() - started) * 1000)::bigint);
END $$;

CREATE FUNCTION pg_background_run_query(
  sql text, queue_size integer DEFAULT 0, timeout_ms integer DEFAULT 0, label text DEFAULT NULL,
  col_def text DEFAULT NULL)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  handle pg_background_handle := pg_background_launch(sql, queue_size, label);
BEGIN
  IF NOT pg_background_wait(handle.pid, handle.cookie, timeout_ms) THEN
    PERFORM pg_background_record_timeout();
    PERFORM pg_background_cancel(handle.pid, handle.cookie, 500);
    RAISE query_canceled USING MESSAGE = 'timeout';
  END IF;
  RETURN QUERY EXECUTE format('SELECT * FROM pg_background_result(%s, %s) AS r (%s)', handle.pid, handle.cookie,
                              COALESCE(col_def, 'value text'));
END $$;

CREATE FUNCTION pg_background_run_query_v2(
  sql text, queue_size integer DEFAULT 0, timeout_ms integer DEFAULT 0, label text DEFAULT NULL,
  col_def text DEFAULT NULL)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  handle pg_background_handle := pg_background_launch(sql, queue_size, label);
BEGIN
  IF NOT pg_background_wait(handle.pid, handle.cookie, timeout_ms) THEN
    PERFORM pg_background_record_timeout();
    PERFORM pg_background_cancel(handle.pid, handle.cookie, 500);
    RAISE query_canceled USING MESSAGE = 'timeout';
  END IF;
  RETURN QUERY EXECUTE format('SELECT * FROM pg_background_result(%s, %s) AS r (%s)', handle.pid, handle.cookie,
                              COALESCE(col_def, 'value text'));
END $$;

CREATE FUNCTION pg_background_wait_any(handles pg_background_handle[], timeout_ms integer DEFAULT 0)
RETURNS pg_background_handle LANGUAGE plpgsql AS $$
DECLARE
  started timestamptz := clock_timestamp();
  handle pg_background_handle;
BEGIN
  LOOP
    FOREACH handle IN ARRAY handles LOOP
      IF pg_background_wait(handle.pid, handle.cookie, 5) THEN
        RETURN handle;
      END IF;
    END LOOP;
    IF timeout_ms > 0 AND clock_timestamp() > started + timeout_ms * interval '1 ms' THEN
      RETURN NULL;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION pg_background_drain(handles pg_background_handle[], timeout_ms integer DEFAULT 0)
RETURNS SETOF pg_background_outcome LANGUAGE plpgsql AS $$
DECLARE
  handle pg_background_handle;
BEGIN
  FOREACH handle IN ARRAY handles LOOP
    PERFORM pg_background_wait(handle.pid, handle.cookie, timeout_ms);
    RETURN NEXT pg_background_outcome(handle.pid, handle.cookie);
    PERFORM pg_background_detach(handle.pid, handle.cookie);
  END LOOP;
END $$;

CREATE FUNCTION pg_background_cancel_by_label(pattern text, grace_ms integer DEFAULT 0)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  job record;
  canceled integer := 0;
BEGIN
  FOR job IN SELECT * FROM pg_background_list WHERE label LIKE pattern AND state IN ('starting', 'running') LOOP
    PERFORM pg_background_cancel(job.pid, job.cookie, grace_ms);
    canceled := canceled + 1;
  END LOOP;
  RETURN canceled;
END $$;

CREATE FUNCTION pg_background_purge()
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  job record;
  purged integer := 0;
BEGIN
  FOR job IN SELECT * FROM pg_background_list WHERE state NOT IN ('starting', 'running') LOOP
    PERFORM pg_background_detach(job.pid, job.cookie);
    purged := purged + 1;
  END LOOP;
  RETURN purged;
END $$;

CREATE FUNCTION pg_background_outcome_v2(p_pid integer, p_cookie bigint)
RETURNS pg_background_outcome LANGUAGE sql AS 'SELECT pg_background_outcome($1, $2)';

CREATE FUNCTION pg_background_run_v2(
  sql text, queue_size integer DEFAULT 0, timeout_ms integer DEFAULT 0, label text DEFAULT NULL)
RETURNS pg_background_run_result LANGUAGE sql AS 'SELECT pg_background_run($1, $2, $3, $4)';

CREATE FUNCTION pg_background_wait_any_v2(handles pg_background_handle[], timeout_ms integer DEFAULT 0)
RETURNS pg_background_handle LANGUAGE sql AS 'SELECT pg_background_wait_any($1, $2)';

CREATE FUNCTION pg_background_drain_v2(handles pg_background_handle[], timeout_ms integer DEFAULT 0)
RETURNS SETOF pg_background_outcome LANGUAGE sql AS 'SELECT * FROM pg_background_drain($1, $2)';

CREATE FUNCTION pg_background_cancel_by_label_v2(pattern text, grace_ms integer DEFAULT 0)
RETURNS integer LANGUAGE sql AS 'SELECT pg_background_cancel_by_label($1, $2)';

CREATE FUNCTION pg_background_purge_v2()
RETURNS integer LANGUAGE sql AS 'SELECT pg_background_purge()';

CREATE FUNCTION pg_background_grant_privileges(role_name text, print_commands boolean DEFAULT false)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  command text;
BEGIN
  FOR command IN
    SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, role_name)
    FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid JOIN pg_proc AS p ON p.oid = d.objid
    WHERE e.extname = 'pg_background' AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND NOT p.prosecdef
  LOOP
    IF print_commands THEN
      RAISE INFO '%', command;
    END IF;
    EXECUTE command;
  END LOOP;
  RETURN true;
END $$;

CREATE FUNCTION pg_background_revoke_privileges(role_name text, print_commands boolean DEFAULT false)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  command text;
BEGIN
  FOR command IN
    SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM %I', p.oid::regprocedure, role_name)
    FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid JOIN pg_proc AS p ON p.oid = d.objid
    WHERE e.extname = 'pg_background' AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND NOT p.prosecdef
  LOOP
    IF print_commands THEN
      RAISE INFO '%', command;
    END IF;
    EXECUTE command;
  END LOOP;
  RETURN true;
END $$;

CREATE FUNCTION pg_background_drop_executor_role()
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgbackground_role') THEN
    DROP OWNED BY pgbackground_role;
    DROP ROLE pgbackground_role;
  END IF;
END $$;

DO $$
DECLARE
  member regprocedure;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgbackground_role') THEN
    CREATE ROLE pgbackground_role NOLOGIN;
  END IF;
  FOR member IN
    SELECT d.objid::regprocedure
    FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
    WHERE e.extname = 'pg_background' AND d.deptype = 'e' AND d.classid = 'pg_catalog.pg_proc'::regclass
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', member);
  END LOOP;
  PERFORM pg_background_grant_privileges('pgbackground_role');
END $$;

GRANT SELECT ON pg_background_list, pg_background_activity TO pgbackground_role;
