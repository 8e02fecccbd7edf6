"""How a backfill goes: those of its options that are given on the command line."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from .given import Given
from .numbers import byte_count, rate, seconds

#: The heading of these options in the help.
PACE = "Pace"


class _OnError(StrEnum):
    # "continue" can't be a name.
    go_on = "continue"
    stop = "stop"


def _options(
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="ROWS",
            envvar="PG_BACKGROUND_BACKFILL_BATCH_SIZE",
            help="Rows of the table in a range; by default 1000.",
            rich_help_panel=PACE,
        ),
    ] = None,
    target_seconds: Annotated[
        float | None,
        typer.Option(
            "--target-seconds",
            metavar="SECONDS",
            parser=seconds,
            envvar="PG_BACKGROUND_BACKFILL_TARGET_SECONDS",
            help="Let the batch size follow the time that ranges take, so that one takes so long.",
            rich_help_panel=PACE,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="NUMBER",
            envvar="PG_BACKGROUND_BACKFILL_JOBS",
            help="How many ranges run at once; by default 1.",
            rich_help_panel=PACE,
        ),
    ] = None,
    max_rows_per_second: Annotated[
        float | None,
        typer.Option(
            "--max-rows-per-second",
            metavar="ROWS",
            parser=rate,
            envvar="PG_BACKGROUND_BACKFILL_MAX_ROWS_PER_SECOND",
            help="Change no more rows than these, on average.",
            rich_help_panel=PACE,
        ),
    ] = None,
    max_lag: Annotated[
        int | None,
        typer.Option(
            "--max-lag",
            metavar="BYTES",
            parser=byte_count,
            envvar="PG_BACKGROUND_BACKFILL_MAX_LAG",
            help="Begin no range while a standby has more than this, such as 64MB, to replay.",
            rich_help_panel=PACE,
        ),
    ] = None,
    max_active: Annotated[
        int | None,
        typer.Option(
            "--max-active",
            metavar="SESSIONS",
            envvar="PG_BACKGROUND_BACKFILL_MAX_ACTIVE",
            help="Begin no range while more sessions of others than these are at work.",
            rich_help_panel=PACE,
        ),
    ] = None,
    lock_timeout: Annotated[
        float | None,
        typer.Option(
            "--lock-timeout",
            metavar="SECONDS",
            parser=seconds,
            envvar="PG_BACKGROUND_BACKFILL_LOCK_TIMEOUT",
            help="How long a range waits for a lock before it is rolled back; by default 1.",
            rich_help_panel=PACE,
        ),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries",
            metavar="NUMBER",
            envvar="PG_BACKGROUND_BACKFILL_RETRIES",
            help="How often a range is tried again after errors that pass; by default 10.",
            rich_help_panel=PACE,
        ),
    ] = None,
    on_error: Annotated[
        _OnError | None,
        typer.Option(
            "--on-error",
            metavar="WHAT",
            envvar="PG_BACKGROUND_BACKFILL_ON_ERROR",
            help="After another error of a range: continue with the others, as by default, or stop.",
            rich_help_panel=PACE,
        ),
    ] = None,
) -> dict[str, Any]:
    options = {
        "batch_size": batch_size,
        "target_seconds": target_seconds,
        "jobs": jobs,
        "max_rows_per_second": max_rows_per_second,
        "max_lag": max_lag,
        "max_active": max_active,
        "lock_timeout": lock_timeout,
        "retries": retries,
        "on_error": None if on_error is None else on_error.value,
    }
    # What is not given is as it was when the backfill was begun.
    return {name: value for name, value in options.items() if value is not None}


BackfillOptionsGiven = Annotated[dict[str, Any], Given(_options)]
