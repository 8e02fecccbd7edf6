"""Two million integers through a result, against the same rows kept in the session."""

from __future__ import annotations

from collections.abc import Mapping

from .ways import DBLINK_CALL, FLOOR, WARM, Clock

ROWS = 2_000_000

_LAUNCH = (
    b"SELECT pid, cookie FROM public.pg_background_launch('SELECT generate_series(1, 2000000)'::text, 0)"
)
_RESULT = b"SELECT count(*) FROM public.pg_background_result(%s::int4, %s::int8) AS (n int)"
_LINKED = b"SELECT count(*) FROM dblink('link', 'SELECT generate_series(1, 2000000)') AS (n int)"
# A function in FROM is materialised, as a result is.
_SESSION = b"SELECT count(*) FROM generate_series(1, 2000000) AS numbers(n)"


def measure_round(clock: Clock) -> Mapping[str, float]:
    """Count the rows once by each way; return the seconds it took."""
    seconds = {}

    def count(way: str, statement: bytes, parameters: tuple[object, ...] = (), before: float = 0) -> None:
        ((counted,),) = clock.run(statement, parameters)
        if counted != ROWS:
            raise RuntimeError(f"{way}: {counted} rows instead of {ROWS}")
        seconds[way] = before + clock.seconds

    count(FLOOR, _SESSION)
    handle = clock.run(_LAUNCH)[0]
    count(WARM, _RESULT, handle, before=clock.seconds)
    count(DBLINK_CALL, _LINKED)
    return seconds
