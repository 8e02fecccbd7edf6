"""What the pages of documentation show: blocks of code, and what they are to print."""

from __future__ import annotations

import re
from pathlib import Path

from .server import Server

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


#: Holds an index build back until a session is at its wait for it. Without that the build may look for
#: snapshots in the moment in which the CALL still has one, which then ends with 40P01, as its page says.
_HOLD_INDEX_BUILDS = """
CREATE FUNCTION hold_index_build() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  WHILE NOT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity
    WHERE datname = pg_catalog.current_database() AND backend_type = 'client backend'
      AND state = 'active' AND wait_event_type = 'Extension'
  ) LOOP
    PERFORM pg_catalog.pg_stat_clear_snapshot();
  END LOOP;
END $$;
CREATE EVENT TRIGGER hold_index_build ON ddl_command_start
  WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION hold_index_build();
"""

#: What comes after the script may build indexes without such a wait.
_LET_INDEX_BUILDS_GO = "DROP EVENT TRIGGER hold_index_build; DROP FUNCTION hold_index_build();"

#: A script goes on after an error that it promises, which is then one line.
_EXPECT_ERRORS = "\\set ON_ERROR_STOP off\n\\set VERBOSITY terse\n"


def run_sql(script: str, server: Server, dbname: str) -> None:
    """Run SQL in psql.

    Raises:
        AssertionError: it prints something else than its lines `-- → …` and `-- ERROR: …` say.
    """
    promised = re.findall(r"^-- (?:→ |(?=ERROR: ))(.*)$", script, re.MULTILINE)
    if "INDEX CONCURRENTLY" in script and "CALL pg_background_await" in script:
        script = f"{_HOLD_INDEX_BUILDS}{script}\n{_LET_INDEX_BUILDS_GO}"
    if any(line.startswith("ERROR: ") for line in promised):
        script = _EXPECT_ERRORS + script
    # An empty line is what a void function prints.
    printed = [_as_on_pages(line) for line in server.psql(script, dbname).splitlines() if line]
    assert printed == promised, f"{printed} is printed, not {promised}"


def _as_on_pages(line: str) -> str:
    """Return a line of psql's as pages show it: a process has another number each time."""
    if not line.startswith("ERROR:  "):
        return line
    return re.sub(r"\bPID \d+", "PID …", line.replace("ERROR:  ", "ERROR: ", 1))
