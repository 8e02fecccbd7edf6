"""Stand-ins of what pg_background_cluster uses of Citus, in the places where Citus has them."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.conninfo import conninfo_to_dict

from .server import Server

#: As in Citus it is PL/pgSQL that names things by the search_path. It connects to all nodes anew, as the
#: current user; they work at once, and an answer is one value. It needs dblink.
_ON_ALL_NODES = """
CREATE EXTENSION dblink SCHEMA stand_in;
GRANT EXECUTE ON FUNCTION stand_in.dblink_connect_u(text, text) TO PUBLIC;
CREATE FUNCTION pg_catalog.run_command_on_all_nodes(
  command text, parallel bool DEFAULT true, give_warning_for_connection_errors bool DEFAULT false,
  OUT nodeid int, OUT success bool, OUT result text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
  n record;
  asked int[] := '{}';
  asked_node int;
BEGIN
  FOR n IN SELECT * FROM pg_dist_node d WHERE isactive AND noderole = 'primary' ORDER BY d.nodeid LOOP
    BEGIN
      IF 'node' || n.nodeid = ANY (stand_in.dblink_get_connections()) THEN
        PERFORM stand_in.dblink_disconnect('node' || n.nodeid);
      END IF;
      PERFORM stand_in.dblink_connect_u('node' || n.nodeid, format(
        'host=%s port=%s dbname=%s user=%s application_name=''citus_run_command gpid=%s''',
        n.nodename, n.nodeport, current_database(), current_user, pg_catalog.citus_backend_gpid()));
      PERFORM stand_in.dblink_send_query('node' || n.nodeid, command);
      asked := asked || n.nodeid;
    EXCEPTION WHEN sqlclient_unable_to_establish_sqlconnection THEN
      nodeid := n.nodeid;
      success := false;
      result := format('failed to connect to %s:%s', n.nodename, n.nodeport);
      RETURN NEXT;
    END;
  END LOOP;
  FOREACH asked_node IN ARRAY asked LOOP
    BEGIN
      nodeid := asked_node;
      SELECT r INTO STRICT result FROM stand_in.dblink_get_result('node' || nodeid) AS t(r text);
      success := true;
    EXCEPTION WHEN OTHERS THEN
      success := false;
      result := 'ERROR: ' || SQLERRM;
    END;
    PERFORM stand_in.dblink_disconnect('node' || nodeid);
    RETURN NEXT;
  END LOOP;
END $$;
"""

#: Where there is no dblink there is one node, which answers itself.
_ON_THE_ONLY_NODE = """
CREATE FUNCTION pg_catalog.run_command_on_all_nodes(
  command text, parallel bool DEFAULT true, give_warning_for_connection_errors bool DEFAULT false,
  OUT nodeid int, OUT success bool, OUT result text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
  nodeid := 1;
  success := true;
  EXECUTE command INTO result;
  RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
  success := false;
  result := 'ERROR: ' || SQLERRM;
  RETURN NEXT;
END $$;
"""

_METADATA = """
CREATE SCHEMA stand_in; GRANT USAGE ON SCHEMA stand_in TO PUBLIC;
CREATE TABLE public.pg_dist_node (
  nodeid int PRIMARY KEY, groupid int, nodename text, nodeport int, isactive bool DEFAULT true,
  noderole text DEFAULT 'primary');
CREATE TABLE public.pg_dist_local_group (groupid int);
GRANT SELECT ON public.pg_dist_node, public.pg_dist_local_group TO PUBLIC;
ALTER TABLE public.pg_dist_node SET SCHEMA pg_catalog;
ALTER TABLE public.pg_dist_local_group SET SCHEMA pg_catalog;
"""

#: Waits for locks as Citus shows them: of all nodes, by the global pids of the sessions for which
#: connections were opened. `claims` adds some to the looks of this node that have these numbers; each look
#: then takes its `delay`.
_LOCK_WAITS = """
SET search_path = stand_in;
CREATE FUNCTION pg_catalog.citus_calculate_gpid(nodeid int, pid int) RETURNS int8 LANGUAGE sql AS $$
  SELECT 10000000000 * nodeid + pid $$;
CREATE FUNCTION gpid_of(process int, name text) RETURNS int8 LANGUAGE sql STABLE AS $$
  SELECT COALESCE(pg_catalog.substring(name, '^citus_[a-z_]+ gpid=([0-9]+)')::int8, (
    SELECT pg_catalog.citus_calculate_gpid(n.nodeid, process)
    FROM pg_catalog.pg_dist_node n JOIN pg_catalog.pg_dist_local_group g ON g.groupid = n.groupid)) $$;
CREATE FUNCTION pg_catalog.citus_backend_gpid() RETURNS int8 LANGUAGE sql AS $$
  SELECT stand_in.gpid_of(pg_catalog.pg_backend_pid(), pg_catalog.current_setting('application_name')) $$;
CREATE FUNCTION local_lock_waits() RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT COALESCE(json_agg(json_build_object(
    'waiting_gpid', stand_in.gpid_of(w.pid, w.application_name),
    'blocking_gpid', stand_in.gpid_of(b.pid, b.application_name))), '[]')
  FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking(pid)
  JOIN pg_stat_activity b ON b.pid = blocking.pid $$;
CREATE SEQUENCE looks;
CREATE TABLE claims (waiting int8, blocking int8, first_look int DEFAULT 1, last_look int DEFAULT 1000000,
  delay interval DEFAULT '0');
GRANT SELECT ON claims TO PUBLIC;
GRANT USAGE ON looks TO PUBLIC;
CREATE FUNCTION look() RETURNS SETOF claims LANGUAGE plpgsql AS $$
DECLARE
  number int8 := nextval('stand_in.looks');
BEGIN
  PERFORM pg_sleep_for(max(c.delay)) FROM stand_in.claims c;
  RETURN QUERY SELECT * FROM stand_in.claims c WHERE number BETWEEN c.first_look AND c.last_look;
END $$;
CREATE VIEW lock_waits AS
  SELECT l.waiting_gpid, l.blocking_gpid
  FROM pg_catalog.run_command_on_all_nodes('SELECT stand_in.local_lock_waits()') r,
    pg_catalog.json_to_recordset(CASE WHEN r.success THEN r.result::json ELSE '[]' END)
      AS l(waiting_gpid int8, blocking_gpid int8)
  UNION ALL SELECT c.waiting, c.blocking FROM look() c;
GRANT SELECT ON lock_waits TO PUBLIC;
ALTER VIEW lock_waits RENAME TO citus_lock_waits;
ALTER VIEW citus_lock_waits SET SCHEMA pg_catalog;
"""


def address(server: Server) -> tuple[str, int]:
    """Return host and port, as pg_dist_node has them."""
    parts = conninfo_to_dict(server.dsn())
    return str(parts["host"]), int(str(parts["port"]))


def stand_in(servers: Sequence[Server], database: str) -> None:
    """Make the databases of that name look like those of a Citus cluster, the first like its coordinator."""
    for here, server in enumerate(servers):
        with server.connect(database) as conn:
            conn.execute("SET allow_system_table_mods = on; SET search_path = public")
            conn.execute(_METADATA.encode())
            conn.execute((_ON_ALL_NODES if len(servers) > 1 else _ON_THE_ONLY_NODE).encode())
            conn.execute("INSERT INTO pg_catalog.pg_dist_local_group VALUES (%s)", [here])
            conn.execute(_LOCK_WAITS.encode())
    tell_addresses(servers, database)


def tell_addresses(servers: Sequence[Server], database: str) -> None:
    """Write down where the nodes are; a server that is down is left out."""
    nodes = [(group + 1, group, *address(server)) for group, server in enumerate(servers)]
    for server in servers:
        if server.is_running():
            with server.connect(database) as conn:
                conn.execute("SET allow_system_table_mods = on; TRUNCATE pg_catalog.pg_dist_node")
                for node in nodes:
                    conn.execute(
                        "INSERT INTO pg_catalog.pg_dist_node (nodeid, groupid, nodename, nodeport)"
                        " VALUES (%s, %s, %s, %s)",
                        node,
                    )
