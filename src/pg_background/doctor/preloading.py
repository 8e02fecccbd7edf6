"""Which libraries the server's next start will load."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg

from ..preload import SETTING


class Configured(NamedTuple):
    """The setting, as the next start will have it as far as that can be seen."""

    value: str
    #: it is given there, which no configuration overrides
    by_command_line: bool


#: Only some roles may read the files.
_MAY_READ_FILES = """
SELECT pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')
   AND pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')
"""

_RUNNING = """
SELECT setting, source OPERATOR(pg_catalog.=) 'command line'
FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) %s
"""

#: The last line counts, and the default if there is none.
_IN_FILES = """
SELECT coalesce((SELECT f.setting FROM pg_catalog.pg_file_settings f
                 WHERE f.name OPERATOR(pg_catalog.=) s.name ORDER BY f.seqno DESC LIMIT 1), s.boot_val)
FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) %s
"""


def configured(connection: psycopg.Connection[tuple[Any, ...]]) -> Configured | None:
    """Return what is configured; None if the role may not see that. Safe under any search_path.

    Raises:
        psycopg.Error: the connection broke.
    """
    row = connection.execute(_RUNNING, [SETTING]).fetchone()
    if row is None:
        return None
    found = Configured(*row)
    if found.by_command_line or connection.execute(_MAY_READ_FILES).fetchone() != (True,):
        return found
    # What the server was started with may have been changed since.
    in_files = connection.execute(_IN_FILES, [SETTING]).fetchone()
    assert in_files is not None
    return found._replace(value=in_files[0])
