-- complain if the script is sourced in psql rather than by ALTER EXTENSION
\echo Use "ALTER EXTENSION pg_background UPDATE" to load this file. \quit

-- Made by tools/update_scripts.py of pg_background--3.0.sql and extension/updates: change those.

-- What is made here calls the library that the server has loaded, which new files do not change. Only a library that
-- is not loaded at all is no reason to stop: pg_restore makes extensions on servers that are not ready for them.
DO $$
DECLARE
  needed text := '3.0';
  running text := (SELECT setting FROM pg_catalog.pg_settings
                   WHERE name OPERATOR(pg_catalog.=) 'pg_background.library_version'::text);
BEGIN
  IF running IS NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings
      WHERE name OPERATOR(pg_catalog.=) 'pg_background.max_workers'::text) THEN
    RAISE WARNING 'pg_background is not loaded: its functions will not work'
      USING HINT = 'Add pg_background to shared_preload_libraries and restart the server.';
  ELSIF running IS NULL OR pg_catalog.string_to_array(running, '.'::text)::int4[]
      OPERATOR(pg_catalog.<) pg_catalog.string_to_array(needed, '.'::text)::int4[] THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = pg_catalog.format('version %s of extension "pg_background" needs a newer library than the server runs',
                                  needed),
      DETAIL = COALESCE(pg_catalog.format('The server runs the library of version %s.', running),
                        'The server runs the library of the extension in C.'),
      HINT = 'Restart the server, which then runs the new library, and try again.';
  END IF;
END $$;

-- ---- from here to the types, and at the end, nothing is found in the extension's schema, where others may have made what
-- fits better than the server's own

SELECT pg_catalog.set_config('pg_background_update.path', pg_catalog.current_setting('search_path'), true),
  pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

-- ---- what others have made under a name of ours: before 14.5 CREATE OR REPLACE would make it part of the extension, and
-- leave it to its owner

DO $$
DECLARE
  schema regnamespace := (SELECT extnamespace FROM pg_extension WHERE extname = 'pg_background');
  planted text;
