"""Starts a run of the tables that have new rows in their source: the newest cursor there is compared with the mirror's watermark.

Rows that keep coming do not pile up runs (see ``asking``). What a table deletes, or writes behind its cursor, is not seen from
here: the morning run and reconciliation find that.
"""

import dagster as dg

from pipelines.errors import ConfigError, PrerequisiteError
from pipelines.jobs import SYNC_TABLES
from pipelines.settings import Settings
from pipelines.sync.spec import SourceSpec
from sensors.asking import Probe, Watch, make_sensor


def make_source_changes(source: SourceSpec) -> dg.SensorDefinition:
    """Return the sensor of one source."""
    told = "New rows in {source} start a sync of their tables and of what is on them."
    return make_sensor(source, Watch("source_changes", SYNC_TABLES, told, "new rows in", probe_source))


def probe_source(settings: Settings, source: SourceSpec) -> list[Probe]:
    """Ask the source for the newest cursor of each table that has one: one index look-up a table, after one look at all schemas."""
    from pipelines.sources import open_source
    from pipelines.sync.changes import describe_table
    from pipelines.sync.schema import outline_of
    from pipelines.wiring import open_mirror

    mirror, found = open_mirror(settings.state_url), []
    with open_source(source.name, settings.source_url(source)) as opened:
        outlines = opened.outlines(source.tables)
        for table in (table for table in source.tables if table.cursor):
            known, watermark = mirror.schema(table.id), mirror.status(table.id).watermark
            is_as_known = known is not None and outlines.get(table.id) == outline_of(known)
            try:
                read_as = table if is_as_known else describe_table(opened, table, known)[0]
                found.append(Probe(table.name, opened.observe(read_as).max_cursor, watermark.value if watermark else None))
            except (PrerequisiteError, ConfigError):  # ``schema_drift`` and the morning tell of it; no other table waits for that
                continue
    return found
