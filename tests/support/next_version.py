"""A made-up next version of both extensions: what a release may change, once each."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from unittest import mock

from pg_background.server import Build, Installation, build
from pg_background.server.building import default_folder, sources
from tools.update_scripts import RELEASES, Old, Origin, Release, script

OLD = "3.0"
NEW = "3.1"

_ATTRIBUTE = "ALTER TYPE pg_background_stats ADD ATTRIBUTE workers_lost int8;"

_GONE = (
    (Old("pg_background_full_sql", "(int4, int8)"),),
    (Old("pg_background_purge_v2", "()"),),
)

_REGISTRY = (Old("pg_background_registry", "()"),)

_ORIGIN = Origin(
    OLD,
    (_ATTRIBUTE, "ALTER TABLE pg_background_history_rows ADD COLUMN attempts int8;"),
    ((Old("pg_background_jobs", kind="VIEW"), Old("pg_background_all_jobs", "()")), *_GONE, _REGISTRY),
)

#: In each file of `extension/`, what is there and what takes its place.
_CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "src/columns.pxd": (
        (f'return b"{OLD}"', f'return b"{NEW}"'),
        ("    STATS_COLUMNS\n", "    STATS_WORKERS_LOST\n    STATS_COLUMNS\n"),
        ('b"888884d4"', 'b"888884d48"'),
        ("    REGISTRY_COLUMNS\n", "    REGISTRY_MADE_UP\n    REGISTRY_COLUMNS\n"),
        ('b"4444488"', 'b"44444888"'),
        ("    JOBS_COLUMNS\n", "    JOBS_ATTEMPTS\n    JOBS_COLUMNS\n"),
        ('b"484oottzzz8tttt4t88"', 'b"484oottzzz8tttt4t884"'),
    ),
    "src/pg_background/views/list.pyx": (
        (
            "    return row_datum(fcinfo, registry_types(),",
            "    values[REGISTRY_MADE_UP] = Int64GetDatum(5)\n    return row_datum(fcinfo, registry_types(),",
        ),
        (
            "    return session\n",
            "    values[STATS_WORKERS_LOST] = Int64GetDatum(77)\n    return session\n",
        ),
    ),
    "src/pg_background/views/jobs.pyx": (
        (
            "    tuplestore_putvalues(",
            "    values[JOBS_ATTEMPTS] = Int32GetDatum(1)\n    nulls[JOBS_ATTEMPTS] = False\n"
            "    tuplestore_putvalues(",
        ),
    ),
    "src/pg_background/history/row.pyx": (
        ("    ROW_COLUMNS\n", "    ROW_ATTEMPTS\n    ROW_COLUMNS\n"),
        ('wal_bytes, waits")', 'wal_bytes, waits, attempts")'),
        ("if column == ROW_ROW_COUNT:", "if column == ROW_ROW_COUNT or column == ROW_ATTEMPTS:"),
        (
            "    values[ROW_ROLE_OID] =",
            "    values[ROW_ATTEMPTS] = Int64GetDatum(1)\n    values[ROW_ROLE_OID] =",
        ),
    ),
    "src/pg_background/settings/settings.pyx": (
        ("cdef int setting_max_workers\n", "cdef int setting_max_workers\ncdef int setting_made_up\n"),
        (
            "    define_limits()\n",
            '    define_setting("pg_background.made_up", "Made up.", NULL,\n'
            "                   &setting_made_up, 5, 0, 10, PGC_USERSET, 0)\n    define_limits()\n",
        ),
    ),
    "src/pg_background/compat/bare_pid.pyx": (
        (
            "cdef public Datum pgbg_pid(",
            "cdef public Datum pgbg_added(FunctionCallInfo fcinfo) noexcept nogil:\n"
            "    return Int32GetDatum(31)\n\n\ncdef public Datum pgbg_pid(",
        ),
    ),
    "src/shim/symbols.h": (
        ("SQL_FUNCTION(pgbg_launch);\n", "SQL_FUNCTION(pgbg_launch);\nSQL_FUNCTION(pgbg_added);\n"),
    ),
    f"sql/pg_background--{NEW}.sql": (
        (f"needed text := '{OLD}'", f"needed text := '{NEW}'"),
        (
            "avg_execution_ms float8, max_workers int4)",
            "avg_execution_ms float8, max_workers int4, workers_lost int8)",
        ),
        (
            "CREATE FUNCTION pg_background_purge_v2()\nRETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_purge'",
            "CREATE FUNCTION pg_background_added()\nRETURNS int4 AS 'MODULE_PATHNAME', 'pgbg_added'",
        ),
        (
            "pg_background_full_sql(pid int4, cookie int8)",
            "pg_background_full_sql(pid int4, cookie int8, most int4 DEFAULT 0)",
        ),
        ("OUT spill_bytes int8)", "OUT spill_bytes int8, OUT made_up int8)"),
        ("OUT temp_bytes int8)", "OUT temp_bytes int8, OUT attempts int4)"),
        ("j.result_bytes, j.temp_bytes\n", "j.result_bytes, j.temp_bytes, j.attempts\n"),
        ("  waits jsonb);", "  waits jsonb, attempts int8);"),
        ("h.wal_bytes, h.waits\n", "h.wal_bytes, h.waits, h.attempts\n"),
    ),
    f"sql/pg_background_cluster--{NEW}.sql": (
        (f"needed text := '{OLD}'", f"needed text := '{NEW}'"),
        (
            "CREATE FUNCTION cluster_node_id()",
            "CREATE FUNCTION cluster_added() RETURNS int4 LANGUAGE sql AS 'SELECT 31';\n\n"
            "CREATE FUNCTION cluster_node_id()",
        ),
    ),
    "pg_background.control": ((f"default_version = '{OLD}'", f"default_version = '{NEW}'"),),
    "pg_background_cluster.control": ((f"default_version = '{OLD}'", f"default_version = '{NEW}'"),),
}


def releases(folder: Path) -> tuple[Release, ...]:
    """Return both extensions' releases of that version, whose sources are in this folder."""
    core, cluster = RELEASES
    older = (
        replace(origin, first=(*origin.first, _ATTRIBUTE), replaced=(*origin.replaced, *_GONE))
        if origin.version == "2.0"
        else origin
        for origin in core.origins
    )
    return (
        replace(core, target=NEW, origins=(_ORIGIN, *older), folder=folder),
        replace(cluster, target=NEW, origins=(Origin(OLD),), folder=folder),
    )


