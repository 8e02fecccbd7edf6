"""Values of every type that the server has, contrib's too, come out of a job as they are in a session."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from ..support.calls import query, read
from ..support.jobs import Connection
from . import extent as extents
from .extent import Extent
from .literals import DERIVED, TAKES, Sample, install_contrib, samples
from .tally import Tally

pytestmark = pytest.mark.slow

#: Columns of one job.
WIDTH = 100


def outcome(conn: Connection, chosen: list[Sample]) -> list[str]:
    """Return what is not as it is in the session."""
    job = "SELECT " + ", ".join(sample.expression for sample in chosen)
    columns = ", ".join(f"c{n} {sample.type_name}" for n, sample in enumerate(chosen))
    texts = ", ".join(f"c{n}::text, pg_typeof(c{n})::oid" for n in range(len(chosen)))
    plain = ", ".join(f"({one.expression})::text, pg_typeof({one.expression})::oid" for one in chosen)
    try:
        (expected,) = query(conn, f"SELECT {plain}")
        (found,) = read(conn, job, columns, texts)
    except psycopg.Error as error:
        if len(chosen) == 1:
            return [f"{chosen[0]}: {error}"]
        return [said for sample in chosen for said in outcome(conn, [sample])]
    pairs = zip(expected, found, strict=True)
    return [f"{chosen[n // 2]}: {a!r}, {b!r}" for n, (a, b) in enumerate(pairs) if a != b]


def test_values_of_every_type(conn: Connection, extent: Extent, tally: Tally) -> None:
    query(conn, "SET client_min_messages = error")
    query(conn, TAKES)
    tally.add("extensions of the server's own", len(install_contrib(conn)))
    every = samples(conn)
    kinds = Counter(sample.kind for sample in every)
    # A server has a base type, a domain, a catalogue's row, and a range, at the very least.
    assert {*DERIVED, "kind b", "kind c", "kind d", "kind r", "kind m"} <= set(kinds)
    chance = extents.chance("types")
    chance.shuffle(every)
    chosen = every[: extent.typed_values or None]
    wrong = []
    for first in range(0, len(chosen), WIDTH):
        wrong += outcome(conn, chosen[first : first + WIDTH])
        tally.jobs(1)
    tally.add("values of every type compared", len(chosen))
    tally.add("types of which values were compared", len({sample.type_name for sample in chosen}))
    assert not wrong, "\n".join(wrong)
