-- The catalogue of version 1.8 of the C extension as a server has it that is to switch: for tests only. The bodies are our own.

CREATE TYPE pg_background_handle AS (pid integer, cookie bigint);

CREATE TYPE pg_background_progress AS (progress_pct integer, progress_msg text);

CREATE TYPE pg_background_stats AS (
  workers_launched bigint, workers_completed bigint, workers_failed bigint, workers_canceled bigint,
  workers_active integer, avg_execution_ms double precision, max_workers integer);

CREATE FUNCTION pg_background_launch(sql text, queue_size integer DEFAULT 0)
RETURNS integer AS 'MODULE_PATHNAME', 'pg_background_launch' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_launch_v2(sql text, queue_size integer DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_launch_v2' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_submit_v2(sql text, queue_size integer DEFAULT 0)
RETURNS pg_background_handle AS 'MODULE_PATHNAME', 'pg_background_submit_v2' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_result(pid integer)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pg_background_result' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_result_v2(pid integer, cookie bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pg_background_result_v2' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_wait_v2(pid integer, cookie bigint)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_wait_v2' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_wait_v2_timeout(pid integer, cookie bigint, timeout_ms integer)
RETURNS boolean AS 'MODULE_PATHNAME', 'pg_background_wait_v2_timeout' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_cancel_v2(pid integer, cookie bigint)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_cancel_v2' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_cancel_v2_grace(pid integer, cookie bigint, grace_ms integer)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_cancel_v2_grace' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_detach(pid integer)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_detach' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_detach_v2(pid integer, cookie bigint)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_detach_v2' LANGUAGE C STRICT;

CREATE FUNCTION pg_background_list_v2()
RETURNS SETOF record AS 'MODULE_PATHNAME', 'pg_background_list_v2' LANGUAGE C;

CREATE FUNCTION pg_background_stats_v2()
RETURNS pg_background_stats AS 'MODULE_PATHNAME', 'pg_background_stats_v2' LANGUAGE C;

CREATE FUNCTION pg_background_progress(pct integer, msg text DEFAULT NULL)
RETURNS void AS 'MODULE_PATHNAME', 'pg_background_progress' LANGUAGE C;

CREATE FUNCTION pg_background_get_progress_v2(pid integer, cookie bigint)
RETURNS pg_background_progress AS 'MODULE_PATHNAME', 'pg_background_get_progress_v2' LANGUAGE C;

CREATE FUNCTION grant_pg_background_privileges(role_name text, print_commands boolean DEFAULT false)
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

CREATE FUNCTION revoke_pg_background_privileges(role_name text, print_commands boolean DEFAULT false)
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
  PERFORM grant_pg_background_privileges('pgbackground_role');
END $$;
