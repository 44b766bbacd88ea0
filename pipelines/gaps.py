"""The work list of the project: what should be in the warehouse and is not, of every table. Asks the mirror alone."""

from datetime import UTC, datetime, timedelta

from pipelines.settings import Settings
from pipelines.state.backfills import unfinished_backfills
from pipelines.state.mirror import Mirror
from pipelines.sync.gaps import Gap, Rest, Standing, find_gaps
from pipelines.sync.spec import FRESH_HOURS, TableSpec


def list_gaps(settings: Settings, mirror: Mirror, source: str | None = None, table: str | None = None) -> list[Gap]:
    """Return the gaps of the tables (all if none is named), in the catalog's order. Raises ``ConfigError`` for unknown names."""
    sources = settings.sources() if source is None else (settings.source(source),)
    tables = settings.tables(sources[0].name, [table])[1] if table else [one for found in sources for one in found.tables]
    now, patience = datetime.now(UTC), timedelta(hours=FRESH_HOURS)
    return [gap for spec in tables for gap in find_gaps(spec, _standing(mirror, spec), now, patience)]


def _standing(mirror: Mirror, spec: TableSpec) -> Standing:
    unfinished = [one for one in unfinished_backfills(mirror, spec.id) if not one.is_at_work]
    left = [Rest(one.left, one.note if one.state == "held" else None) for one in unfinished]
    if spec.partition is None:
        return Standing(mirror.status(spec.id), compared=mirror.parity(spec.id), unfinished=left)
    days, compared = [day for day in mirror.days(spec.id) if day], mirror.parity(spec.id)
    since = compared["source_as_of"] if compared else None
    return Standing(mirror.status(spec.id), days, mirror.days_committed_since(spec.id, since) if since else (), compared, left)
