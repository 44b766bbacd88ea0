"""Starts a run of the tables whose schema changed in the source: its outline there is compared with the last committed one.

The run does what is lossless, as any sync would, and fills new columns; what a person must decide is held and told by it, once: the
same change is not asked for again until the source changes further. One catalog query a source and tick.
"""

from dataclasses import replace

import dagster as dg

from pipelines.jobs import EVOLVE_SCHEMA
from pipelines.settings import Settings
from pipelines.sync.spec import SourceSpec
from sensors.asking import Probe, Watch, make_sensor

GONE = "gone"


def make_schema_drift(source: SourceSpec) -> dg.SensorDefinition:
    """Return the sensor of one source."""
    told = "A migration of {source} starts a sync of the changed tables and of what is on them."
    return make_sensor(source, Watch("schema_drift", EVOLVE_SCHEMA, told, "a migration of", probe_schemas))


def probe_schemas(settings: Settings, source: SourceSpec) -> list[Probe]:
    """Return the outline of each table in the source and as it was committed; a table that was never loaded has nothing to follow."""
    from pipelines.sources import open_source
    from pipelines.sync.schema import outline_of
    from pipelines.wiring import open_mirror

    mirror = open_mirror(settings.state_url)
    known = {table.id: schema for table in source.tables if (schema := mirror.schema(table.id))}
    if not known:
        return []
    with open_source(source.name, settings.source_url(source)) as opened:
        outlines = dict(opened.outlines(source.tables))
        missing = [table for table in source.tables if table.id in known and table.id not in outlines]
        outlines |= opened.outlines([replace(table, followed=known[table.id].relation) for table in missing]) if missing else {}
    probes = []
    for table in (table for table in source.tables if table.id in known):
        held_at = mirror.status(table.id).held_at
        answered_at = settings.in_project_time(held_at) if held_at else None
        probes.append(Probe(table.name, outlines.get(table.id, GONE), outline_of(known[table.id]), answered_at))
    return probes
