"""Starts a run of the tables that have new rows in their source.

The decision compares the source's newest cursor with the mirror's watermark, so it does not matter whether a tick was missed, doubled
or late. A table that was asked for is not asked for again until something of it was committed, or its run had all the time it
needs: rows that keep coming do not pile up runs. What a table deletes, or writes behind its cursor, is not seen from here: the
morning run and reconciliation find that.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from pipelines.assets.ingestion import raw_key
from pipelines.errors import DaybreakError
from pipelines.jobs import SYNC_TABLES
from pipelines.settings import Settings, load_settings
from pipelines.sync.spec import SourceSpec

INTERVAL_SECONDS = 300
# A run that has committed nothing of a table by then is taken for dead or held, and the table is asked for again.
PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Probe:
    """The newest cursor of a table in its source, and in the warehouse."""

    table: str
    source_value: str | None
    committed_value: str | None


@dataclass(frozen=True)
class Asked:
    """The last run that was started for a table: what was new then, what was committed then, and how often that was tried."""

    value: str
    committed: str | None
    attempt: int
    at: datetime


@dataclass(frozen=True)
class Decision:
    """The tables to sync now, what to remember, and why nothing is done if so."""

    tables: tuple[str, ...]
    asked: Mapping[str, Asked]
    run_key: str | None
    skip_reason: str | None


def decide(probes: Sequence[Probe], asked: Mapping[str, Asked], now: datetime) -> Decision:
    """Return the tables whose source has a cursor that is neither committed nor on its way."""
    behind = [probe for probe in probes if probe.source_value is not None and probe.source_value != probe.committed_value]
    due = [probe for probe in behind if not _is_on_its_way(probe, asked.get(probe.table), now)]
    remembered = {probe.table: asked[probe.table] for probe in behind if probe.table in asked}
    if not due:
        reason = "nothing new" if not behind else f"on its way: {', '.join(probe.table for probe in behind)}"
        return Decision((), remembered, None, reason)
    remembered |= {probe.table: _ask(probe, asked.get(probe.table), now) for probe in due}
    tables = tuple(sorted(probe.table for probe in due))
    # Without the time: a tick that is evaluated again, as its cursor was not saved, must come to the same key.
    content = json.dumps([(table, remembered[table].value, remembered[table].committed, remembered[table].attempt) for table in tables])
    return Decision(tables, remembered, hashlib.sha256(content.encode()).hexdigest()[:16], None)


def _is_on_its_way(probe: Probe, asked: Asked | None, now: datetime) -> bool:
    return asked is not None and asked.committed == probe.committed_value and now - asked.at < PATIENCE


def _ask(probe: Probe, before: Asked | None, now: datetime) -> Asked:
    is_again = before is not None and before.committed == probe.committed_value
    return Asked(probe.source_value or "", probe.committed_value, before.attempt + 1 if before and is_again else 1, now)


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
        decision = decide(probes, read_cursor(context.cursor), settings.now())
        cursor = write_cursor(decision.asked)
        if decision.run_key is None:
            return dg.SensorResult(skip_reason=decision.skip_reason, cursor=cursor)
        chosen = dg.AssetSelection.assets(*[raw_key(source.table(name)) for name in decision.tables]).downstream()
        request = dg.RunRequest(
            run_key=decision.run_key,
            asset_selection=sorted(chosen.resolve(_graph(context))),
            tags={"daybreak/because": f"new rows in {', '.join(decision.tables)}"},
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return source_changes


def _graph(context: dg.SensorEvaluationContext) -> Any:  # noqa: ANN401 - its class has no public name
    if context.repository_def is None:
        raise RuntimeError("a sensor is evaluated inside a repository")
    return context.repository_def.asset_graph


def probe_source(settings: Settings, source: SourceSpec) -> list[Probe]:
    """Ask the source for the newest cursor of each table that has one: one index look-up a table."""
    from pipelines.sources import open_source
    from pipelines.wiring import open_mirror

    mirror = open_mirror(settings.state_url)
    with open_source(source.name, settings.source_url(source)) as opened:
        found = []
        for table in source.tables:
            if table.cursor:
                watermark = mirror.status(table.id).watermark
                found.append(Probe(table.name, opened.observe(table).max_cursor, watermark.value if watermark else None))
        return found


def read_cursor(text: str | None) -> dict[str, Asked]:
    """Return what was asked for, from the sensor's cursor; nothing from one of another release."""
    stored = json.loads(text) if text else {}
    try:
        return {table: Asked(**{**item, "at": datetime.fromisoformat(item["at"])}) for table, item in stored.items()}
    except (KeyError, TypeError, ValueError):
        return {}


def write_cursor(asked: Mapping[str, Asked]) -> str:
    """Return the sensor's cursor."""
    return json.dumps({table: {**asdict(item), "at": item.at.isoformat()} for table, item in asked.items()})
