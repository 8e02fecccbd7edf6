"""Migrations that Alembic itself runs."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config

_ENV = """
from alembic import context
from sqlalchemy import create_engine

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()
"""


def upgrade(folder: Path, migration: str, url: str, *, offline: bool = False) -> str:
    """Run one migration in a new environment, or print it.

    Args:
        folder: an empty one.
        migration: the Python of its file.
        url: SQLAlchemy's.

    Returns:
        What was printed.
    """
    versions = folder / "versions"
    versions.mkdir()
    (folder / "env.py").write_text(_ENV)
    (versions / "first.py").write_text(migration)
    printed = StringIO()
    config = Config(output_buffer=printed)
    options = {"script_location": str(folder), "path_separator": "os", "sqlalchemy.url": url}
    for name, value in options.items():
        config.set_main_option(name, value.replace("%", "%%"))
    command.upgrade(config, "head", sql=offline)
    return printed.getvalue()
