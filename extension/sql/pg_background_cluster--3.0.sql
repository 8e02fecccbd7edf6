-- complain if the script is sourced in psql rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION pg_background_cluster" to load this file. \quit

-- What users call are SQL functions with a parsed body: it holds what it calls by identity, so the extension may be moved.
-- They ask all nodes at once, by Citus' run_command_on_all_nodes, to call a cluster_node_… function of this extension. That
-- answers JSON, and turns its errors into values: what has become of one node takes nothing from the others.

-- An update of this extension may need one of pg_background, which PostgreSQL does not ask for.
DO $$
DECLARE
  needed text := '3.0';
  present text := (SELECT extversion FROM pg_catalog.pg_extension
                   WHERE extname OPERATOR(pg_catalog.=) 'pg_background'::name);
BEGIN
  IF pg_catalog.string_to_array(present, '.'::text)::int4[]
      OPERATOR(pg_catalog.<) pg_catalog.string_to_array(needed, '.'::text)::int4[] THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = pg_catalog.format('version %s of extension "pg_background_cluster" needs that of "pg_background"', needed),
      DETAIL = pg_catalog.format('This database has version %s of "pg_background".', present),
      HINT = 'ALTER EXTENSION pg_background UPDATE, and try again.';
  END IF;
END $$;

-- ---- types

CREATE TYPE cluster_handle AS (node int4, pid int4, cookie int8);

-- ---- from here to the nodes

-- 0 is what run_command_on_all_nodes calls a coordinator that is not in its own list of nodes
CREATE FUNCTION cluster_node_id()
RETURNS int4 LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN COALESCE((
    SELECT min(n.nodeid) FROM pg_catalog.pg_dist_node AS n JOIN pg_catalog.pg_dist_local_group AS g USING (groupid)
    WHERE n.isactive AND n.noderole::text = 'primary'), 0);
EXCEPTION WHEN undefined_table THEN
  RAISE object_not_in_prerequisite_state USING
    MESSAGE = 'this database is no node of a Citus cluster',
    HINT = 'Create the extension citus in it, and add the nodes by citus_add_node.';
END $$;

