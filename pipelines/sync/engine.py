"""One table, one sync: plan → read → land → gate → load → commit.

A load's rows go to Parquet first, chunk by chunk, each chunk with a manifest record (``read``). Only landed rows are gated
(``gating``), and only rows that passed are loaded, in one transaction that also writes the ledger and moves the watermark
(``load``). A process that dies leaves finished chunks; the next sync of the table goes on with them.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import replace

from ulid import ULID

from pipelines.errors import DaybreakError, LoadConflict, SchemaRefused, SourceUnavailable
from pipelines.state.mirror import Attempt
from pipelines.state.verdicts import record_verdicts
from pipelines.sync import codec, horizon, plan, windows
from pipelines.sync.changes import changes_of, describe_table, follow_gates
from pipelines.sync.context import Engine
from pipelines.sync.gating import GateRequest, gate_load
from pipelines.sync.land import identify_key
from pipelines.sync.load import ReadyLoad, changed_days, commit_load, digest_load
from pipelines.sync.model import DayDigest, DayRange, LoadPlan, Observation, TableResult, Window
from pipelines.sync.parity import most_deleted
from pipelines.sync.protocols import SchemaMoved
from pipelines.sync.read import open_folder, read_and_land
from pipelines.sync.remnants import drop_remnants
from pipelines.sync.schema import columns_to_fill, judge_changes
from pipelines.sync.shape import SchemaChange, TableSchema
from pipelines.sync.sizes import sizes_of
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step

MAX_PAUSE_SECONDS = 120
MAX_REPLANS = 3  # the schema moved, or another run committed, while this one was reading


def sync_table(engine: Engine, spec: TableSpec, days: DayRange | None = None) -> TableResult:
    """Bring one table up to date, or load ``days`` of a partitioned one again.

    Returns ``held`` when a gate or the contract keeps the data out. Raises what a retry or a person must mend: the source or
    the warehouse does not answer, the configuration is wrong, a landed file is corrupt.
    """
    for replans in range(MAX_REPLANS + 1):
        began = time.monotonic()
        try:
            with engine.mirror.attempt(spec.id, engine.run_id, is_backfill=engine.is_backfill) as attempt:
                result = _sync_once(engine, spec, days, attempt)
                attempt.finish(result.outcome, result.held_reason)
                return result
        except (SchemaMoved, LoadConflict) as error:
            engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])
            if replans == MAX_REPLANS:
                raise _restless(spec, error) from error
            if isinstance(error, LoadConflict):
                # Of two that overtake each other for ever, one waits for as long as a try takes, and then for longer.
                time.sleep(min(MAX_PAUSE_SECONDS, (time.monotonic() - began) * 2**replans * random.random()))
    raise AssertionError("the loop returns or raises")


def settle(engine: Engine, spec: TableSpec) -> None:
    """Have the mirror agree with the warehouse. Where a question costs money, the warehouse is asked only when it may know more."""
    if not engine.warehouse.is_free_to_ask and engine.mirror.agrees(spec.id, engine.warehouse.place):
        return
    pending = None if engine.warehouse.is_free_to_ask else engine.mirror.pending_load(spec.id)
    if pending:  # if it is on its way still, it cannot commit after this, so that the answer holds
        engine.warehouse.claim(spec)
    engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])
    if pending:
        engine.mirror.settle_pending(spec.id, pending)


def _sync_once(engine: Engine, spec: TableSpec, days: DayRange | None, attempt: Attempt) -> TableResult:
    settle(engine, spec)
    drop_remnants(engine, spec)
    with step("plan"):
        spec, schema = describe_table(engine.source, spec, engine.mirror.schema(spec.id))
        try:
            changes = changes_of(engine, spec, schema)
        except SchemaRefused as error:
            return _hold(engine, spec, schema, TableResult(spec.id, "held", held_reason=str(error)))
        observation = _observe(engine, spec, schema, changes)
    is_reread = _is_reread(engine, spec, schema, changes)
    wanted, left = windows.choose_days(engine, spec, days, is_reread=is_reread)
    as_of = (
        windows.complete_until(engine, spec, left, observation.observed_at) if days is None else windows.stands_as_of(engine, spec, days)
    )
    observation = replace(observation, observed_at=as_of)
    basis = windows.Basis(schema, observation, wanted, is_altered=bool(changes), is_reread=is_reread or observation.fell_from is not None)
    plans = (  # each on what the one before committed
        plan_load(engine, spec, schema, observation, window, is_asked=days is not None)
        for window in windows.list_windows(engine, spec, basis)
    )
    result = summarise(spec, [_sync_window(engine, spec, planned, attempt) for planned in plans])
    if result.outcome == "held":
        return _hold(engine, spec, schema, result)
    _note_schema(engine, spec, schema)
    if days is None:
        # A load that was gone on with is as of its own plan, not of now, whether or not anything in it was new. What changed since
        # then, also in chunks that were landed before, is looked at at once: one sync after a crash is enough.
        as_of = min(observation.observed_at, result.as_of or observation.observed_at)
        engine.mirror.record_checked(spec.id, as_of)
        if as_of < observation.observed_at:
            return summarise(spec, [result, _sync_once(engine, spec, days, attempt)])
    if left:
        told = f"{len(left)} days from {left[0]} to {left[-1]} are left to the next sync: one loads {engine.max_windows} at most"
        result = summarise(spec, [result, replace(result, loads=(), reread_rows=0, verdicts=(), note=told)])
    return result


def _observe(engine: Engine, spec: TableSpec, schema: TableSchema, changes: Sequence[SchemaChange]) -> Observation:
    """Observe the source. A fall of the cursor that an unfinished load met is one still, however far the cursor has come since."""
    known = None if _is_reread(engine, spec, schema, changes) else engine.mirror.status(spec.id).watermark
    observation = engine.source.observe(spec, known.value if known else None)
    unfinished = engine.landing.find_unfinished(spec)
    fell_from = unfinished.observation.fell_from if unfinished else None
    return replace(observation, fell_from=observation.fell_from or fell_from)


def _is_reread(engine: Engine, spec: TableSpec, schema: TableSchema, changes: Sequence[SchemaChange]) -> bool:
    """Whether whole rows that were loaded before must be read again; columns that can be filled by themselves are no reason."""
    rest = () if columns_to_fill(spec, schema, changes) else changes
    return plan.is_reread(spec, engine.mirror.status(spec.id).watermark, rest, identify_key(spec, engine.mask_key))


def _note_schema(engine: Engine, spec: TableSpec, schema: TableSchema) -> None:
    """Record a schema whose comments or defaults changed where no load did it: a new version, and no row is touched."""
    known = engine.mirror.schema(spec.id)
    if known is not None and known != schema and known.shape == schema.shape:
        told = [change.told for change in judge_changes(spec, known, schema)]
        engine.warehouse.ensure_table(spec, schema, told)
        engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])


def _sync_window(engine: Engine, spec: TableSpec, planned: LoadPlan, attempt: Attempt) -> TableResult:
    """Read, land, gate, load and commit one window."""
    if planned.window.columns:
        engine = replace(engine, throttle=engine.filling())
    with open_folder(engine, spec, planned) as folder:
        read_and_land(engine, spec, folder, attempt)
        changed, same = changed_days(engine, spec, folder.plan, digest_load(engine, spec, folder))
        if not changed and not folder.plan.window.columns:
            folder.discard()
            note, rows = _why_reread(spec, folder.plan), sum(digest.rows for digest in same)
            return TableResult(spec.id, "unchanged", reread_rows=rows, note=note, as_of=folder.plan.observation.observed_at)
        if held := _why_vanished(engine, spec, folder.plan, changed):
            folder.discard()
            return TableResult(spec.id, "held", held_reason=held)
        attempt.note("gate", folder.rows)
        engine.progress(spec, "gate", folder.rows)
        with step("gate"):
            judged = follow_gates(engine, spec, folder.plan.schema)
            sizes = sizes_of(engine, spec, folder.plan, changed)
            gated = gate_load(GateRequest(judged, folder, engine.gate, engine.time_zone, engine.warehouse.find_misfits, *sizes))
        record_verdicts(engine.mirror, gated.verdicts, folder.plan.load_id)
        if gated.held_reason:
            engine.landing.mark_held(folder, gated.held_reason, engine.clock())
            return TableResult(spec.id, "held", verdicts=gated.verdicts, held_reason=gated.held_reason, note=folder.plan.load_id)
        attempt.note("load", folder.rows)
        engine.progress(spec, "load", folder.rows)
        entry = commit_load(engine, spec, ReadyLoad(folder, gated, changed, same))
        as_of = None if folder.plan.window.columns else entry.data_as_of
        return TableResult(spec.id, "committed", (entry,), verdicts=gated.verdicts, note=_why_reread(spec, folder.plan), as_of=as_of)


def _why_vanished(engine: Engine, spec: TableSpec, planned: LoadPlan, changed: Sequence[DayDigest]) -> str | None:
    """Say why days that a back-fill read do not replace what stands: too many of its rows are gone from the source."""
    if not engine.is_backfill or engine.lets_vanish or not planned.window.days:
        return None
    known = engine.mirror.days(spec.id)
    stands = sum(known[one.day].rows for one in changed if one.day in known)
    vanished, allowed = stands - sum(one.rows for one in changed), most_deleted(spec.max_deletes, stands)
    if vanished <= allowed:
        return None
    days = f"{planned.window.days[0]} to {planned.window.days[-1]}"
    return (
        f"{vanished:,} of {stands:,} rows of {days} are gone from the source, and max_deletes lets {allowed:,} go at once; "
        "if that is right: daybreak backfill … --allow-mass-delete"
    )


def plan_load(  # noqa: PLR0913 - all that a plan is made of
    engine: Engine, spec: TableSpec, schema: TableSchema, observation: Observation, window: Window, *, is_asked: bool = False
) -> LoadPlan:
    """Decide a load: what it is about, and on which committed state it stands."""
    status = engine.mirror.status(spec.id)
    known = engine.mirror.schema(spec.id)
    if window.columns:  # a table whose older rows get a column is not newer than it was
        observation = Observation(status.data_as_of or engine.clock())
    return LoadPlan(
        load_id=str(ULID()),
        table=spec.id,
        spec_fingerprint=codec.fingerprint(spec),
        base_load_id=status.load_id,
        window=window,
        observation=observation,
        schema=schema,
        schema_version=status.schema_version + (0 if known == schema else 1),
        planned_at=engine.clock(),
        is_stream=not schema.has_unique_key,
        mask_key_id=identify_key(spec, engine.mask_key),
        is_asked=is_asked,
    )


def summarise(spec: TableSpec, results: Sequence[TableResult]) -> TableResult:
    """Return what several loads of a table came to."""
    held = [result for result in results if result.outcome == "held"]
    loads = [entry for result in results for entry in result.loads]
    return TableResult(
        table=spec.id,
        outcome="held" if held else "committed" if loads else "unchanged",
        loads=tuple(loads),
        reread_rows=sum(result.reread_rows for result in results),
        note=held[0].note if held else "; ".join(dict.fromkeys(result.note for result in results if result.note)),
        held_reason="; ".join(result.held_reason for result in held if result.held_reason) or None,
        verdicts=tuple(verdict for result in results for verdict in result.verdicts),
        as_of=min((result.as_of for result in results if result.as_of), default=None),
    )


def _hold(engine: Engine, spec: TableSpec, schema: TableSchema, result: TableResult) -> TableResult:
    """Note that the data stay out. A table held on its first load exists, empty, so that models on it build."""
    if engine.mirror.status(spec.id).load_id is None:
        engine.warehouse.ensure_table(spec, schema, ())
        engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])
    if not engine.is_backfill:  # whose days wait for a person; the table is what it was
        engine.mirror.record_held(spec.id, result.held_reason or "held", result.note or None, engine.today())
    return result


def _why_reread(spec: TableSpec, planned: LoadPlan) -> str:
    """Say why rows that may be in the warehouse already were read again."""
    if planned.is_asked:
        told = "days that were asked for were read again"
    elif spec.partition:
        told = f"the last {spec.partition.lookback_days + 1} days are read again for late rows"
    elif spec.mode == "snapshot":
        told = "a snapshot is read whole"
    elif planned.window.columns:
        told = f"older rows were read for {', '.join(planned.window.columns)}"
    elif planned.observation.fell_from:
        told = f"the cursor was at {planned.observation.fell_from} and is behind that now: all rows were read again, as they may be others"
    elif planned.window.lower is None:
        told = ""
    else:
        told = f"rows from {planned.window.lower} on are read again, so that none that was committed late is missed"
        if horizon.is_overlong(planned.observation):
            told += f"; {planned.observation.oldest_open_session} has been open since {planned.observation.oldest_open_at}"
    return told


def _restless(spec: TableSpec, error: SchemaMoved | LoadConflict) -> DaybreakError:
    if isinstance(error, LoadConflict):
        return LoadConflict(
            f"{spec.id}: other runs claimed or committed the table {MAX_REPLANS + 1} times while this one read and loaded it.",
            safe="Nothing of these attempts was committed; the other runs' state stands.",
            remedy="Run again when the other runs are over; one at a time is quickest.",
            table=spec.id,
        )
    return SourceUnavailable(
        f"{spec.id} changed its schema {MAX_REPLANS + 1} times while it was read: {error}",
        safe="Nothing of these attempts was committed.",
        remedy="Run again when the migration is over.",
        table=spec.id,
    )
