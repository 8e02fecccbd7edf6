"""The fixtures, each kind in a file of its own, after those that it builds on."""

pytest_plugins = (
    "pytester",
    "tests.support.fix_profiles",
    "tests.support.fix_folders",
    "tests.support.fix_schema",
    "tests.support.fix_crash",
    "tests.support.fix_limit",
    "tests.support.fix_checker",
    "tests.support.fix_server",
    "tests.support.fix_db",
    "tests.support.fix_workers",
    "tests.support.fix_fairness",
    "tests.support.fix_encodings",
    "tests.support.fix_client",
    "tests.support.fix_notebook",
    "tests.support.fix_cli",
    "tests.support.fix_points",
    "tests.support.fix_standby",
    "tests.support.fix_pooler",
    "tests.support.fix_switch",
    "tests.support.fix_cluster",
)
