"""What the extension in a database has of views and columns: an older catalogue has fewer."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

from ..doctor.server_info import is_ours
from ..watching import SourceError
from ..watching.server_source import AsyncConnection

#: Members of the extension alone: beside it, anybody's view could have the name of one that is missing.
_VIEWS = """
SELECT n.nspname, e.extversion, current_setting('TimeZone'), current_database(), session_user,
       coalesce(has_function_privilege(
         to_regprocedure(format('%I.pg_background_registry()', n.nspname)), 'EXECUTE'), false),
       (SELECT jsonb_object_agg(v.relname, v.columns) FROM (
          SELECT c.relname, jsonb_agg(a.attname) AS columns
          FROM pg_depend AS d
          JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind = 'v'
          JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
            AND has_table_privilege(c.oid, 'SELECT')
          GROUP BY c.relname) AS v)
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_background'
"""


@dataclass(frozen=True)
class Surface:
    """What a session finds."""

    #: where the extension is
    schema: str
    version: str
    #: in which the session writes times
    time_zone: str
    database: str
    role: str
    #: may it ask for what the shared memory holds?
    may_see_registry: bool
    #: the views that the role may read, each with its columns
    views: Mapping[str, tuple[str, ...]]

    def has(self, view: str, *columns: str) -> bool:
        """Tell whether there is such a view, with such columns."""
        return view in self.views and set(columns) <= set(self.views[view])


_known: weakref.WeakKeyDictionary[AsyncConnection, Surface] = weakref.WeakKeyDictionary()


async def surface_of(connection: AsyncConnection) -> Surface:
    """Return what a session finds; asked for once, in a transaction with pg_catalog as its search_path.

    Raises:
        SourceError: the database does not have the extension, or another one of its name.
    """
    found = _known.get(connection)
    if found is None:
        row = await (await connection.execute(_VIEWS)).fetchone()
        if row is None:
            raise SourceError(
                f'the database "{connection.info.dbname}" does not have the extension: '
                "CREATE EXTENSION pg_background"
            )
        schema, version, zone, database, role, may_see_registry, views = row
        if not is_ours(version):
            raise SourceError(
                f'in the database "{connection.info.dbname}" is version {version}, the extension in C: '
                "ALTER EXTENSION pg_background UPDATE"
            )
        found_views = {name: tuple(columns) for name, columns in (views or {}).items()}
        found = Surface(schema, version, zone, database, role, may_see_registry, found_views)
        _known[connection] = found
    return found