BEGIN
  SELECT string_agg(pg_describe_object(o.class, o.object, 0), ', ') INTO planted
  FROM (
    SELECT 'pg_proc'::regclass, to_regprocedure(format(signature, schema))::oid FROM unnest(ARRAY[
      '%1$s.pg_background_launch(text, int4)',
      '%1$s.pg_background_launch(text, int4, text)',
      '%1$s.pg_background_launch_v2(text, int4)',
      '%1$s.pg_background_launch_v2(text, int4, text)',
      '%1$s.pg_background_submit(text, int4)',
      '%1$s.pg_background_submit(text, int4, text)',
      '%1$s.pg_background_submit_v2(text, int4)',
      '%1$s.pg_background_submit_v2(text, int4, text)',
      '%1$s.pg_background_start(text, text[], text, int4, int4, name, bool, bool, text)',
      '%1$s.pg_background_result(int4, int8)',
      '%1$s.pg_background_result(%1$s.pg_background_handle)',
      '%1$s.pg_background_result_v2(int4, int8)',
      '%1$s.pg_background_result(anyelement, int4, int8)',
      '%1$s.pg_background_result_json(int4, int8)',
      '%1$s.pg_background_describe(int4, int8)',
      '%1$s.pg_background_wait(int4, int8, int4)',
      '%1$s.pg_background_wait(%1$s.pg_background_handle)',
      '%1$s.pg_background_wait_v2(int4, int8, int4)',
      '%1$s.pg_background_wait_v2_timeout(int4, int8, int4)',
      '%1$s.pg_background_await(int4, int8, int4, bool)',
      '%1$s.pg_background_cancel(int4, int8, int4)',
      '%1$s.pg_background_cancel(%1$s.pg_background_handle)',
      '%1$s.pg_background_cancel_v2(int4, int8, int4)',
      '%1$s.pg_background_cancel_v2_grace(int4, int8, int4)',
      '%1$s.pg_background_detach(int4, int8)',
      '%1$s.pg_background_detach(%1$s.pg_background_handle)',
      '%1$s.pg_background_detach_v2(int4, int8)',
      '%1$s.pg_background_list()',
      '%1$s.pg_background_list_v2()',
      '%1$s.pg_background_stats()',
      '%1$s.pg_background_stats_v2()',
      '%1$s.pg_background_progress(int4, text)',
      '%1$s.pg_background_progress(float8, text)',
      '%1$s.pg_background_report_progress(int4, text)',
      '%1$s.pg_background_report_progress(float8, text)',
      '%1$s.pg_background_get_progress(int4, int8)',
      '%1$s.pg_background_get_progress_v2(int4, int8)',
      '%1$s.pg_background_all_jobs()',
      '%1$s.pg_background_all_totals()',
      '%1$s.pg_background_all_histograms()',
      '%1$s.pg_background_all_resources()',
      '%1$s.pg_background_all_waits()',
      '%1$s.pg_background_all_usage()',
      '%1$s.pg_background_job_waits()',
      '%1$s.pg_background_registry()',
      '%1$s.pg_background_result_info(int4, int8)',
      '%1$s.pg_background_result_info_v2(int4, int8)',
      '%1$s.pg_background_error_info(int4, int8)',
      '%1$s.pg_background_error_info_v2(int4, int8)',
      '%1$s.pg_background_full_sql(int4, int8)',
      '%1$s.pg_background_full_sql_v2(int4, int8)',
      '%1$s.pg_background_outcome(int4, int8)',
      '%1$s.pg_background_outcome_v2(int4, int8)',
      '%1$s.pg_background_run(text, int4, int4, text)',
      '%1$s.pg_background_run_v2(text, int4, int4, text)',
      '%1$s.pg_background_run_query(text, int4, int4, text, text)',
      '%1$s.pg_background_run_query_v2(text, int4, int4, text, text)',
      '%1$s.pg_background_wait_any(%1$s.pg_background_handle[], int4)',
      '%1$s.pg_background_wait_any_v2(%1$s.pg_background_handle[], int4)',
      '%1$s.pg_background_drain(%1$s.pg_background_handle[], int4)',
      '%1$s.pg_background_drain_v2(%1$s.pg_background_handle[], int4)',
      '%1$s.pg_background_cancel_all()',
      '%1$s.pg_background_cancel_all_v2()',
      '%1$s.pg_background_detach_all()',
      '%1$s.pg_background_detach_all_v2()',
      '%1$s.pg_background_purge()',
      '%1$s.pg_background_purge_v2()',
      '%1$s.pg_background_cancel_by_label(text, int4)',
      '%1$s.pg_background_cancel_by_label_v2(text, int4)',
      '%1$s.pg_background_worker_pid(int4, int8)',
      '%1$s.pg_background_pid(%1$s.pg_background_handle)',
      '%1$s.pg_background_result(int4)',
      '%1$s.pg_background_detach(int4)',
      '%1$s.pg_background_drain_server(int4)',
      '%1$s.pg_background_resume_server()',
      '%1$s.pg_background_change_privileges(text, text, bool)',
      '%1$s.pg_background_grant_privileges(text, bool)',
      '%1$s.pg_background_revoke_privileges(text, bool)',
      '%1$s.grant_pg_background_privileges(text, bool)',
      '%1$s.revoke_pg_background_privileges(text, bool)',
      '%1$s.pg_background_drop_executor_role()'
    ]) AS signature
    UNION ALL
    SELECT 'pg_proc'::regclass, to_regprocedure(format(signature, schema))::oid FROM unnest(ARRAY[
      '%1$s.pg_background_result_v2(int4, text)',
      '%1$s.pg_background_wait_v2(int4, text, int4)',
      '%1$s.pg_background_wait_v2_timeout(int4, text, int4)',
      '%1$s.pg_background_cancel_v2(int4, text, int4)',
      '%1$s.pg_background_cancel_v2_grace(int4, text, int4)',
      '%1$s.pg_background_detach_v2(int4, text)',
      '%1$s.pg_background_get_progress_v2(int4, text)',
      '%1$s.pg_background_result_info_v2(int4, text)',
      '%1$s.pg_background_error_info_v2(int4, text)',
      '%1$s.pg_background_full_sql_v2(int4, text)',
      '%1$s.pg_background_outcome_v2(int4, text)'
    ]::text[]) AS signature
    WHERE current_setting('server_version_num')::int4 < 160000
    UNION ALL
    SELECT 'pg_class'::regclass, to_regclass(format(name, schema))::oid FROM unnest(ARRAY['%s.pg_background_activity', '%s.pg_background_list']::text[]) AS name
  ) AS o (class, object)
  WHERE o.object IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
    WHERE d.classid = o.class AND d.objid = o.object AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND e.extname = 'pg_background');
  IF planted IS NOT NULL THEN
    RAISE duplicate_object USING
      MESSAGE = format('in the way of extension "pg_background": %s', planted),
      HINT = 'See who has made it and what uses it, rename or drop it, and update again.';
  END IF;
END $$;

-- ---- who has which privilege on what is there, for the end of this script

SELECT set_config('pg_background_update.before', jsonb_agg(to_jsonb(member))::text, true)
FROM (
  SELECT d.classid AS class, d.objid AS object, COALESCE(p.proname, c.relname, t.typname) AS name,
    COALESCE('ROUTINE ' || p.oid::regprocedure, 'TABLE ' || c.oid::regclass, 'TYPE ' || t.oid::regtype) AS target,
    COALESCE(p.proowner, c.relowner, t.typowner) AS owner,
    COALESCE(p.proacl, c.relacl, t.typacl,
             acldefault(CASE d.classid WHEN 'pg_proc'::regclass THEN "char" 'f' WHEN 'pg_class'::regclass THEN 'r'
                        ELSE 'T' END, COALESCE(p.proowner, c.relowner, t.typowner))) AS acl,
    i.initprivs AS initial
  FROM pg_depend AS d
  JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'pg_background'
  LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
  LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
  LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
  LEFT JOIN pg_init_privs AS i ON i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND COALESCE(p.oid, c.oid, t.oid) IS NOT NULL
) AS member;

-- ---- what can't be replaced: dropped, or, where something depends on it, left to its users under another name

DO $$
DECLARE
  together jsonb;
  old record;
  users text;
  new_name text;
  schema regnamespace := (SELECT extnamespace FROM pg_extension WHERE extname = 'pg_background');
