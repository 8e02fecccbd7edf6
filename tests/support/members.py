"""What belongs to the extension, as text that is the same wherever the same is there."""

from __future__ import annotations

from .fix_db import Connection

#: Whoever has a privilege, and what CREATE EXTENSION has given as pg_dump sees it.
_PRIVILEGES = """
(SELECT string_agg(concat_ws(' ', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
                             privilege_type, is_grantable),
                   ', ' ORDER BY grantee::regrole::text, privilege_type)
 FROM aclexplode(m.acl)),
(SELECT string_agg(concat_ws(' ', 'initially', a.grantee::regrole, privilege_type), ', '
                   ORDER BY a.grantee::regrole::text, privilege_type)
 FROM pg_init_privs AS i, aclexplode(i.initprivs) AS a
 WHERE i.classoid = m.classid AND i.objoid = m.oid)
"""

_COLUMNS = """
(SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attcollation),
                   ', ' ORDER BY attnum)
 FROM pg_attribute WHERE attrelid = m.relation AND NOT attisdropped)
"""

_MEMBERS = f"""
WITH member AS (
  SELECT d.classid, d.objid FROM pg_depend AS d
  JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = '@EXTENSION@'
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
)
SELECT 'function ' || m.oid::regprocedure,
  concat_ws(E'\\n', pg_get_functiondef(m.oid), provolatile, proparallel, prokind, procost, prorows,
            proowner::regrole, {_PRIVILEGES})
FROM (SELECT *, proacl AS acl FROM pg_proc JOIN member ON objid = oid AND classid = 'pg_proc'::regclass) AS m
UNION ALL
SELECT 'type ' || m.oid::regtype, concat_ws(E'\\n', {_COLUMNS}, typowner::regrole, {_PRIVILEGES})
FROM (SELECT *, typacl AS acl, typrelid AS relation
      FROM pg_type JOIN member ON objid = oid AND classid = 'pg_type'::regclass) AS m
UNION ALL
SELECT 'relation ' || m.oid::regclass,
  concat_ws(E'\\n', relkind, pg_get_viewdef(m.oid), reloptions, {_COLUMNS}, relowner::regrole, {_PRIVILEGES})
FROM (SELECT *, relacl AS acl, oid AS relation
      FROM pg_class JOIN member ON objid = oid AND classid = 'pg_class'::regclass) AS m
UNION ALL
SELECT concat_ws(' ', 'cast', castsource::regtype, casttarget::regtype),
  concat_ws(' ', castfunc::regprocedure, castcontext, castmethod)
FROM pg_cast JOIN member ON objid = oid AND classid = 'pg_cast'::regclass
UNION ALL
SELECT 'extension', concat_ws(' ', extversion, extrelocatable, (SELECT count(*) FROM member))
FROM pg_extension WHERE extname = '@EXTENSION@'
UNION ALL
SELECT 'roles that are kept for nothing', count(*)::text FROM pg_shdepend AS s
WHERE deptype = 'i' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND NOT EXISTS (SELECT FROM pg_init_privs AS i, aclexplode(i.initprivs) AS a
                  WHERE (i.classoid, i.objoid) = (s.classid, s.objid)
                    AND s.refobjid IN (a.grantee, a.grantor))
"""


def members(conn: Connection, extension: str = "pg_background") -> dict[str, str]:
    """Return all members by kind and name, with all that the catalogue says of each.

    Args:
        conn: its search_path is set to the extension's schema, so that this is in no name.
    """
    conn.execute(
        "SELECT set_config('search_path', extnamespace::regnamespace::text, false)"
        " FROM pg_extension WHERE extname = 'pg_background'"
    )
    ((schema,),) = conn.execute("SHOW search_path").fetchall()
    found = conn.execute(_MEMBERS.replace("@EXTENSION@", extension).encode()).fetchall()
    # definitions name it all the same
    return {name: text.replace(f"{schema}.", "") for name, text in found}
