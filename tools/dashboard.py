"""The Grafana dashboard, as code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Chart
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

#: Of the whole server, and of what the menus have chosen in it.
_SERVER = 'server=~"$server"'
_OWNER = f'{_SERVER}, database=~"$database", role=~"$role"'
_DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True)
class Panel:
    """A panel, with its expressions and what their lines are called."""

    title: str
    lines: Sequence[tuple[str, str]]
    unit: str = "short"
    about: str = ""
    most: float | None = None
    #: from which value it is yellow, and red
    warns: tuple[float, float] | None = None


def _quantiles(metric: str) -> Sequence[tuple[str, str]]:
    return [
        (
            f"histogram_quantile({share}, sum by (le) "
            f"(rate(pg_background_{metric}_seconds_bucket{{{_OWNER}}}[$__rate_interval])))",
            f"p{share * 100:g}",
        )
        for share in (0.5, 0.95, 0.99)
    ]


def _used(name: str, unit: str = "") -> Sequence[tuple[str, str]]:
    return [
        (f"pg_background_{name}{unit}{{{_SERVER}}}", "{{server}}"),
        (f"pg_background_{name}_limit{unit}{{{_SERVER}}}", "limit of {{server}}"),
    ]


def _rate(name: str, *, by: str = "") -> str:
    labels = f" by ({by})" if by else ""
    return f"sum{labels} (rate(pg_background_{name}_total{{{_OWNER}}}[$__rate_interval]))"


_BAD = 'outcome=~"failed|timed_out|lost"'
_SATURATES = "A quantile above the last bucket is shown as that one's bound, four hours."

NOW: Sequence[Panel] = (
    Panel(
        "Servers that don't answer",
        [(f"sum(1 - pg_background_up{{{_SERVER}}})", "")],
        warns=(1, 1),
    ),
    Panel("Running", [(f'sum(pg_background_jobs{{{_OWNER}, state="running"}})', "")]),
    Panel("Queued", [(f'sum(pg_background_jobs{{{_OWNER}, state="queued"}})', "")]),
    Panel(
        "Workers in use",
        [
            (
                f'max(pg_background_workers{{{_SERVER}, state="busy"}}'
                f" / ignoring (state) pg_background_workers_limit{{{_SERVER}}})",
                "",
            )
        ],
        "percentunit",
        "Of the server that uses most of them.",
        warns=(0.7, 0.9),
    ),
    Panel(
        "Oldest queued job",
        [(f'max(pg_background_oldest_job_age_seconds{{{_OWNER}, state="queued"}})', "")],
        "s",
        warns=(60, 300),
    ),
    Panel(
        "Oldest running job",
        [(f'max(pg_background_oldest_job_age_seconds{{{_OWNER}, state="running"}})', "")],
        "s",
        warns=(1800, 3600),
    ),
)

JOBS: Sequence[Panel] = (
    Panel(
        "Jobs launched", [(_rate("jobs_launched", by="database, role"), "{{role}} in {{database}}")], "ops"
    ),
    Panel("Jobs ended, by how", [(_rate("jobs_finished", by="outcome"), "{{outcome}}")], "ops"),
    Panel(
        "Share that failed",
        [
            (
                f"sum by (database, role) (rate(pg_background_jobs_finished_total{{{_OWNER}, {_BAD}}}"
                "[$__rate_interval])) / "
                f"sum by (database, role) (rate(pg_background_jobs_finished_total{{{_OWNER}}}"
                "[$__rate_interval]))",
                "{{role}} in {{database}}",
            )
        ],
        "percentunit",
        "Jobs that failed, took too long or were lost. None where no job has ended.",
        most=1,
    ),
    Panel(
        "Jobs that have not ended",
        [(f"sum by (state) (pg_background_jobs{{{_OWNER}}})", "{{state}}")],
    ),
)

TIMES: Sequence[Panel] = (
    Panel("Wait for a worker", _quantiles("queue_wait"), "s", _SATURATES),
    Panel("Run time", _quantiles("run"), "s", _SATURATES),
    Panel(
        "Mean wait and run time",
        [
            (
                f"sum(rate(pg_background_{name}_seconds_sum{{{_OWNER}}}[$__rate_interval])) / "
                f"sum(rate(pg_background_{name}_seconds_count{{{_OWNER}}}[$__rate_interval]))",
                word,
            )
            for name, word in (("queue_wait", "wait"), ("run", "run"))
        ],
        "s",
    ),
    Panel(
        "Age of the oldest job",
        [(f"max by (state) (pg_background_oldest_job_age_seconds{{{_OWNER}}})", "{{state}}")],
        "s",
    ),
)

LIMITS: Sequence[Panel] = (
    Panel(
        "Workers",
        [
            (f"pg_background_workers{{{_SERVER}}}", "{{state}} on {{server}}"),
            (f"pg_background_workers_limit{{{_SERVER}}}", "limit of {{server}}"),
        ],
        about="Idle ones are no obstacle: they make room.",
    ),
    Panel("Entries", _used("entries"), about="Of jobs that have not ended, and of unread results."),
    Panel("Job memory", _used("memory", "_bytes"), "bytes"),
    Panel("Unread output on disk", _used("spill", "_bytes"), "bytes"),
)

COSTS: Sequence[Panel] = (
    Panel(
        "CPU",
        [(_rate("cpu_seconds", by="mode"), "{{mode}}")],
        about="Seconds per second, counted when a job ends; without parallel workers.",
    ),
    Panel("WAL", [(_rate("wal_bytes", by="database, role"), "{{role}} in {{database}}")], "Bps"),
    Panel("Temporary files", [(_rate("temp_bytes", by="database, role"), "{{role}} in {{database}}")], "Bps"),
    Panel(
        "Time to ask a server",
        [(f"pg_background_scrape_seconds{{{_SERVER}}}", "{{server}}")],
        "s",
    ),
)

ROWS = {"Jobs": JOBS, "Times": TIMES, "Limits": LIMITS, "Costs": COSTS}


def dashboard() -> str:
    """Return it as JSON."""
    made = (
        Dashboard("pg_background")
        .uid("pg-background")
        .description("Jobs in background workers of PostgreSQL, by pg-background exporter.")
        .tags(["postgresql", "pg_background"])
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name, label, query in (
        ("server", "Server", "label_values(pg_background_up, server)"),
        ("database", "Database", f"label_values(pg_background_jobs_launched_total{{{_SERVER}}}, database)"),
        ("role", "Role", f"label_values(pg_background_jobs_launched_total{{{_SERVER}}}, role)"),
    ):
        made.with_variable(_menu(name, label, query))
    for panel in NOW:
        made.with_panel(_stat(panel))
    for title, panels in ROWS.items():
        made.with_row(Row(title))
        for panel in panels:
            made.with_panel(_chart(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _menu(name: str, label: str, query: str) -> QueryVariable:
    made: QueryVariable = (
        QueryVariable(name)
        .label(label)
        .query({"query": query, "refId": name})
        .datasource(_DATASOURCE)
        .current(VariableOption(selected=True, text="All", value="$__all"))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        # Also what has no name any more.
        .all_value(".*")
    )
    return made


def _targets(panel: Panel) -> list[Dataquery]:
    return [
        Dataquery().expr(expression).legend_format(legend or panel.title).ref_id(chr(ord("A") + number))
        for number, (expression, legend) in enumerate(panel.lines)
    ]


def _stat(panel: Panel) -> Stat:
    made: Stat = Stat().title(panel.title).unit(panel.unit).datasource(_DATASOURCE).height(4).span(4)
    made.description(panel.about).graph_mode(BigValueGraphMode.NONE)
    made.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    steps = [Threshold(value=None, color="green")]
    if panel.warns:
        yellow, red = panel.warns
        steps += [Threshold(value=yellow, color="yellow")] if yellow != red else []
        steps.append(Threshold(value=red, color="red"))
    made.thresholds(ThresholdsConfig().steps(steps))
    for target in _targets(panel):
        made.with_target(target.instant())
    return made


def _chart(panel: Panel) -> Chart:
    made: Chart = Chart().title(panel.title).unit(panel.unit).datasource(_DATASOURCE).height(8).span(12)
    made.description(panel.about).fill_opacity(10).min(0)
    made.legend(
        VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
    )
    if panel.most is not None:
        made.max(panel.most)
    for target in _targets(panel):
        made.with_target(target.range())
    return made