BEGIN
  -- for the notices: an extension's script runs with warnings only
  IF current_setting('client_min_messages') = 'warning' THEN
    PERFORM set_config('client_min_messages', 'notice', true);
  END IF;
  FOR together IN
    -- what goes or stays together, each before what it depends on
    SELECT objects FROM (VALUES
      (jsonb '[{"name": "pg_background_record_timeout", "arguments": "()", "kind": "FUNCTION"}]')
    ) AS replaced (objects)
  LOOP
    users := NULL;
    BEGIN
      FOR old IN SELECT * FROM jsonb_to_recordset(together) AS o (kind text, name text, arguments text) LOOP
        DECLARE
          found text;
        BEGIN
          EXECUTE format('DROP %s %s.%s%s', old.kind, schema, old.name, old.arguments);
        EXCEPTION WHEN dependent_objects_still_exist THEN
          GET STACKED DIAGNOSTICS found = PG_EXCEPTION_DETAIL;
          users := concat_ws(E'\n', users, found);
        END;
      END LOOP;
      IF users IS NOT NULL THEN
        RAISE dependent_objects_still_exist;
      END IF;
    EXCEPTION WHEN dependent_objects_still_exist THEN
      FOR old IN SELECT * FROM jsonb_to_recordset(together) AS o (kind text, name text, arguments text) LOOP
        new_name := old.name || '_2_0';
        EXECUTE format('ALTER EXTENSION pg_background DROP %s %s.%s%s', old.kind, schema, old.name, old.arguments);
        EXECUTE format('ALTER %s %s.%s%s RENAME TO %I', old.kind, schema, old.name, old.arguments, new_name);
        RAISE NOTICE '% is kept as %, since something depends on it',
          lower(old.kind) || ' ' || old.name || old.arguments, new_name
          USING DETAIL = users,
                HINT = format('When nothing does any more: DROP %s %s%s', old.kind, new_name, old.arguments);
      END LOOP;
    END;
  END LOOP;
  IF current_setting('client_min_messages') = 'notice' THEN
    PERFORM set_config('client_min_messages', 'warning', true);
  END IF;
END $$;

SELECT set_config('search_path', current_setting('pg_background_update.path'), true);

-- ---- types

-- ---- launch, submit

