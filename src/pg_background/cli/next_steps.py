"""What is left to do when the extension's files are in place."""

from __future__ import annotations

from .. import preload
from ..doctor.place import CREATE
from ..doctor.preloading import Configured


def next_steps(found: Configured | None) -> str:
    """Return it as text, with the setting to be made.

    Args:
        found: what the server preloads; None if that is not known.
    """
    steps = [
        *_setting(found),
        "restart the server",
        "in each database that is to use it, as a superuser:\n"
        + "\n".join(f"     {statement};" for statement in CREATE.split("; "))
        + "\n     (where an older version is: ALTER EXTENSION pg_background UPDATE;)",
        "look whether all is well: pg-background doctor DSN",
    ]
    return "Next:\n" + "\n".join(f"  {n}. {step}" for n, step in enumerate(steps, start=1))


def _setting(found: Configured | None) -> list[str]:
    if found is None:
        return [
            f"add {preload.LIBRARY} to {preload.SETTING}, beside what is there, and after {preload.FIRST}:\n"
            f"     ALTER SYSTEM SET {preload.SETTING} = …, {preload.LIBRARY};\n"
            "     (told --dbname or --data, install prints it whole)"
        ]
    libraries = preload.split(found.value)
    wanted = preload.merged(libraries)
    if libraries == wanted:
        return []
    sql = preload.remedy(wanted, by_command_line=found.by_command_line)
    if found.by_command_line:
        return [f"start it with {sql}"]
    return [f"preload the library beside what is there:\n     {sql};\n     or {preload.as_line(wanted)}"]
