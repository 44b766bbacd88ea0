"""What starts a run when something changed: one file per sensor, a pure decision function and a thin tick."""

from collections.abc import Sequence

import dagster as dg

from pipelines.sync.spec import SourceSpec
from sensors.backfill_gaps import make_backfill_gaps
from sensors.schema_drift import make_schema_drift
from sensors.source_changes import make_source_changes


def make_sensors(sources: Sequence[SourceSpec]) -> list[dg.SensorDefinition]:
    """Return every sensor of the project."""
    return [*(make(source) for source in sources for make in (make_source_changes, make_schema_drift)), *make_backfill_gaps(sources)]