CREATE OR REPLACE FUNCTION pg_background_launch(sql text, queue_size int4 DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_launch' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_launch(sql text, queue_size int4, label text)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_launch' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_launch_v2(sql text, queue_size int4 DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_launch' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_launch_v2(sql text, queue_size int4, label text)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_launch' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_submit(sql text, queue_size int4 DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_submit' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_submit(sql text, queue_size int4, label text)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_submit' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_submit_v2(sql text, queue_size int4 DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_submit' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_submit_v2(sql text, queue_size int4, label text)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_submit' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_start(
  sql text, params text[] DEFAULT NULL, label text DEFAULT NULL, queue_size int4 DEFAULT 0, timeout_ms int4 DEFAULT 0,
  database name DEFAULT NULL, each_statement bool DEFAULT false, discard_result bool DEFAULT false,
  on_full text DEFAULT 'error')
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_start' LANGUAGE C VOLATILE PARALLEL UNSAFE;

-- ---- result

CREATE OR REPLACE FUNCTION pg_background_result(pid int4, cookie int8)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_result' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_result(handle pg_background_handle)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_result' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_result_v2(pid int4, cookie int8)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_result' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- the type stands for the column list; not strict, as its value is mostly a NULL
CREATE OR REPLACE FUNCTION pg_background_result("type" anyelement, pid int4, cookie int8)
RETURNS SETOF anyelement AS 'MODULE_PATHNAME', 'pgbg_result_typed' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_result_json(pid int4, cookie int8)
RETURNS SETOF json AS 'MODULE_PATHNAME', 'pgbg_result_json' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_describe(pid int4, cookie int8)
RETURNS TABLE (ordinal int4, name text, type regtype, type_name text)
AS 'MODULE_PATHNAME', 'pgbg_describe' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- ---- wait

CREATE OR REPLACE FUNCTION pg_background_wait(pid int4, cookie int8, timeout_ms int4 DEFAULT 0)
RETURNS bool AS 'MODULE_PATHNAME', 'pgbg_wait' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_wait(handle pg_background_handle)
RETURNS bool AS 'MODULE_PATHNAME', 'pgbg_wait' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_wait_v2(pid int4, cookie int8, timeout_ms int4 DEFAULT 0)
RETURNS bool AS 'MODULE_PATHNAME', 'pgbg_wait' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_wait_v2_timeout(pid int4, cookie int8, timeout_ms int4)
RETURNS bool AS 'MODULE_PATHNAME', 'pgbg_wait_timeout' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- waits without a snapshot, as a function cannot: for CREATE INDEX CONCURRENTLY and the like
CREATE OR REPLACE PROCEDURE pg_background_await(pid int4, cookie int8, timeout_ms int4 DEFAULT 0, INOUT finished bool DEFAULT NULL)
AS 'MODULE_PATHNAME', 'pgbg_await' LANGUAGE C;

-- ---- cancel, detach

CREATE OR REPLACE FUNCTION pg_background_cancel(pid int4, cookie int8, grace_ms int4 DEFAULT 0)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_cancel' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_cancel(handle pg_background_handle)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_cancel' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_cancel_v2(pid int4, cookie int8, grace_ms int4 DEFAULT 0)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_cancel' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_cancel_v2_grace(pid int4, cookie int8, grace_ms int4)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_cancel' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_detach(pid int4, cookie int8)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_detach' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_detach(handle pg_background_handle)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_detach' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_detach_v2(pid int4, cookie int8)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_detach' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- ---- list, stats, progress, registry

CREATE OR REPLACE FUNCTION pg_background_list()
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_list' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_list_v2()
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_list' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE VIEW pg_background_list AS
SELECT pid, cookie, launched_at, user_id, queue_size, state, sql_preview, last_error, consumed, label
FROM pg_background_list() AS (
  pid int4, cookie int8, launched_at timestamptz, user_id oid, queue_size int4, state text, sql_preview text,
  last_error text, consumed bool, label text);

CREATE OR REPLACE FUNCTION pg_background_stats()
RETURNS pg_background_stats AS 'MODULE_PATHNAME', 'pgbg_stats' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_stats_v2()
RETURNS pg_background_stats AS 'MODULE_PATHNAME', 'pgbg_stats' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_progress(pct int4, msg text DEFAULT NULL)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_report_progress' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_progress(pct float8, msg text DEFAULT NULL)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_report_progress' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_report_progress(pct int4, msg text DEFAULT NULL)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_report_progress' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_report_progress(pct float8, msg text DEFAULT NULL)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_report_progress' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_get_progress(pid int4, cookie int8)
RETURNS pg_background_progress_info AS 'MODULE_PATHNAME', 'pgbg_get_progress'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_get_progress_v2(pid int4, cookie int8)
RETURNS pg_background_progress_info AS 'MODULE_PATHNAME', 'pgbg_get_progress'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- ---- all jobs of the server

CREATE OR REPLACE FUNCTION pg_background_all_jobs(
  OUT pid int4, OUT cookie int8, OUT worker_pid int4, OUT database oid, OUT role oid, OUT label text, OUT state text,
  OUT queued_at timestamptz, OUT started_at timestamptz, OUT finished_at timestamptz, OUT row_count int8,
  OUT command_tag text, OUT sqlstate text, OUT error_message text, OUT sql_preview text, OUT progress_pct int4,
  OUT progress_msg text, OUT result_bytes int8, OUT temp_bytes int8)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_jobs' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE VIEW pg_background_jobs AS
SELECT j.pid, j.cookie, j.worker_pid, d.datname AS database, r.rolname AS role, j.label, j.state,
       j.queued_at, j.started_at, j.finished_at, j.row_count, j.command_tag, j.sqlstate, j.error_message,
       j.sql_preview, j.progress_pct, j.progress_msg, a.wait_event_type, a.wait_event,
       CASE WHEN a.wait_event_type = 'Lock' THEN pg_catalog.pg_blocking_pids(j.worker_pid)
            WHEN j.state IS NOT NULL THEN '{}' END AS blocked_by,
       j.result_bytes, j.temp_bytes
FROM pg_background_all_jobs() AS j
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = j.database
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = j.role
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = j.worker_pid
ORDER BY j.queued_at, j.pid;

CREATE OR REPLACE FUNCTION pg_background_all_totals(
  OUT database oid, OUT role oid, OUT launched int8, OUT completed int8, OUT failed int8, OUT canceled int8,
  OUT timed_out int8, OUT lost int8, OUT execution_ms float8, OUT queue_ms float8, OUT since timestamptz,
  OUT cpu_user_ms float8, OUT cpu_system_ms float8, OUT shared_blks_hit int8, OUT shared_blks_read int8, OUT
  shared_blks_dirtied int8, OUT shared_blks_written int8, OUT temp_blks_read int8, OUT temp_blks_written int8, OUT
  blk_read_ms float8, OUT blk_write_ms float8, OUT wal_records int8, OUT wal_fpi int8, OUT wal_bytes int8)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_totals' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE VIEW pg_background_totals AS
SELECT d.datname AS database, r.rolname AS role, t.launched, t.completed, t.failed, t.canceled, t.timed_out, t.lost,
       t.execution_ms, t.queue_ms, t.since,
       t.cpu_user_ms, t.cpu_system_ms, t.shared_blks_hit, t.shared_blks_read, t.shared_blks_dirtied,
       t.shared_blks_written, t.temp_blks_read, t.temp_blks_written, t.blk_read_ms, t.blk_write_ms, t.wal_records,
       t.wal_fpi, t.wal_bytes
FROM pg_background_all_totals() AS t
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = t.database
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = t.role;

CREATE OR REPLACE FUNCTION pg_background_all_histograms(
  OUT database oid, OUT role oid, OUT metric text, OUT le float8, OUT jobs int8)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_histograms' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE VIEW pg_background_histograms AS
SELECT d.datname AS database, r.rolname AS role, h.metric, h.le, h.jobs
FROM pg_background_all_histograms() AS h
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = h.database
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = h.role;

CREATE OR REPLACE FUNCTION pg_background_all_resources(
  OUT pid int4, OUT cookie int8, OUT database oid, OUT role oid, OUT label text, OUT state text,
  OUT cpu_user_ms float8, OUT cpu_system_ms float8, OUT shared_blks_hit int8, OUT shared_blks_read int8, OUT
  shared_blks_dirtied int8, OUT shared_blks_written int8, OUT temp_blks_read int8, OUT temp_blks_written int8, OUT
  blk_read_ms float8, OUT blk_write_ms float8, OUT wal_records int8, OUT wal_fpi int8, OUT wal_bytes int8)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_resources' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE VIEW pg_background_resources AS
SELECT t.pid, t.cookie, d.datname AS database, r.rolname AS role, t.label, t.state,
       t.cpu_user_ms, t.cpu_system_ms, t.shared_blks_hit, t.shared_blks_read, t.shared_blks_dirtied,
       t.shared_blks_written, t.temp_blks_read, t.temp_blks_written, t.blk_read_ms, t.blk_write_ms, t.wal_records,
       t.wal_fpi, t.wal_bytes
FROM pg_background_all_resources() AS t
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = t.database
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = t.role;

CREATE OR REPLACE FUNCTION pg_background_all_waits(
  OUT pid int4, OUT cookie int8, OUT wait_event_type text, OUT wait_event text, OUT samples int8)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_waits' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE VIEW pg_background_waits AS
SELECT w.pid, w.cookie, w.wait_event_type, w.wait_event, w.samples FROM pg_background_all_waits() AS w;

CREATE OR REPLACE FUNCTION pg_background_all_usage(
  OUT kind text, OUT owner oid, OUT jobs int4, OUT max_jobs int4, OUT workers int4, OUT max_workers int4,
  OUT queued int4, OUT memory_bytes int8, OUT max_memory_bytes int8, OUT result_bytes int8, OUT max_result_bytes int8)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_usage' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE VIEW pg_background_usage AS
SELECT u.kind, COALESCE(d.datname, r.rolname) AS name, u.jobs, u.max_jobs, u.workers, u.max_workers, u.queued,
       u.memory_bytes, u.max_memory_bytes, u.result_bytes, u.max_result_bytes
FROM pg_background_all_usage() AS u
LEFT JOIN pg_catalog.pg_database AS d ON u.kind = 'database'::text AND d.oid = u.owner
LEFT JOIN pg_catalog.pg_roles AS r ON u.kind = 'role'::text AND r.oid = u.owner;

-- ---- jobs that have ended, where pg_background.history keeps them

-- Not for dumps: the roles would be others where they are restored.
CREATE TABLE pg_background_history_rows (
  id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, role_oid oid NOT NULL, role name, label text, state text NOT NULL,
  queued_at timestamptz, started_at timestamptz, finished_at timestamptz NOT NULL, row_count int8, command_tag text,
  sqlstate text, error_message text, sql_preview text, traceparent text,
  cpu_user_ms float8, cpu_system_ms float8, shared_blks_hit int8, shared_blks_read int8, shared_blks_dirtied int8,
  shared_blks_written int8, temp_blks_read int8, temp_blks_written int8, blk_read_ms float8, blk_write_ms float8,
  wal_records int8, wal_fpi int8, wal_bytes int8,
  waits jsonb);

CREATE INDEX pg_background_history_finished_at ON pg_background_history_rows (finished_at);

CREATE VIEW pg_background_history WITH (security_barrier = true) AS
SELECT h.id, pg_catalog.current_database() AS database, COALESCE(r.rolname, h.role) AS role, h.label, h.state,
       h.queued_at, h.started_at, h.finished_at, h.row_count, h.command_tag, h.sqlstate,
       CASE WHEN pg_catalog.pg_has_role(h.role_oid, 'USAGE'::text) THEN h.error_message END AS error_message,
       h.sql_preview, h.traceparent,
       h.cpu_user_ms, h.cpu_system_ms, h.shared_blks_hit, h.shared_blks_read, h.shared_blks_dirtied,
       h.shared_blks_written, h.temp_blks_read, h.temp_blks_written, h.blk_read_ms, h.blk_write_ms, h.wal_records,
       h.wal_fpi, h.wal_bytes, h.waits
FROM pg_background_history_rows AS h
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = h.role_oid
WHERE pg_catalog.pg_has_role(h.role_oid, 'USAGE'::text)
   OR pg_catalog.pg_has_role('pg_read_all_stats'::name, 'USAGE'::text);

-- for other nodes of a cluster: which of its sessions wait for jobs here
CREATE OR REPLACE FUNCTION pg_background_job_waits(OUT waiter int8, OUT worker_pid int4, OUT needs_all bool)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_job_waits' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_registry(
  OUT entries int4, OUT live int4, OUT unread int4, OUT idle_workers int4, OUT busy_workers int4,
  OUT area_bytes int8, OUT spill_bytes int8)
RETURNS record AS 'MODULE_PATHNAME', 'pgbg_registry' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- ---- what is known of one job

CREATE OR REPLACE FUNCTION pg_background_result_info(pid int4, cookie int8)
RETURNS pg_background_result_info AS 'MODULE_PATHNAME', 'pgbg_result_info' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_result_info_v2(pid int4, cookie int8)
RETURNS pg_background_result_info AS 'MODULE_PATHNAME', 'pgbg_result_info' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_error_info(pid int4, cookie int8)
RETURNS pg_background_error AS 'MODULE_PATHNAME', 'pgbg_error_info' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_error_info_v2(pid int4, cookie int8)
RETURNS pg_background_error AS 'MODULE_PATHNAME', 'pgbg_error_info' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_full_sql(pid int4, cookie int8)
RETURNS text AS 'MODULE_PATHNAME', 'pgbg_full_sql' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_full_sql_v2(pid int4, cookie int8)
RETURNS text AS 'MODULE_PATHNAME', 'pgbg_full_sql' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_outcome(p_pid int4, p_cookie int8)
RETURNS pg_background_outcome AS 'MODULE_PATHNAME', 'pgbg_outcome' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_outcome_v2(p_pid int4, p_cookie int8)
RETURNS pg_background_outcome AS 'MODULE_PATHNAME', 'pgbg_outcome' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- ---- launch, wait and forget in one call

CREATE OR REPLACE FUNCTION pg_background_run(
  sql text, queue_size int4 DEFAULT 0, timeout_ms int4 DEFAULT 0, label text DEFAULT NULL)
RETURNS pg_background_run_result AS 'MODULE_PATHNAME', 'pgbg_run' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_run_v2(
  sql text, queue_size int4 DEFAULT 0, timeout_ms int4 DEFAULT 0, label text DEFAULT NULL)
RETURNS pg_background_run_result AS 'MODULE_PATHNAME', 'pgbg_run' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_run_query(
  sql text, queue_size int4 DEFAULT 0, timeout_ms int4 DEFAULT 0, label text DEFAULT NULL, col_def text DEFAULT NULL)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_run_query' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_run_query_v2(
  sql text, queue_size int4 DEFAULT 0, timeout_ms int4 DEFAULT 0, label text DEFAULT NULL, col_def text DEFAULT NULL)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_run_query' LANGUAGE C VOLATILE PARALLEL UNSAFE;

-- ---- several jobs

CREATE OR REPLACE FUNCTION pg_background_wait_any(handles pg_background_handle[], timeout_ms int4 DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_wait_any' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_wait_any_v2(handles pg_background_handle[], timeout_ms int4 DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pgbg_wait_any' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_drain(handles pg_background_handle[], timeout_ms int4 DEFAULT 0)
RETURNS SETOF pg_background_outcome AS 'MODULE_PATHNAME', 'pgbg_drain' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_drain_v2(handles pg_background_handle[], timeout_ms int4 DEFAULT 0)
RETURNS SETOF pg_background_outcome AS 'MODULE_PATHNAME', 'pgbg_drain' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_cancel_all()
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_cancel_all' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_cancel_all_v2()
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_cancel_all' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_detach_all()
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_detach_all' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_detach_all_v2()
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_detach_all' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_purge()
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_purge' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_purge_v2()
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_purge' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_cancel_by_label(pattern text, grace_ms int4 DEFAULT 0)
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_cancel_by_label' LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_cancel_by_label_v2(pattern text, grace_ms int4 DEFAULT 0)
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_cancel_by_label' LANGUAGE C VOLATILE PARALLEL UNSAFE;

-- ---- what the process of a running job does

CREATE OR REPLACE FUNCTION pg_background_worker_pid(pid int4, cookie int8)
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_worker_pid' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- The process may run another job by the time that it is looked at: so it must run this one before and after that, and
-- an activity that the transaction has looked at earlier must not be older than the job. No process has the pid 0.
-- The server's function has other columns in each major version. In FROM the view would list them all by name, which
-- pg_upgrade could not restore; a value of it is taken apart by name.
CREATE OR REPLACE VIEW pg_background_activity AS
SELECT l.pid, l.cookie, l.launched_at, l.user_id, l.queue_size, l.state AS pgbg_state, l.sql_preview, l.last_error,
  l.consumed, l.label, (a.of_pid).state AS backend_state, (a.of_pid).wait_event_type, (a.of_pid).wait_event,
  (a.of_pid).xact_start, (a.of_pid).query_start, (a.of_pid).backend_start, (a.of_pid).query
FROM pg_background_list AS l
CROSS JOIN LATERAL (SELECT pg_background_worker_pid(l.pid, l.cookie) AS pid OFFSET 0) AS w
LEFT JOIN LATERAL (SELECT pg_catalog.pg_stat_get_activity(COALESCE(w.pid, 0)) AS of_pid OFFSET 0) AS a
  ON (a.of_pid).query_start >= l.launched_at AND pg_background_worker_pid(l.pid, l.cookie) = w.pid;

-- ---- callers that know a job by its pid alone

CREATE OR REPLACE FUNCTION pg_background_pid(handle pg_background_handle)
RETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_pid' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE CAST (pg_background_handle AS int4) WITH FUNCTION pg_background_pid(pg_background_handle) AS ASSIGNMENT;

CREATE OR REPLACE FUNCTION pg_background_result(pid int4)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pgbg_result' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_detach(pid int4)
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_detach' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- ---- before a restart

CREATE OR REPLACE FUNCTION pg_background_drain_server(timeout_ms int4)
RETURNS TABLE (finished int4, canceled int4, running int4)
AS 'MODULE_PATHNAME', 'pgbg_drain_server' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION pg_background_resume_server()
RETURNS void AS 'MODULE_PATHNAME', 'pgbg_resume_server' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- ---- before 16 int8 does not read hexadecimal: there the _v2 functions take cookies as text too

DO $$
DECLARE
  declaration text;
BEGIN
  IF pg_catalog.current_setting('server_version_num')::int4 >= 160000 THEN
    RETURN;
  END IF;
  FOREACH declaration IN ARRAY ARRAY[
    'pg_background_result_v2(pid int4, cookie text) RETURNS SETOF record|pgbg_result',
    'pg_background_wait_v2(pid int4, cookie text, timeout_ms int4 DEFAULT 0) RETURNS bool|pgbg_wait',
    'pg_background_wait_v2_timeout(pid int4, cookie text, timeout_ms int4) RETURNS bool|pgbg_wait_timeout',
    'pg_background_cancel_v2(pid int4, cookie text, grace_ms int4 DEFAULT 0) RETURNS void|pgbg_cancel',
    'pg_background_cancel_v2_grace(pid int4, cookie text, grace_ms int4) RETURNS void|pgbg_cancel',
    'pg_background_detach_v2(pid int4, cookie text) RETURNS void|pgbg_detach',
    'pg_background_get_progress_v2(pid int4, cookie text) RETURNS pg_background_progress_info|pgbg_get_progress',
    'pg_background_result_info_v2(pid int4, cookie text) RETURNS pg_background_result_info|pgbg_result_info',
    'pg_background_error_info_v2(pid int4, cookie text) RETURNS pg_background_error|pgbg_error_info',
    'pg_background_full_sql_v2(pid int4, cookie text) RETURNS text|pgbg_full_sql',
    'pg_background_outcome_v2(p_pid int4, p_cookie text) RETURNS pg_background_outcome|pgbg_outcome']
  LOOP
    EXECUTE pg_catalog.format(
      'CREATE OR REPLACE FUNCTION %s AS ''MODULE_PATHNAME'', %L LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE',
      pg_catalog.split_part(declaration, '|', 1), pg_catalog.split_part(declaration, '|', 2));
  END LOOP;
END $$;

-- ---- privileges

-- Names the extension's own functions, whichever the version of the server made it create, with the server's own
-- quoting: outside of search_path they come with their schema.
CREATE OR REPLACE FUNCTION pg_background_change_privileges(verb text, role_name text, print_commands bool)
RETURNS bool LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  preposition text := CASE verb WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END;
  command text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
    RAISE NOTICE 'role "%" does not exist', role_name;
    RETURN false;
  END IF;
  FOR command IN
    SELECT format('%s %s %s %I', verb, target, preposition, role_name)
    FROM pg_extension AS e
    JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
    LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
      -- these are for superusers and those whom they name
      AND p.proname !~ '^pg_background_(registry|drain_server|resume_server)$'
      AND p.proname !~ '(_privileges|_executor_role)$'
    LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind = 'v'
    CROSS JOIN LATERAL COALESCE('EXECUTE ON ROUTINE ' || p.oid::regprocedure, 'SELECT ON ' || c.oid::regclass) AS target
    WHERE e.extname = 'pg_background' AND target IS NOT NULL
    ORDER BY target
  LOOP
    IF print_commands THEN
      RAISE INFO '%', command;
    END IF;
    EXECUTE command;
  END LOOP;
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION pg_background_grant_privileges(role_name text, print_commands bool DEFAULT false)
RETURNS bool LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_background_change_privileges('GRANT'::text, role_name, print_commands);
END;

CREATE OR REPLACE FUNCTION pg_background_revoke_privileges(role_name text, print_commands bool DEFAULT false)
RETURNS bool LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_background_change_privileges('REVOKE'::text, role_name, print_commands);
END;

CREATE OR REPLACE FUNCTION grant_pg_background_privileges(role_name text, print_commands bool DEFAULT false)
RETURNS bool LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_background_change_privileges('GRANT'::text, role_name, print_commands);
END;

CREATE OR REPLACE FUNCTION revoke_pg_background_privileges(role_name text, print_commands bool DEFAULT false)
RETURNS bool LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_background_change_privileges('REVOKE'::text, role_name, print_commands);
END;

-- What it owns, and what it holds in other databases, keeps it: the error names them.
CREATE OR REPLACE FUNCTION pg_background_drop_executor_role()
RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgbackground_role') THEN
    RAISE NOTICE 'role "pgbackground_role" does not exist, skipping';
    RETURN;
  END IF;
  IF NOT EXISTS (
    SELECT FROM pg_shdepend
    WHERE refclassid = 'pg_authid'::regclass AND refobjid = 'pgbackground_role'::regrole AND deptype = 'o'
  ) THEN
    -- its privileges in this database, those of pg_init_privs among them
    DROP OWNED BY pgbackground_role;
  END IF;
  DROP ROLE pgbackground_role;
END $$;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgbackground_role') THEN
    CREATE ROLE pgbackground_role NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
  END IF;
END $$;

-- nothing for PUBLIC, and nothing for a pgbackground_role that was found but is not as it is made here. The role may come
-- from a dump or serve another database too, so its members are no matter; but who has made it without being a superuser,
-- or may grant it by a grant of such, would have more than the administrator knows.
DO $$
DECLARE
  member regprocedure;
  objection text;
  path text := pg_catalog.current_setting('search_path');
BEGIN
  -- in the schema of the extension others may have made operators that fit better than the server's own
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  FOR member IN
    SELECT d.objid::regprocedure
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.classid = 'pg_catalog.pg_proc'::regclass
      AND d.deptype = 'e' AND e.extname = 'pg_background'
  LOOP
    EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', member);
  END LOOP;
  SELECT CASE
      WHEN r.rolcanlogin THEN 'It can log in.'
      WHEN r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls
        THEN 'It is more than a group.'
      ELSE 'Roles that are no superusers may grant it: ' || (
        SELECT string_agg(a.rolname, ', ' ORDER BY a.rolname)
        FROM pg_auth_members AS m
        JOIN pg_roles AS a ON a.oid = m.member AND NOT a.rolsuper
        LEFT JOIN pg_roles AS g ON g.oid = m.grantor
        -- from 16 on the server gives who creates a role this much of it, in the name of the first superuser
        WHERE m.roleid = r.oid AND m.admin_option AND (g.rolsuper IS NOT TRUE
          OR NOT (to_jsonb(m) ->> 'inherit_option')::bool AND NOT (to_jsonb(m) ->> 'set_option')::bool)) || '.'
    END INTO objection
  FROM pg_roles AS r
  WHERE r.rolname = 'pgbackground_role';
  PERFORM set_config('search_path', path, true);
  IF objection IS NULL THEN
    PERFORM pg_background_grant_privileges('pgbackground_role'::text, false);
  ELSE
    RAISE WARNING 'role "pgbackground_role" already exists and gets no privileges' USING
      DETAIL = objection,
      HINT = 'Drop the role and create the extension again, or, if the role is to have them all the same, '
             'SELECT pg_background_grant_privileges(''pgbackground_role'');';
  END IF;
END $$;

GRANT EXECUTE ON FUNCTION pg_background_registry() TO pg_monitor;

-- who may look at all sessions in pg_stat_activity may look at all jobs
GRANT SELECT ON pg_background_jobs, pg_background_totals, pg_background_histograms, pg_background_resources,
  pg_background_waits, pg_background_history, pg_background_usage TO pg_read_all_stats;
GRANT EXECUTE ON FUNCTION pg_background_all_jobs(), pg_background_all_totals(), pg_background_all_histograms(),
  pg_background_all_resources(), pg_background_all_waits(), pg_background_all_usage() TO pg_read_all_stats;

-- who may cancel the jobs of others may do that to all of them, and detach those that nobody reads
GRANT EXECUTE ON FUNCTION pg_background_drain_server(int4), pg_background_resume_server() TO pg_signal_backend;

-- ---- privileges: what was there has those that it had, and what is new under an old name those of that

-- pg_dump leaves out what pg_init_privs has, as CREATE EXTENSION grants that anyway: so what an administrator has granted
-- must not be in it.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

DO $$
DECLARE
  member record;
  command text;
BEGIN
  FOR member IN
    WITH before AS (
      SELECT * FROM jsonb_to_recordset(current_setting('pg_background_update.before')::jsonb)
        AS b (class oid, object oid, name text, acl aclitem[], owner oid, initial aclitem[])
    ), present AS (
      SELECT d.classid AS class, d.objid AS object, COALESCE(p.proname, c.relname, t.typname) AS name,
        COALESCE('ROUTINE ' || p.oid::regprocedure, 'TABLE ' || c.oid::regclass, 'TYPE ' || t.oid::regtype) AS target,
        COALESCE(p.proowner, c.relowner, t.typowner) AS owner,
        COALESCE(p.proacl, c.relacl, t.typacl,
                 acldefault(CASE d.classid WHEN 'pg_proc'::regclass THEN "char" 'f' WHEN 'pg_class'::regclass THEN 'r'
                            ELSE 'T' END, COALESCE(p.proowner, c.relowner, t.typowner))) AS acl,
        i.initprivs AS initial
      FROM pg_depend AS d
      JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'pg_background'
      LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
      LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
      LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
      LEFT JOIN pg_init_privs AS i ON i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0
      WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND COALESCE(p.oid, c.oid, t.oid) IS NOT NULL
    ), source AS (
      -- Itself, else all of the same name. Old callers reach two that have no old name through a cast and a view.
      SELECT p.class, p.object, b.acl, b.owner, b.initial, b.object = p.object AS is_same
      FROM present AS p
      JOIN before AS b ON b.class = p.class AND CASE
        WHEN EXISTS (SELECT FROM before AS o WHERE o.class = p.class AND o.object = p.object) THEN b.object = p.object
        ELSE b.name = CASE p.name WHEN 'pg_background_pid' THEN 'pg_background_launch'
                                  WHEN 'pg_background_worker_pid' THEN 'pg_background_list' ELSE p.name END END
    )
    SELECT p.class, p.object, p.target, p.owner, p.acl,
      CASE WHEN s.is_same THEN s.initial ELSE p.initial END AS initial,
      (SELECT jsonb_agg(jsonb_build_object('grantee', a.grantee, 'privilege', a.privilege_type,
                                           'grantable', a.is_grantable))
       FROM source AS t, aclexplode(t.acl) AS a
       WHERE t.class = p.class AND t.object = p.object AND a.grantee <> t.owner) AS wanted
    FROM present AS p
    CROSS JOIN LATERAL (SELECT * FROM source AS f WHERE f.class = p.class AND f.object = p.object LIMIT 1) AS s
  LOOP
    FOR command IN
      WITH wanted AS (
        SELECT grantee, privilege, bool_or(grantable) AS grantable
        FROM jsonb_to_recordset(member.wanted) AS w (grantee oid, privilege text, grantable bool)
        WHERE grantee <> member.owner GROUP BY grantee, privilege
      ), present AS (
        SELECT grantee, privilege_type AS privilege, bool_or(is_grantable) AS grantable
        FROM aclexplode(member.acl) WHERE grantee <> member.owner GROUP BY grantee, privilege_type
      )
      SELECT format(CASE WHEN w.grantee IS NULL THEN 'REVOKE %s ON %s FROM %s'
                         WHEN w.grantable THEN 'GRANT %s ON %s TO %s WITH GRANT OPTION'
                         ELSE 'GRANT %s ON %s TO %s' END,
                    privilege, member.target, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
      FROM wanted AS w FULL JOIN present AS p USING (grantee, privilege)
      WHERE w.grantee IS NULL OR p.grantee IS NULL OR w.grantable AND NOT p.grantable
    LOOP
      EXECUTE command;
    END LOOP;
    DELETE FROM pg_init_privs WHERE classoid = member.class AND objoid = member.object AND objsubid = 0;
    IF member.initial IS NOT NULL THEN
      INSERT INTO pg_init_privs (objoid, classoid, objsubid, privtype, initprivs)
      VALUES (member.object, member.class, 0, 'e', member.initial);
    END IF;
    -- from 17 on the roles in it can't be dropped
    DELETE FROM pg_shdepend AS d
    WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND d.classid = member.class AND d.objid = member.object AND d.deptype = 'i'
      AND NOT EXISTS (SELECT FROM aclexplode(member.initial) AS a WHERE d.refobjid IN (a.grantee, a.grantor));
  END LOOP;
END $$;