CREATE FUNCTION cluster_command(command text)
RETURNS TABLE (node int4, success bool, result text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Citus looks up what it needs through the search_path: hence this function's own
  RETURN QUERY SELECT r.nodeid, r.success, COALESCE(r.result, '') FROM pg_catalog.run_command_on_all_nodes(command) AS r;
EXCEPTION WHEN undefined_function THEN
  RAISE object_not_in_prerequisite_state USING
    MESSAGE = 'this database is no node of a Citus cluster',
    HINT = 'Create the extension citus in it, and add the nodes by citus_add_node.';
END $$;

CREATE FUNCTION cluster_ask(helper text, VARIADIC arguments text[])
RETURNS TABLE (node int4, answer json, sqlstate text, error text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  home text := (SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                WHERE e.extname = 'pg_background_cluster');
  -- each is cast by the helper's own declaration, so that no other function fits the call better
  given text := (
    SELECT string_agg(format('%L::pg_catalog.%I', a.value, t.typname), ', ' ORDER BY a.n)
    FROM pg_proc AS p
    CROSS JOIN unnest(arguments, p.proargtypes) WITH ORDINALITY AS a(value, type_id, n)
    JOIN pg_type AS t ON t.oid = a.type_id
    WHERE p.pronamespace = to_regnamespace(quote_ident(home)) AND p.proname = helper);
BEGIN
  RETURN QUERY EXECUTE format('SELECT node, CASE WHEN success THEN result::json END,
      CASE WHEN NOT success THEN ''08000'' END, CASE WHEN NOT success THEN result END
    FROM %I.cluster_command($1::text)', home)
    USING format('SELECT %I.%I(%s)', home, helper, given);
END $$;

-- ---- on a node

CREATE FUNCTION cluster_node_home()
RETURNS name LANGUAGE sql STABLE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT n.nspname
  FROM pg_catalog.pg_extension AS e
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
  WHERE e.extname OPERATOR(pg_catalog.=) 'pg_background'::pg_catalog.name;
END;

-- Takes the place of parsed calls: to find the extension by its schema keeps updates of pg_background free to drop what
-- they replace. Without a search_path of its own, as the job takes over that of the session.
CREATE FUNCTION cluster_node_start(
  home name, sql text, params text[], label text, job_timeout_ms int4, each_statement bool, discard_result bool)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
  handle record;
BEGIN
  IF pg_catalog.int4gt(job_timeout_ms, 0) THEN
    PERFORM pg_catalog.set_config('pg_background.worker_timeout', job_timeout_ms::pg_catalog.text, true);
  END IF;
  EXECUTE pg_catalog.format(
    'SELECT s.pid, s.cookie FROM %I.pg_background_start($1::pg_catalog.text, $2::pg_catalog.text[], $3::pg_catalog.text,'
    ' 0::pg_catalog.int4, 0::pg_catalog.int4, NULL::pg_catalog.name, $4::pg_catalog.bool, $5::pg_catalog.bool,'
    ' ''queue''::pg_catalog.text) AS s', home)
    INTO handle USING sql, params, label, each_statement, discard_result;
  -- the cookie as text: what reads JSON as floating point would change it
  RETURN pg_catalog.json_build_object(
    'pid'::pg_catalog.text, handle.pid, 'cookie'::pg_catalog.text, handle.cookie::pg_catalog.text);
EXCEPTION WHEN OTHERS THEN
  RETURN pg_catalog.json_build_object('sqlstate'::pg_catalog.text, SQLSTATE, 'error'::pg_catalog.text, SQLERRM);
END $$;

CREATE FUNCTION cluster_node_launch(
  nodes int4[], sql text, params text[], label text, job_timeout_ms int4, each_statement bool, discard_result bool)
RETURNS text LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT CASE WHEN nodes IS NULL OR cluster_node_id() OPERATOR(pg_catalog.=) ANY (nodes)
    THEN cluster_node_start(cluster_node_home(), sql, params, label, job_timeout_ms, each_statement, discard_result)
    ELSE '{}'::pg_catalog.text END;
END;

-- `handles` has a list for each node, of [number, pid, cookie]. Rows are read when all waits are over: a wait that is
-- canceled has then taken nothing.
CREATE FUNCTION cluster_node_collect(home name, handles json, timeout_ms int4, with_rows bool)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  final CONSTANT text[] := ARRAY['stopped', 'error', 'canceled', 'timed_out', 'lost'];
  ask_outcome CONSTANT text := format('SELECT * FROM %I.pg_background_outcome($1::int4, $2::int8)', home);
  wait CONSTANT text := format('SELECT %I.pg_background_wait($1::int4, $2::int8, $3::int4)', home);
  read CONSTANT text := format(
    'SELECT json_agg(r) FROM %I.pg_background_result_json($1::int4, $2::int8) AS r', home);
  deadline timestamptz := CASE WHEN timeout_ms > 0 THEN clock_timestamp() + timeout_ms * interval '1 ms' END;
  pass text;
  handle record;
  outcome record;
  found_rows json;
  is_stuck bool;
  left_ms int4;
  stuck int4[] := '{}';
  told text;
  answers json[] := '{}';
BEGIN
  FOREACH pass IN ARRAY ARRAY['wait', 'read'] LOOP
    FOR handle IN
      SELECT (h ->> 0)::int4 AS number, (h ->> 1)::int4 AS pid, (h ->> 2)::int8 AS cookie
      FROM json_array_elements(handles) AS h
    LOOP
      BEGIN
        found_rows := NULL;
        EXECUTE ask_outcome INTO outcome USING handle.pid, handle.cookie;
        IF pass = 'wait' THEN
          left_ms := COALESCE(ceil(extract(epoch FROM deadline - clock_timestamp()) * 1000), 0);
          IF outcome.state <> ALL (final) AND (deadline IS NULL OR left_ms > 0) THEN
            EXECUTE wait USING handle.pid, handle.cookie, left_ms;
          END IF;
          CONTINUE;
        END IF;
        IF outcome.state IS NULL THEN
          -- the outcome does not say why, which this raises
          EXECUTE wait USING handle.pid, handle.cookie, 1;
        END IF;
        is_stuck := handle.number = ANY (stuck) AND outcome.state <> ALL (final);
        IF with_rows AND outcome.state = 'stopped' THEN
          EXECUTE read INTO found_rows USING handle.pid, handle.cookie;
        END IF;
        answers := answers || json_build_object(
          'number', handle.number, 'state', COALESCE(outcome.state, 'unknown'), 'row_count', outcome.row_count,
          'command_tag', outcome.command_tag,
          'sqlstate', CASE WHEN outcome.state IS NULL THEN '42704'
                      WHEN is_stuck THEN '40P01' ELSE outcome.sqlstate END,
          'error', CASE WHEN outcome.state IS NULL THEN 'the node does not know the job any more'
                   WHEN is_stuck THEN told ELSE outcome.error_message END,
          'rows', found_rows);
      EXCEPTION WHEN OTHERS THEN
        -- what a wait has met is met again by the question for the outcome, but for a deadlock with the caller
        IF pass = 'wait' AND SQLSTATE = '40P01' THEN
          stuck := stuck || handle.number;
          told := SQLERRM;
        ELSIF pass = 'read' THEN
          answers := answers || json_build_object(
            'number', handle.number, 'state', 'unknown', 'sqlstate', SQLSTATE, 'error', SQLERRM);
        END IF;
      END;
    END LOOP;
  END LOOP;
  RETURN array_to_json(answers);
END $$;

CREATE FUNCTION cluster_node_wait(handles json, timeout_ms int4, with_rows bool)
RETURNS text LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT COALESCE(
    cluster_node_collect(
      cluster_node_home(), handles OPERATOR(pg_catalog.->) cluster_node_id()::pg_catalog.text, timeout_ms, with_rows),
    '[]'::pg_catalog.text);
END;

-- does to each of the handles what `command` says, cancel or detach
CREATE FUNCTION cluster_node_command(home name, handles json, command text, grace_ms int4)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  call CONSTANT text := format(
    CASE command WHEN 'cancel' THEN 'SELECT %I.pg_background_cancel($1::int4, $2::int8, $3::int4)'
    ELSE 'SELECT %I.pg_background_detach($1::int4, $2::int8)' END, home);
  handle record;
  answers json[] := '{}';
BEGIN
  FOR handle IN
    SELECT (h ->> 0)::int4 AS number, (h ->> 1)::int4 AS pid, (h ->> 2)::int8 AS cookie
    FROM json_array_elements(handles) AS h
  LOOP
    BEGIN
      EXECUTE call USING handle.pid, handle.cookie, grace_ms;
      answers := answers || json_build_object('number', handle.number);
    EXCEPTION WHEN OTHERS THEN
      answers := answers || json_build_object('number', handle.number, 'sqlstate', SQLSTATE, 'error', SQLERRM);
    END;
  END LOOP;
  RETURN array_to_json(answers);
END $$;

CREATE FUNCTION cluster_node_act(handles json, command text, grace_ms int4)
RETURNS text LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT COALESCE(
    cluster_node_command(
      cluster_node_home(), handles OPERATOR(pg_catalog.->) cluster_node_id()::pg_catalog.text, command, grace_ms),
    '[]'::pg_catalog.text);
END;

-- a query on pg_background's schema, of which one row comes, as JSON
CREATE FUNCTION cluster_node_query(home name, query text, argument text)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  answer text;
BEGIN
  EXECUTE format('SELECT to_json(q) FROM (' || query || ') AS q', home) INTO answer USING argument;
  RETURN answer;
EXCEPTION WHEN OTHERS THEN
  RETURN json_build_object('sqlstate', SQLSTATE, 'error', SQLERRM);
END $$;

CREATE FUNCTION cluster_node_jobs()
RETURNS text LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT cluster_node_query(cluster_node_home(),
    'SELECT COALESCE(json_agg(j), ''[]'') AS jobs FROM %I.pg_background_jobs AS j'::pg_catalog.text,
    NULL::pg_catalog.text);
END;

CREATE FUNCTION cluster_node_cancel(pattern text, grace_ms int4)
RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  home name := (SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                WHERE e.extname = 'pg_background');
  handle record;
  canceled int4 := 0;
BEGIN
  FOR handle IN EXECUTE format(
    'SELECT j.pid, j.cookie FROM %I.pg_background_jobs AS j WHERE j.label LIKE $1 AND j.cookie IS NOT NULL'
    ' AND j.database = current_database() AND j.state = ANY (''{queued,starting,running}''::text[])', home) USING pattern
  LOOP
    BEGIN
      EXECUTE format('SELECT %I.pg_background_cancel($1::int4, $2::int8, $3::int4)', home)
        USING handle.pid, handle.cookie, grace_ms;
      canceled := canceled + 1;
    EXCEPTION WHEN undefined_object OR object_not_in_prerequisite_state THEN
      -- it has been read or detached meanwhile
      NULL;
    END;
  END LOOP;
  RETURN json_build_object('canceled', canceled);
EXCEPTION WHEN OTHERS THEN
  RETURN json_build_object('sqlstate', SQLSTATE, 'error', SQLERRM);
END $$;

CREATE FUNCTION cluster_node_drain(timeout_ms int4)
RETURNS text LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT cluster_node_query(cluster_node_home(),
    'SELECT * FROM %I.pg_background_drain_server($1::int4)'::pg_catalog.text, timeout_ms::pg_catalog.text);
END;

-- only to be called, and void has no JSON
CREATE FUNCTION cluster_node_resume()
RETURNS text LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT cluster_node_query(cluster_node_home(),
    'SELECT %I.pg_background_resume_server()::text AS resumed'::pg_catalog.text, NULL::pg_catalog.text);
END;

-- ---- launch

CREATE FUNCTION cluster_nodes()
RETURNS TABLE (node int4, host text, port int4, is_here bool)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
    SELECT n.nodeid, n.nodename::text, n.nodeport, EXISTS (
      SELECT FROM pg_catalog.pg_dist_local_group AS g WHERE g.groupid = n.groupid)
    FROM pg_catalog.pg_dist_node AS n WHERE n.isactive AND n.noderole::text = 'primary' ORDER BY n.nodeid;
EXCEPTION WHEN undefined_table THEN
  RAISE object_not_in_prerequisite_state USING
    MESSAGE = 'this database is no node of a Citus cluster',
    HINT = 'Create the extension citus in it, and add the nodes by citus_add_node.';
END $$;

CREATE FUNCTION cluster_launch(
  sql text, label text DEFAULT NULL, nodes int4[] DEFAULT NULL, params text[] DEFAULT NULL,
  job_timeout_ms int4 DEFAULT 0, each_statement bool DEFAULT false, discard_result bool DEFAULT false)
RETURNS TABLE (node int4, pid int4, cookie int8, sqlstate text, error text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  WITH answers AS MATERIALIZED (
    SELECT a.node, a.answer, a.sqlstate, a.error
    FROM cluster_ask('cluster_node_launch'::pg_catalog.text, VARIADIC ARRAY[
      nodes::pg_catalog.text, sql, params::pg_catalog.text, label, job_timeout_ms::pg_catalog.text,
      each_statement::pg_catalog.text, discard_result::pg_catalog.text]::pg_catalog.text[]) AS a
    WHERE nodes IS NULL OR a.node OPERATOR(pg_catalog.=) ANY (nodes)
  ), wanted AS (
    SELECT a.node FROM answers AS a UNION SELECT w.node FROM pg_catalog.unnest(nodes) AS w(node)
  )
  SELECT w.node, (a.answer OPERATOR(pg_catalog.->>) 'pid'::pg_catalog.text)::pg_catalog.int4,
    (a.answer OPERATOR(pg_catalog.->>) 'cookie'::pg_catalog.text)::pg_catalog.int8,
    CASE WHEN a.node IS NULL THEN '42704'::pg_catalog.text
    ELSE COALESCE(a.sqlstate, a.answer OPERATOR(pg_catalog.->>) 'sqlstate'::pg_catalog.text) END,
    CASE WHEN a.node IS NULL THEN 'the cluster has no such active node'::pg_catalog.text
    ELSE COALESCE(a.error, a.answer OPERATOR(pg_catalog.->>) 'error'::pg_catalog.text) END
  FROM wanted AS w LEFT JOIN answers AS a ON a.node OPERATOR(pg_catalog.=) w.node
  ORDER BY w.node;
END;

-- ---- what is done with handles

-- those of each node, numbered as they come
CREATE FUNCTION cluster_handles_by_node(handles cluster_handle[])
RETURNS text LANGUAGE sql STABLE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT COALESCE(pg_catalog.json_object_agg(l.node, l.list)::pg_catalog.text, '{}'::pg_catalog.text)
  FROM (
    SELECT h.node, pg_catalog.json_agg(
      pg_catalog.json_build_array(h.number, h.pid, h.cookie::pg_catalog.text) ORDER BY h.number) AS list
    FROM pg_catalog.unnest(handles) WITH ORDINALITY AS h(node, pid, cookie, number)
    WHERE h.node IS NOT NULL AND h.pid IS NOT NULL AND h.cookie IS NOT NULL
    GROUP BY h.node) AS l;
END;

-- an answer for each handle, whatever came from its node
CREATE FUNCTION cluster_ask_for(handles cluster_handle[], helper text, VARIADIC arguments text[])
RETURNS TABLE (number int8, node int4, pid int4, cookie int8, answer json, sqlstate text, error text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  WITH answers AS MATERIALIZED (
    SELECT a.node, a.answer, a.sqlstate, a.error
    FROM cluster_ask(helper, VARIADIC pg_catalog.array_prepend(cluster_handles_by_node(handles), arguments)) AS a
  ), each_of AS MATERIALIZED (
    SELECT (e.value OPERATOR(pg_catalog.->>) 'number'::pg_catalog.text)::pg_catalog.int8 AS number, e.value AS answer
    FROM answers AS a CROSS JOIN LATERAL pg_catalog.json_array_elements(a.answer) AS e
  )
  SELECT h.number, h.node, h.pid, h.cookie, e.answer,
    CASE WHEN h.node IS NULL OR h.pid IS NULL OR h.cookie IS NULL THEN '42704'::pg_catalog.text
    WHEN e.answer IS NULL THEN COALESCE(a.sqlstate, '42704'::pg_catalog.text)
    ELSE e.answer OPERATOR(pg_catalog.->>) 'sqlstate'::pg_catalog.text END,
    CASE WHEN h.node IS NULL OR h.pid IS NULL OR h.cookie IS NULL
    THEN 'a cluster handle must not have NULLs'::pg_catalog.text
    WHEN e.answer IS NULL THEN COALESCE(a.error, 'the cluster has no such active node'::pg_catalog.text)
    ELSE e.answer OPERATOR(pg_catalog.->>) 'error'::pg_catalog.text END
  FROM pg_catalog.unnest(handles) WITH ORDINALITY AS h(node, pid, cookie, number)
  LEFT JOIN answers AS a ON a.node OPERATOR(pg_catalog.=) h.node
  LEFT JOIN each_of AS e ON e.number OPERATOR(pg_catalog.=) h.number
  ORDER BY h.number;
END;

CREATE FUNCTION cluster_wait(handles cluster_handle[], timeout_ms int4 DEFAULT 0, with_rows bool DEFAULT false)
RETURNS TABLE (
  node int4, pid int4, cookie int8, state text, row_count int8, command_tag text, sqlstate text, error text, rows json)
LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT a.node, a.pid, a.cookie,
    CASE WHEN a.node IS NULL OR a.pid IS NULL OR a.cookie IS NULL THEN 'unknown'::pg_catalog.text
    ELSE COALESCE(a.answer OPERATOR(pg_catalog.->>) 'state'::pg_catalog.text, 'unreachable'::pg_catalog.text) END,
    (a.answer OPERATOR(pg_catalog.->>) 'row_count'::pg_catalog.text)::pg_catalog.int8,
    a.answer OPERATOR(pg_catalog.->>) 'command_tag'::pg_catalog.text, a.sqlstate, a.error,
    -- a JSON null is no list of rows
    CASE WHEN (a.answer OPERATOR(pg_catalog.->>) 'rows'::pg_catalog.text) IS NOT NULL
    THEN a.answer OPERATOR(pg_catalog.->) 'rows'::pg_catalog.text END
  FROM cluster_ask_for(handles, 'cluster_node_wait'::pg_catalog.text, VARIADIC ARRAY[
    timeout_ms::pg_catalog.text, with_rows::pg_catalog.text]::pg_catalog.text[]) AS a
  ORDER BY a.number;
END;

CREATE FUNCTION cluster_cancel(handles cluster_handle[], grace_ms int4 DEFAULT 0)
RETURNS TABLE (node int4, pid int4, cookie int8, sqlstate text, error text)
LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT a.node, a.pid, a.cookie, a.sqlstate, a.error
  FROM cluster_ask_for(handles, 'cluster_node_act'::pg_catalog.text, VARIADIC ARRAY[
    'cancel'::pg_catalog.text, grace_ms::pg_catalog.text]::pg_catalog.text[]) AS a
  ORDER BY a.number;
END;

CREATE FUNCTION cluster_detach(handles cluster_handle[])
RETURNS TABLE (node int4, pid int4, cookie int8, sqlstate text, error text)
LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT a.node, a.pid, a.cookie, a.sqlstate, a.error
  FROM cluster_ask_for(handles, 'cluster_node_act'::pg_catalog.text, VARIADIC ARRAY[
    'detach'::pg_catalog.text, '0'::pg_catalog.text]::pg_catalog.text[]) AS a
  ORDER BY a.number;
END;

-- ---- all jobs of all nodes

CREATE VIEW cluster_jobs AS
SELECT a.node, j.pid, j.cookie, j.worker_pid, j.database, j.role, j.label,
  CASE WHEN j.pid IS NULL THEN 'unreachable'::pg_catalog.text ELSE j.state END AS state,
  j.queued_at, j.started_at, j.finished_at, j.row_count, j.command_tag,
  COALESCE(a.sqlstate, a.answer OPERATOR(pg_catalog.->>) 'sqlstate'::pg_catalog.text, j.sqlstate) AS sqlstate,
  COALESCE(a.error, a.answer OPERATOR(pg_catalog.->>) 'error'::pg_catalog.text, j.error_message) AS error_message,
  j.sql_preview, j.progress_pct, j.progress_msg, j.wait_event_type, j.wait_event, j.blocked_by,
  j.result_bytes, j.temp_bytes
FROM cluster_ask('cluster_node_jobs'::pg_catalog.text, VARIADIC '{}'::pg_catalog.text[]) AS a
LEFT JOIN LATERAL pg_catalog.json_to_recordset(a.answer OPERATOR(pg_catalog.->) 'jobs'::pg_catalog.text) AS j(
  pid pg_catalog.int4, cookie pg_catalog.int8, worker_pid pg_catalog.int4, database pg_catalog.text,
  role pg_catalog.text, label pg_catalog.text, state pg_catalog.text, queued_at pg_catalog.timestamptz,
  started_at pg_catalog.timestamptz, finished_at pg_catalog.timestamptz, row_count pg_catalog.int8,
  command_tag pg_catalog.text, sqlstate pg_catalog.text, error_message pg_catalog.text, sql_preview pg_catalog.text,
  progress_pct pg_catalog.int4, progress_msg pg_catalog.text, wait_event_type pg_catalog.text,
  wait_event pg_catalog.text, blocked_by pg_catalog.int4[], result_bytes pg_catalog.int8,
  temp_bytes pg_catalog.int8) ON true
-- a node that has no jobs has no row, one that has not answered does
WHERE j.pid IS NOT NULL OR (a.answer OPERATOR(pg_catalog.->) 'jobs'::pg_catalog.text) IS NULL;

CREATE FUNCTION cluster_cancel_by_label(pattern text, grace_ms int4 DEFAULT 0)
RETURNS TABLE (node int4, canceled int4, sqlstate text, error text)
LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT a.node, (a.answer OPERATOR(pg_catalog.->>) 'canceled'::pg_catalog.text)::pg_catalog.int4,
    COALESCE(a.sqlstate, a.answer OPERATOR(pg_catalog.->>) 'sqlstate'::pg_catalog.text),
    COALESCE(a.error, a.answer OPERATOR(pg_catalog.->>) 'error'::pg_catalog.text)
  FROM cluster_ask('cluster_node_cancel'::pg_catalog.text, VARIADIC ARRAY[
    pattern, grace_ms::pg_catalog.text]::pg_catalog.text[]) AS a
  ORDER BY a.node;
END;

-- ---- what is done to the servers

CREATE FUNCTION cluster_drain(timeout_ms int4)
RETURNS TABLE (node int4, finished int4, canceled int4, running int4, sqlstate text, error text)
LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT a.node, (a.answer OPERATOR(pg_catalog.->>) 'finished'::pg_catalog.text)::pg_catalog.int4,
    (a.answer OPERATOR(pg_catalog.->>) 'canceled'::pg_catalog.text)::pg_catalog.int4,
    (a.answer OPERATOR(pg_catalog.->>) 'running'::pg_catalog.text)::pg_catalog.int4,
    COALESCE(a.sqlstate, a.answer OPERATOR(pg_catalog.->>) 'sqlstate'::pg_catalog.text),
    COALESCE(a.error, a.answer OPERATOR(pg_catalog.->>) 'error'::pg_catalog.text)
  FROM cluster_ask('cluster_node_drain'::pg_catalog.text, VARIADIC ARRAY[
    timeout_ms::pg_catalog.text]::pg_catalog.text[]) AS a
  ORDER BY a.node;
END;

CREATE FUNCTION cluster_resume()
RETURNS TABLE (node int4, sqlstate text, error text)
LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT a.node, COALESCE(a.sqlstate, a.answer OPERATOR(pg_catalog.->>) 'sqlstate'::pg_catalog.text),
    COALESCE(a.error, a.answer OPERATOR(pg_catalog.->>) 'error'::pg_catalog.text)
  FROM cluster_ask('cluster_node_resume'::pg_catalog.text, VARIADIC '{}'::pg_catalog.text[]) AS a
  ORDER BY a.node;
END;

CREATE FUNCTION cluster_set_command(name text, value text)
RETURNS text LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  setting text := (SELECT s.name FROM pg_settings AS s
                   WHERE lower(s.name) = lower(cluster_set_command.name) AND s.name LIKE 'pg\_background.%');
BEGIN
  IF setting IS NULL THEN
    RAISE undefined_object USING MESSAGE = format('"%s" is no setting of pg_background', name);
  END IF;
  RETURN CASE WHEN value IS NULL THEN format('ALTER SYSTEM RESET %s', setting)
         ELSE format('ALTER SYSTEM SET %s = %L', setting, value) END;
END $$;

-- ALTER SYSTEM is no part of a function or transaction: it is what each node is sent, and the reload after it
CREATE FUNCTION cluster_set(name text, value text)
RETURNS TABLE (node int4, needs_restart bool, error text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  WITH altered AS MATERIALIZED (
    SELECT c.node, c.success, c.result FROM cluster_command(cluster_set_command(name, value)) AS c
  ), reloaded AS MATERIALIZED (
    SELECT c.node, c.success, c.result
    FROM cluster_command((
      -- made of what the first has answered, so that it comes after that
      SELECT pg_catalog.format(
        'SELECT s.context OPERATOR(pg_catalog.=) ''postmaster'' FROM pg_catalog.pg_settings AS s,'
        ' pg_catalog.pg_reload_conf() WHERE s.name OPERATOR(pg_catalog.=) pg_catalog.lower(%L) LIMIT %s'::pg_catalog.text,
        name, pg_catalog.count(*)) FROM altered)) AS c
  )
  SELECT a.node, CASE WHEN a.success AND r.success AND r.result OPERATOR(pg_catalog.<>) ''::pg_catalog.text
    THEN r.result::pg_catalog.bool END,
    CASE WHEN NOT a.success THEN a.result WHEN NOT r.success THEN r.result END
  FROM altered AS a LEFT JOIN reloaded AS r ON r.node OPERATOR(pg_catalog.=) a.node
  ORDER BY a.node;
END;

-- ---- privileges

CREATE FUNCTION cluster_change_privileges(verb text, role_name text, print_commands bool)
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
      AND p.proname !~ '^cluster_(node_)?(drain|resume|set|set_command)$' AND p.proname !~ '_privileges$'
    LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind = 'v'
    CROSS JOIN LATERAL COALESCE('EXECUTE ON ROUTINE ' || p.oid::regprocedure, 'SELECT ON ' || c.oid::regclass) AS target
    WHERE e.extname = 'pg_background_cluster' AND target IS NOT NULL
    ORDER BY target
  LOOP
    IF print_commands THEN
      RAISE INFO '%', command;
    END IF;
    EXECUTE command;
  END LOOP;
  RETURN true;
END $$;

CREATE FUNCTION cluster_grant_privileges(role_name text, print_commands bool DEFAULT false)
RETURNS bool LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT cluster_change_privileges('GRANT'::pg_catalog.text, role_name, print_commands);
END;

CREATE FUNCTION cluster_revoke_privileges(role_name text, print_commands bool DEFAULT false)
RETURNS bool LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT cluster_change_privileges('REVOKE'::pg_catalog.text, role_name, print_commands);
END;

-- nothing for PUBLIC; and for pgbackground_role if pg_background has found it fit for its own functions
DO $$
DECLARE
  member regprocedure;
  trusted bool;
  path text := pg_catalog.current_setting('search_path');
BEGIN
  -- in the schema of the extension others may have made operators that fit better than the server's own
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  FOR member IN
    SELECT d.objid::regprocedure FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
      AND e.extname = 'pg_background_cluster'
  LOOP
    EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', member);
  END LOOP;
  SELECT bool_and(has_function_privilege('pgbackground_role', p.oid, 'EXECUTE')) INTO trusted
  FROM pg_proc AS p JOIN pg_extension AS e ON e.extnamespace = p.pronamespace AND e.extname = 'pg_background'
  JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refobjid = e.oid AND d.deptype = 'e'
  WHERE p.proname = 'pg_background_start' AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgbackground_role');
  PERFORM set_config('search_path', path, true);
  IF trusted THEN
    PERFORM cluster_grant_privileges('pgbackground_role'::text, false);
  END IF;
END $$;

-- as in pg_background: who may look at all sessions, and who may cancel others' jobs
GRANT SELECT ON cluster_jobs TO pg_read_all_stats;
GRANT EXECUTE ON FUNCTION cluster_node_id(), cluster_node_home(), cluster_nodes(), cluster_command(text),
  cluster_ask(text, text[]), cluster_node_query(name, text, text), cluster_node_jobs() TO pg_read_all_stats, pg_signal_backend;
GRANT EXECUTE ON FUNCTION cluster_drain(int4), cluster_node_drain(int4), cluster_resume(), cluster_node_resume()
  TO pg_signal_backend;