def write_sources(folder: Path) -> None:
    """Make the sources of that version as a release makes them, its update scripts too."""
    shutil.copytree(sources(), folder, ignore=shutil.ignore_patterns("pg_background--*--*.sql"))
    for name in ("pg_background", "pg_background_cluster"):
        shutil.copyfile(folder / f"sql/{name}--{OLD}.sql", folder / f"sql/{name}--{NEW}.sql")
    for name, changes in _CHANGES.items():
        text = (folder / name).read_text()
        for old, new in changes:
            assert text.count(old) == 1, (name, old, text.count(old))
            text = text.replace(old, new)
        (folder / name).write_text(text)
    for release in releases(folder):
        for origin in release.origins:
            release.updating(origin).write_text(script(release, origin))
    build_file = folder / "meson.build"
    text = build_file.read_text()
    for path in (folder / "sql").glob("*.sql"):
        if f"sql/{path.name}" not in text:
            text = text.replace("install_data(", f"install_data('sql/{path.name}', ", 1)
    for path in sources().glob("sql/pg_background--*--*.sql"):
        text = text.replace(f"'sql/{path.name}',", "")
    build_file.write_text(text)


def build_next(installation: Installation, folder: Path) -> Build:
    """Build that version for a server; `folder` gets its sources."""
    write_sources(folder)
    kept = default_folder(installation)
    with mock.patch("pg_background.server.building.sources", return_value=folder):
        return build(installation, folder=kept.with_name(f"{kept.name}-next"))
