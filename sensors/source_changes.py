"""Starts a run of the tables that have new rows in their source: the newest cursor there is compared with the mirror's watermark.

Rows that keep coming do not pile up runs (see ``asking``). What a table deletes, or writes behind its cursor, is not seen from
here: the morning run and reconciliation find that.
"""

import dagster as dg

from pipelines.errors import ConfigError, DaybreakError, PrerequisiteError
from pipelines.jobs import SYNC_TABLES
from pipelines.settings import Settings, load_settings
from pipelines.sync.spec import SourceSpec
from sensors.asking import Probe, decide, read_cursor, request_run

INTERVAL_SECONDS = 300


def make_source_changes(source: SourceSpec) -> dg.SensorDefinition:
    """Return the sensor of one source."""

    @dg.sensor(
        name=f"source_changes_{source.name}",
        job_name=SYNC_TABLES,
        minimum_interval_seconds=INTERVAL_SECONDS,
        description=f"New rows in {source.name} start a sync of their tables and of what is on them.",
    )
    def source_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = load_settings()
        try:
            probes = probe_source(settings, source)
        except DaybreakError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        return request_run(context, source, decide(probes, read_cursor(context.cursor), settings.now()), "new rows in")

    return source_changes


def probe_source(settings: Settings, source: SourceSpec) -> list[Probe]:
    """Ask the source for the newest cursor of each table that has one: its schema and one index look-up a table."""
    from pipelines.sources import open_source
    from pipelines.sync.changes import describe_table
    from pipelines.wiring import open_mirror

    mirror = open_mirror(settings.state_url)
    with open_source(source.name, settings.source_url(source)) as opened:
        found = []
        for table in source.tables:
            if table.cursor:
                watermark = mirror.status(table.id).watermark
                try:
                    read_as, _ = describe_table(opened, table, mirror.schema(table.id))
                    found.append(Probe(table.name, opened.observe(read_as).max_cursor, watermark.value if watermark else None))
                except (PrerequisiteError, ConfigError):  # ``schema_drift`` and the morning tell of it; no other table waits for that
                    continue
        return found
