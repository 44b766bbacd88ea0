"""Reads rows again one by one, by their keys: those in quarantine that may be mended by now, and those that a comparison found.

A keyed load is a load like any other (landed, gated, committed, in the ledger), but the table's watermark stays where it is.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from pipelines.errors import LoadConflict, PrerequisiteError, SourceUnavailable
from pipelines.landing.store import LoadFolder
from pipelines.state.mirror import Attempt
from pipelines.state.verdicts import record_verdicts
from pipelines.sync.changes import changes_of, describe_table, follow_gates
from pipelines.sync.context import Engine
from pipelines.sync.engine import MAX_REPLANS, plan_load, settle, summarise, sync_table
from pipelines.sync.gating import GateRequest, gate_load
from pipelines.sync.land import identify_key
from pipelines.sync.load import ReadyLoad, commit_load
from pipelines.sync.model import Bound, DayRange, LoadPlan, Observation, TableResult, Window
from pipelines.sync.plan import is_reread
from pipelines.sync.protocols import SchemaMoved
from pipelines.sync.quarantined import WaitingRows
from pipelines.sync.read import read_and_land
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec

KEYS_PER_LOAD = 1000  # each stands in the text of the query


def replay_quarantine(engine: Engine, spec: TableSpec, key: str | None = None) -> TableResult:
    """Read the table's quarantined rows again, or the one of ``key`` (JSON), and load those that are good now.

    Rows without a whole key cannot be asked for: for them the table is synced. Raises ``PrerequisiteError`` if the schema or
    the entry changed since the last load, because then the whole table is read again anyway.
    """
    waiting = engine.warehouse.find_waiting(spec, key)
    results = [reread_keys(engine, spec, [tuple(json.loads(text)) for text in waiting.keys])] if waiting.keys else []
    if waiting.unnamed:
        results += _sync_unnamed(engine, spec, waiting)
    return summarise(spec, results)


def _sync_unnamed(engine: Engine, spec: TableSpec, waiting: WaitingRows) -> list[TableResult]:
    days = waiting.unnamed_days if spec.partition else ()
    return [sync_table(engine, spec, DayRange(day, day + timedelta(days=1))) for day in days] or [sync_table(engine, spec)]


@dataclass(frozen=True)
class Removal:
    """Rows that were asked for and are gone from the source are deleted. ``released_by``: who overruled the guard, for the ledger."""

    released_by: str | None = None


def reread_keys(engine: Engine, spec: TableSpec, keys: Sequence[Bound], removal: Removal | None = None) -> TableResult:
    """Read the rows of ``keys`` again and load them: new versions replace old ones, and what fails the gates stays in quarantine.

    In an incremental table a row that is gone from the source stays, unless there is a ``removal``; the other modes follow deletes.
    """
    batches = (keys[start : start + KEYS_PER_LOAD] for start in range(0, len(keys), KEYS_PER_LOAD))
    return summarise(spec, [_reread_batch(engine, spec, batch, removal) for batch in batches])


def _reread_batch(engine: Engine, spec: TableSpec, keys: Sequence[Bound], removal: Removal | None) -> TableResult:
    """Read one load's keys again, planned anew while other runs commit the table or its schema moves."""
    for _ in range(MAX_REPLANS + 1):
        try:
            with engine.mirror.attempt(spec.id, engine.run_id) as attempt:
                found, schema = describe_table(engine.source, spec, engine.mirror.schema(spec.id))
                planned = plan_keys(engine, found, schema, keys)
                result = _reread(engine, found, planned, attempt, removal)
                attempt.finish(result.outcome, result.held_reason)
                return result
        except (SchemaMoved, LoadConflict):
            engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])
    raise SourceUnavailable(
        f"other runs committed the table, or its schema moved, {MAX_REPLANS + 1} times while its rows were read again.",
        safe="What was read again before is committed; the rest is as it was.",
        remedy="Run again when the other run is over.",
        table=spec.id,
    )


def plan_keys(engine: Engine, spec: TableSpec, schema: TableSchema, keys: Sequence[Bound]) -> LoadPlan:
    """Decide a load of single rows. Raises ``PrerequisiteError`` unless schema and entry are those of the last load."""
    settle(engine, spec)
    status = engine.mirror.status(spec.id)
    is_other = status.watermark is None or is_reread(spec, status.watermark, (), identify_key(spec, engine.mask_key))
    if is_other or changes_of(engine, spec, schema):
        raise PrerequisiteError(
            [f"{spec.id}: its schema or its entry changed since the last load, so all of it is read again anyway."],
            safe="Nothing was changed.",
            remedy=f"Run `daybreak sync {spec.source} {spec.name}`.",
        )
    # The table as a whole is not newer than it was.
    observation = Observation(status.data_as_of or engine.clock())
    return plan_load(engine, spec, schema, observation, Window(keys=tuple(keys)))


@contextmanager
def _discarding(folder: LoadFolder) -> Iterator[None]:
    """Delete the landed rows if they could not be loaded: they are asked for again as a whole, and the plan names them."""
    try:
        yield
    except BaseException:
        folder.discard()
        raise


def _reread(engine: Engine, spec: TableSpec, planned: LoadPlan, attempt: Attempt, removal: Removal | None) -> TableResult:
    with engine.landing.open_load(spec, planned) as folder, _discarding(folder):
        read_and_land(engine, spec, folder, attempt)
        judged = follow_gates(engine, spec, planned.schema)
        gated = gate_load(GateRequest(judged, folder, engine.gate, engine.time_zone, engine.warehouse.find_misfits))
        record_verdicts(engine.mirror, gated.verdicts, planned.load_id)
        if gated.held_reason:
            folder.discard()  # the rows stay in quarantine, which has their text
            return TableResult(spec.id, "held", verdicts=gated.verdicts, held_reason=gated.held_reason)
        released_by = removal.released_by if removal else None
        ready = ReadyLoad(folder, gated, released_by=released_by, removes_missing=removal is not None)
        entry = commit_load(engine, spec, ready)
        return TableResult(spec.id, "committed", (entry,), verdicts=gated.verdicts)
