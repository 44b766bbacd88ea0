"""Reads rows again one by one, by their keys: those in quarantine that may be mended by now.

A keyed load is a load like any other (landed, gated, committed, in the ledger), but the table's watermark stays where it is.
"""

import json
from collections.abc import Sequence
from datetime import timedelta

from pipelines.errors import PrerequisiteError
from pipelines.state.mirror import Attempt
from pipelines.sync import codec
from pipelines.sync.context import Engine
from pipelines.sync.engine import plan_load, summarise, sync_table
from pipelines.sync.gating import GateRequest, gate_load
from pipelines.sync.load import ReadyLoad, commit_load
from pipelines.sync.model import NULL_KEY, Bound, LoadPlan, Observation, QuarantineEntry, TableResult, Window
from pipelines.sync.plan import DayRange
from pipelines.sync.read import read_and_land
from pipelines.sync.schema import check_names, plan_changes
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec

KEYS_PER_LOAD = 1000  # each stands in the text of the query


def replay_quarantine(engine: Engine, spec: TableSpec, key: str | None = None) -> TableResult:
    """Read the table's quarantined rows again, or the one of ``key`` (JSON), and load those that are good now.

    Rows without a whole key cannot be asked for: for them the table is synced. Raises ``PrerequisiteError`` if the schema or
    the entry changed since the last load, because then the whole table is read again anyway.
    """
    entries = engine.warehouse.read_quarantine(spec, "open", key, None)
    keys = list(dict.fromkeys(entry.key for entry in entries if entry.key and entry.reason != NULL_KEY))
    results = [reread_keys(engine, spec, [tuple(json.loads(key)) for key in keys])] if keys else []
    if unnamed := [entry for entry in entries if not entry.key or entry.reason == NULL_KEY]:
        results += _sync_unnamed(engine, spec, unnamed)
    return summarise(spec, results)


def _sync_unnamed(engine: Engine, spec: TableSpec, entries: Sequence[QuarantineEntry]) -> list[TableResult]:
    days = sorted({entry.day for entry in entries if entry.day}) if spec.partition else []
    return [sync_table(engine, spec, DayRange(day, day + timedelta(days=1))) for day in days] or [sync_table(engine, spec)]


def reread_keys(engine: Engine, spec: TableSpec, keys: Sequence[Bound]) -> TableResult:
    """Read the rows of ``keys`` again and load them: new versions replace old ones, and what fails the gates stays in quarantine."""
    results = []
    for start in range(0, len(keys), KEYS_PER_LOAD):
        with engine.mirror.attempt(spec.id, engine.run_id) as attempt:
            planned = plan_keys(engine, spec, engine.source.describe(spec), keys[start : start + KEYS_PER_LOAD])
            result = _reread(engine, spec, planned, attempt)
            attempt.finish(result.outcome, result.held_reason)
            results.append(result)
    return summarise(spec, results)


def plan_keys(engine: Engine, spec: TableSpec, schema: TableSchema, keys: Sequence[Bound]) -> LoadPlan:
    """Decide a load of single rows. Raises ``PrerequisiteError`` unless schema and entry are those of the last load."""
    check_names(spec, schema)
    if engine.warehouse.is_free_to_ask:
        engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])
    status = engine.mirror.status(spec.id)
    is_other = status.watermark is None or status.watermark.content_fingerprint != codec.content_fingerprint(spec)
    if is_other or plan_changes(spec, engine.mirror.schema(spec.id), schema):
        raise PrerequisiteError(
            [f"{spec.id}: its schema or its entry changed since the last load, so all of it is read again anyway."],
            safe="Nothing was changed.",
            remedy=f"Run `daybreak sync {spec.source} {spec.name}`.",
        )
    # The table as a whole is not newer than it was.
    observation = Observation(status.data_as_of or engine.clock())
    return plan_load(engine, spec, schema, observation, Window(keys=tuple(keys)))


def _reread(engine: Engine, spec: TableSpec, planned: LoadPlan, attempt: Attempt) -> TableResult:
    with engine.landing.open_load(spec, planned) as folder:
        read_and_land(engine, spec, folder, attempt)
        gated = gate_load(GateRequest(spec, folder, engine.gate, engine.time_zone))
        engine.mirror.record_verdicts(gated.verdicts, planned.load_id)
        if gated.held_reason:
            folder.discard()
            return TableResult(spec.id, "held", verdicts=gated.verdicts, held_reason=gated.held_reason)
        entry = commit_load(engine, spec, ReadyLoad(folder, gated))
        return TableResult(spec.id, "committed", (entry,), verdicts=gated.verdicts)
