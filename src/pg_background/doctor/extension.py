"""The extension in its database: who may use it, and what beside it could be called in its place.

The queries expect a search_path of pg_catalog alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from .server_info import USER_ROLE, Extension

if TYPE_CHECKING:
    from typing import LiteralString

Connection = psycopg.Connection[tuple[Any, ...]]

_INSTALLED = """
SELECT e.extversion, n.nspname, a.default_version
FROM pg_extension e
JOIN pg_namespace n ON n.oid = e.extnamespace
LEFT JOIN pg_available_extensions a ON a.name = e.extname
WHERE e.extname = 'pg_background'
"""

_MEMBERS = """
WITH member AS (
  SELECT classid, objid FROM pg_depend
  WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_background')
)
"""

_PUBLIC = f"""
{_MEMBERS}
SELECT objid::regprocedure::text
FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS granted
WHERE granted.grantee = 0
UNION
SELECT objid::regclass::text
FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS granted
WHERE granted.grantee = 0 AND c.relkind IN ('r', 'v', 'm')
ORDER BY 1
"""

_MAY = """
SELECT has_schema_privilege(u.name, n.oid, 'USAGE'), has_function_privilege(u.name, p.oid, 'EXECUTE')
FROM (SELECT coalesce(%s::name, current_user)) AS u(name)
JOIN pg_namespace n ON n.nspname = %s
LEFT JOIN pg_proc p
  ON p.pronamespace = n.oid AND p.proname = 'pg_background_launch' AND p.proargtypes = '25 23'
WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = u.name)
"""

#: Where the role stands for the owner of the database, nobody else is a member of it.
_CREATORS = """
SELECT CASE may.role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END, bool_or(may.owns)
FROM pg_namespace n
CROSS JOIN LATERAL (
  SELECT n.nspowner, true
  UNION ALL
  SELECT grantee, false FROM aclexplode(n.nspacl) WHERE privilege_type = 'CREATE'
) AS may(role, owns)
LEFT JOIN pg_roles named ON named.oid = may.role
LEFT JOIN pg_database d ON d.datname = current_database() AND named.rolname = 'pg_database_owner'
LEFT JOIN pg_roles r ON r.oid = coalesce(d.datdba, may.role)
WHERE n.nspname = %s AND (may.role = 0 OR NOT r.rolsuper)
GROUP BY 1
ORDER BY 1
"""

#: Views are among the types: each is one too, of its name.
_LOOKALIKES = f"""
{_MEMBERS}, our_type AS (
  SELECT oid, typname FROM pg_type
  WHERE ('pg_type'::regclass, oid) IN (SELECT classid, objid FROM member)
     OR ('pg_class'::regclass, typrelid) IN (SELECT classid, objid FROM member)
), our_function AS (
  SELECT oid, proname FROM pg_proc
  WHERE ('pg_proc'::regclass, oid) IN (SELECT classid, objid FROM member)
), place AS (
  SELECT oid FROM pg_namespace WHERE nspname = ANY (%s)
)
SELECT p.oid::regprocedure::text
FROM pg_proc p
WHERE p.pronamespace IN (SELECT oid FROM place)
  AND p.proname IN (SELECT proname FROM our_function) AND p.oid NOT IN (SELECT oid FROM our_function)
UNION ALL
SELECT t.oid::regtype::text
FROM pg_type t
WHERE t.typnamespace IN (SELECT oid FROM place) AND t.typcategory <> 'A'
  AND t.typname IN (SELECT typname FROM our_type) AND t.oid NOT IN (SELECT oid FROM our_type)
ORDER BY 1
"""


def extension_of(connection: Connection, path: Sequence[str]) -> Extension | None:
    """Return what is known of the extension in the session's database; None where it is not.

    Args:
        path: the schemas where the session looks for names.
    """
    found = connection.execute(_INSTALLED).fetchone()
    if found is None:
        return None
    version, schema, available = found
    creators: dict[str, bool] = dict(connection.execute(_CREATORS, [schema]).fetchall())
    may_enter, may_launch = _may(connection, schema)
    user_role_may_enter, user_role_may_launch = _may(connection, schema, USER_ROLE)
    return Extension(
        version=version,
        schema=schema,
        available=available,
        public=_names(connection, _PUBLIC),
        may_enter=may_enter,
        may_launch=may_launch,
        user_role_may_enter=user_role_may_enter,
        user_role_may_launch=user_role_may_launch,
        schema_owner=next((name for name, owns in creators.items() if owns), None),
        creators=tuple(name for name, owns in creators.items() if not owns),
        lookalikes=_names(connection, _LOOKALIKES, [schema, *path]),
    )


def _may(connection: Connection, schema: str, role: str | None = None) -> tuple[bool, bool]:
    """Tell whether a role, by default the session's, may use the schema, and call launch."""
    row = connection.execute(_MAY, [role, schema]).fetchone()
    return (False, False) if row is None else (bool(row[0]), bool(row[1]))


def _names(connection: Connection, query: LiteralString, *parameters: object) -> tuple[str, ...]:
    return tuple(name for (name,) in connection.execute(query, parameters or None))
