"""The fixtures, each kind in a file of its own, after those that it builds on."""

pytest_plugins = (
    "pytester",
    "tests.fix_profiles",
    "tests.fix_folders",
    "tests.fix_schema",
    "tests.fix_crash",
    "tests.fix_server",
    "tests.fix_db",
    "tests.fix_workers",
    "tests.fix_encodings",
    "tests.fix_client",
    "tests.fix_notebook",
    "tests.fix_cli",
    "tests.fix_points",
    "tests.fix_standby",
    "tests.fix_pooler",
    "tests.fix_switch",
)
