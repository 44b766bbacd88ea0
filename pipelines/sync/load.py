"""Load and commit: what of a landed load is new at all, and the hand-over to the warehouse's one transaction."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from pipelines.errors import CommitUnknown, LandingCorrupt, LoadConflict
from pipelines.landing import scan
from pipelines.landing.store import LoadFolder
from pipelines.sync import codec, horizon
from pipelines.sync.changes import changes_of
from pipelines.sync.context import Engine
from pipelines.sync.gating import GatedLoad
from pipelines.sync.model import DayDigest, LedgerEntry, LoadPlan, Observation, StagedLoad, Watermark
from pipelines.sync.plan import is_reread
from pipelines.sync.read import is_untouched
from pipelines.sync.schema import DELETED_AT, columns_to_fill, judge_changes, landed_columns, raw_columns
from pipelines.sync.shape import SchemaChange, TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step

LEDGER_TRIES = 5  # after a commit of unknown outcome, with a growing pause


def digest_load(engine: Engine, spec: TableSpec, folder: LoadFolder) -> tuple[DayDigest, ...]:
    """Return the digest of each day of the load, or one of the whole."""
    columns = [column.name for column in raw_columns(spec, folder.plan.schema)]
    if folder.plan.window.columns:
        return ()  # what the next read returns is another thing
    if not spec.partition or folder.plan.window.is_null:
        return (scan.digest_all(folder.files, columns),)
    type_ = folder.plan.schema.column(spec.partition.column).arrow_type
    day = scan.day_expression(scan.quote(spec.partition.column), pa.types.is_timestamp(type_) and type_.tz is not None, engine.time_zone)
    found = {digest.day: digest for digest in scan.digest_days(folder.files, columns, day)}
    if strange := [day for day in found if day not in folder.plan.window.days and day is not None]:
        # Two calendars, the source's and DuckDB's, cut the days; rows between them would be lost or doubled.
        raise LandingCorrupt(
            f"rows of {', '.join(map(str, strange[:3]))} were read for {folder.plan.window.days[0]} to {folder.plan.window.days[-1]}.",
            safe="Nothing was committed; the last load stands.",
            remedy=f"Update the time zone data of Python and DuckDB: they do not agree on {engine.time_zone}.",
            table=spec.id,
            load_id=folder.plan.load_id,
        )
    # A day without rows is a committed day too, else it would be missing for ever.
    return tuple(found.get(day, DayDigest(day, 0, "0")) for day in folder.plan.window.days)


def changed_days(
    engine: Engine, spec: TableSpec, planned: LoadPlan, digests: tuple[DayDigest, ...]
) -> tuple[tuple[DayDigest, ...], tuple[DayDigest, ...]]:
    """Split the digests into those that differ from the committed ones and those that do not."""
    watermark = engine.mirror.status(spec.id).watermark
    if (
        watermark is None
        or planned.observation.fell_from  # what is committed must not say any more that the cursor was further
        or watermark.spec_fingerprint != planned.spec_fingerprint
        or (spec.marks_deleted and not watermark.has_marks)  # models on the table may name the column, so it comes with this sync
        or not _is_shaped_like(engine.mirror.schema(spec.id), planned)
    ):
        return digests, ()
    if spec.partition:
        committed = engine.mirror.days(spec.id)
        nothing = DayDigest(None, 0, "0")
        same = tuple(digest for digest in digests if committed.get(digest.day, nothing if planned.window.is_null else None) == digest)
    else:
        same = tuple(digest for digest in digests if watermark.digest == digest)
    return tuple(digest for digest in digests if digest not in same), same


def _is_shaped_like(known: TableSchema | None, planned: LoadPlan) -> bool:
    return known is not None and known.shape == planned.schema.shape


@dataclass(frozen=True)
class ReadyLoad:
    """A gated load, and what is known of its content. ``same`` are days that were read again and stand unchanged."""

    folder: LoadFolder
    gated: GatedLoad
    changed: tuple[DayDigest, ...] = ()
    same: tuple[DayDigest, ...] = ()
    released_by: str | None = None
    forgotten_by: str | None = None
    removes_missing: bool = False  # rows of the window's keys that are gone are deleted, also where deletes are not followed


def commit_load(engine: Engine, spec: TableSpec, ready: ReadyLoad) -> LedgerEntry:
    """Claim the table, commit the load, and copy the outcome to the mirror. Raises ``LoadConflict`` if another run was faster."""
    folder = ready.folder
    engine.throttle.before_commit(spec.id)
    with step("claim"):
        token = engine.warehouse.claim(spec)
    staged = _stage(engine, spec, ready, token)
    engine.mirror.record_pending(spec.id, folder.plan.load_id)
    with step("commit"):
        try:
            entry = engine.warehouse.commit(staged)
        except CommitUnknown as error:
            entry = _ask_ledger(engine, staged, error)
        except LoadConflict:  # it was not committed, and will not be
            engine.mirror.settle_pending(spec.id, folder.plan.load_id)
            raise
    with step("mirror"):
        # Other days may have lost their digests: see `Warehouse.commit`. And a new schema has a history.
        if spec.partition or staged.plan.schema_version != engine.mirror.status(spec.id).schema_version:
            engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])
        else:
            engine.mirror.record_commit(entry, staged.watermark, staged.days, folder.plan.schema)
        engine.mirror.settle_pending(spec.id, folder.plan.load_id)
    with step("clean"):
        engine.landing.mark_committed(folder)
    return entry


def _stage(engine: Engine, spec: TableSpec, ready: ReadyLoad, token: int) -> StagedLoad:
    folder, gated, planned = ready.folder, ready.gated, ready.folder.plan
    stands = engine.mirror.status(spec.id).load_id
    if stands != planned.base_load_id and is_untouched(engine.mirror, spec, planned):
        planned = replace(planned, base_load_id=stands)
    if stands != planned.base_load_id:  # what it would be compared with is another schema by now
        raise LoadConflict(
            "another run committed this table since the load was planned.",
            safe="Nothing of this load was committed; the other run's state stands.",
            remedy="Run again: it is planned anew.",
            table=spec.id,
            load_id=planned.load_id,
        )
    changes = changes_of(engine, spec, planned.schema)
    known = engine.mirror.schema(spec.id)
    return StagedLoad(
        plan=planned,
        spec=spec,
        columns=landed_columns(spec, planned.schema, planned.window),
        changes=changes,
        files=tuple(gated.files),
        chunks=tuple(folder.chunks),
        rows_read=folder.rows,
        watermark=replace(
            _next_watermark(engine, spec, ready, changes),
            unfilled=_unfilled(engine, spec, planned, changes),
            has_marks=_has_marks(engine, spec, planned.schema),
        ),
        days=ready.changed if spec.partition else (),
        skipped_days=ready.same if spec.partition else (),
        time_zone=engine.time_zone,
        token=token,
        # Only a moving cursor can put one row into two chunks; a key's order has each row once.
        may_repeat_keys=spec.mode == "incremental" and len(folder.chunks) > 1 and planned.window.column is not None,
        # A row that was asked for and is gone: where deletes are not followed, its last version stays.
        removes_missing=ready.removes_missing or bool(ready.forgotten_by) or spec.mode != "incremental",
        released_by=ready.released_by,
        forgotten_by=ready.forgotten_by,
        told=tuple(change.told for change in judge_changes(spec, known, planned.schema)),
    )


def _next_watermark(engine: Engine, spec: TableSpec, ready: ReadyLoad, changes: Sequence[SchemaChange]) -> Watermark:
    folder, planned = ready.folder, ready.folder.plan
    if planned.window.keys or planned.window.columns:
        # The table is as far as it was, only these rows are newer; so what the last read returned is not what stands in it.
        before = engine.mirror.status(spec.id).watermark or Watermark()
        return replace(before, load_id=planned.load_id, digest=before.digest if planned.window.columns else None)
    watermark = Watermark(
        load_id=planned.load_id,
        spec_fingerprint=planned.spec_fingerprint,
        content_fingerprint=codec.content_fingerprint(spec),
        mask_key_id=planned.mask_key_id,
        masks=dict(spec.masks),
    )
    if planned.is_asked:
        known = engine.mirror.status(spec.id).watermark
        return replace(watermark, observations=known.observations if known else ())
    if spec.mode == "partitioned":
        return replace(watermark, observations=horizon.remember(_history(engine, spec, planned, changes), planned.observation))
    if spec.mode == "snapshot":
        return replace(watermark, digest=ready.changed[0])
    history = _history(engine, spec, planned, changes)
    lower = horizon.next_lower(history, planned.observation)
    return replace(
        watermark,
        value=planned.observation.max_cursor,
        next_lower=lower,
        digest=_digest_tail(spec, folder, lower),
        observations=horizon.remember(history, planned.observation),
    )


def _history(engine: Engine, spec: TableSpec, planned: LoadPlan, changes: Sequence[SchemaChange]) -> tuple[Observation, ...]:
    """Return the observations whose cursors mean what they mean now: none of before a fall, of another table or of another cursor."""
    before = engine.mirror.status(spec.id).watermark
    if before is None or planned.observation.fell_from or is_reread(spec, before, changes, planned.mask_key_id):
        return ()
    return before.observations


def _unfilled(engine: Engine, spec: TableSpec, planned: LoadPlan, changes: Sequence[SchemaChange]) -> tuple[str, ...]:
    """Return the columns that have no values yet in rows of before: those of older changes under their names of now, and new ones."""
    if planned.window.columns or (planned.window.lower is None and not planned.window.keys):
        return ()
    before = engine.mirror.status(spec.id).watermark
    names = before.unfilled if before else ()
    gone = {change.before.name for change in changes if change.kind in ("drop", "rename") and change.before}
    now = {change.before.name: change.after.name for change in changes if change.kind == "rename" and change.before and change.after}
    kept = [now.get(name, name) for name in names if name in now or name not in gone]
    return tuple(dict.fromkeys([*kept, *columns_to_fill(spec, planned.schema, changes)]))


def _has_marks(engine: Engine, spec: TableSpec, schema: TableSchema) -> bool:
    """Whether the raw table has the engine's `_deleted_at`: it stays, as models may name it, until a column of the source has the name."""
    before = engine.mirror.status(spec.id).watermark
    stands = before is not None and before.has_marks and DELETED_AT not in {one.name.casefold() for one in raw_columns(spec, schema)}
    return spec.marks_deleted or stands


def _digest_tail(spec: TableSpec, folder: LoadFolder, lower: str | None) -> DayDigest:
    """Digest the rows that the next load will read again: if it finds just these, nothing is new."""
    columns = raw_columns(spec, folder.plan.schema)
    names = [column.name for column in columns]
    if lower is None:
        return scan.digest_all(folder.files, names)
    cursor = scan.quote(spec.cursor or "")
    missing = [f"{scan.quote(name)} is null" for name in (spec.cursor or "", *spec.key)]
    # The bound is cast to the cursor's type as it stands in the files.
    return scan.digest_all(folder.files, names, f"{cursor} >= '{lower}' or {' or '.join(missing)}")


def _ask_ledger(engine: Engine, staged: StagedLoad, error: CommitUnknown) -> LedgerEntry:
    """Find out whether a commit whose connection broke has happened; raise if it has not."""
    for attempt in range(LEDGER_TRIES):
        try:
            entry = engine.warehouse.find_load(staged.plan.load_id)
        except CommitUnknown:
            time.sleep(2**attempt)
            continue
        if entry is None:
            raise error
        return entry
    raise error
