"""How a sensor decides which tables to ask a run for, whatever it looks at: what the source has and what is committed are compared.

So it does not matter whether a tick was missed, doubled or late. A table that was asked for is not asked for again until something of
it was committed, or its run had all the time it needs. Not here: where the values come from.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from pipelines.assets.ingestion import BECAUSE, raw_key
from pipelines.errors import DaybreakError
from pipelines.settings import Settings, load_settings
from pipelines.sync.spec import SourceSpec

INTERVAL_SECONDS = 300
# A run that has committed nothing of a table by then is taken for dead, and the table is asked for again.
PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Probe:
    """A value of a table in its source (its newest cursor, its outline), and the one that is committed.

    ``answered_at``: when a run was last kept from following the source; the same value is not asked for again after that.
    """

    table: str
    source_value: str | None
    committed_value: str | None
    answered_at: datetime | None = None


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
    """Return the tables whose source has a value that is neither committed, nor on its way, nor answered."""
    behind = [probe for probe in probes if probe.source_value is not None and probe.source_value != probe.committed_value]
    due = [probe for probe in behind if not _is_on_its_way(probe, asked.get(probe.table), now)]
    remembered = {probe.table: asked[probe.table] for probe in behind if probe.table in asked}
    if not due:
        reason = "nothing new" if not behind else f"on its way, or waiting for a person: {', '.join(probe.table for probe in behind)}"
        return Decision((), remembered, None, reason)
    remembered |= {probe.table: _ask(probe, asked.get(probe.table), now) for probe in due}
    tables = tuple(sorted(probe.table for probe in due))
    # Without the time: a tick that is evaluated again, as its cursor was not saved, must come to the same key.
    content = json.dumps([(table, remembered[table].value, remembered[table].committed, remembered[table].attempt) for table in tables])
    return Decision(tables, remembered, hashlib.sha256(content.encode()).hexdigest()[:16], None)


def _is_on_its_way(probe: Probe, asked: Asked | None, now: datetime) -> bool:
    if asked is None or asked.committed != probe.committed_value:
        return False
    is_answered = probe.answered_at is not None and probe.answered_at >= asked.at and asked.value == probe.source_value
    return is_answered or now - asked.at < PATIENCE


def _ask(probe: Probe, before: Asked | None, now: datetime) -> Asked:
    is_again = before is not None and before.committed == probe.committed_value
    return Asked(probe.source_value or "", probe.committed_value, before.attempt + 1 if before and is_again else 1, now)


@dataclass(frozen=True)
class Watch:
    """What a sensor of a source is: its name and job, what it tells people, and what it looks at."""

    name: str
    job: str
    description: str
    because: str  # before the tables' names, in the run's tag
    probe: Callable[[Settings, SourceSpec], Sequence[Probe]]


def make_sensor(source: SourceSpec, watch: Watch) -> dg.SensorDefinition:
    """Return the sensor that probes ``source`` every five minutes and asks for a run of the tables that are behind."""

    @dg.sensor(
        name=f"{watch.name}_{source.name}",
        job_name=watch.job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        description=watch.description.format(source=source.name),
    )
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = load_settings()
        try:
            probes = watch.probe(settings, source)
        except DaybreakError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        return _request_run(context, source, decide(probes, read_cursor(context.cursor), settings.now()), watch.because)

    return tick


def _request_run(context: dg.SensorEvaluationContext, source: SourceSpec, decision: Decision, because: str) -> dg.SensorResult:
    """Return the tick's result: a run of the decision's tables and of all that is on them, or why there is none."""
    cursor = write_cursor(decision.asked)
    if decision.run_key is None:
        return dg.SensorResult(skip_reason=decision.skip_reason, cursor=cursor)
    if context.repository_def is None:
        raise RuntimeError("a sensor is evaluated inside a repository")
    chosen = dg.AssetSelection.assets(*[raw_key(source.table(name)) for name in decision.tables]).downstream()
    request = dg.RunRequest(
        run_key=decision.run_key,
        asset_selection=sorted(chosen.resolve(context.repository_def.asset_graph)),
        tags={BECAUSE: f"{because} {', '.join(decision.tables)}"},
    )
    return dg.SensorResult(run_requests=[request], cursor=cursor)


def read_cursor(text: str | None) -> dict[str, Asked]:
    """Return what was asked for, from the sensor's cursor; nothing from one of another release."""
    stored: dict[str, Any] = json.loads(text) if text else {}
    try:
        return {table: Asked(**{**item, "at": datetime.fromisoformat(item["at"])}) for table, item in stored.items()}
    except (KeyError, TypeError, ValueError):
        return {}


def write_cursor(asked: Mapping[str, Asked]) -> str:
    """Return the sensor's cursor."""
    return json.dumps({table: {**asdict(item), "at": item.at.isoformat()} for table, item in asked.items()})
