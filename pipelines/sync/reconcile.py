"""Compares one table with its source: buckets first, then the rows of those that differ, then each of these rows once more.

Reads only. What may be done about a difference is ``heal``'s; how things are compared is ``parity``'s, which is pure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.errors import LoadConflict, ParityBroken, PrerequisiteError
from pipelines.state.status import TableStatus
from pipelines.sync import parity
from pipelines.sync.changes import changes_of, describe_table
from pipelines.sync.context import Engine
from pipelines.sync.engine import MAX_REPLANS
from pipelines.sync.land import identify_key
from pipelines.sync.model import Watermark
from pipelines.sync.plan import is_reread
from pipelines.sync.protocols import SchemaMoved
from pipelines.sync.schema import raw_columns
from pipelines.sync.shape import TableSchema
from pipelines.sync.sides import (
    NO_DAY,
    ComparedBuckets,
    Cut,
    Difference,
    Digest,
    HashedRow,
    Marked,
    ParityResult,
    Scope,
    StoredBucket,
    Stretch,
)
from pipelines.sync.spec import TableSpec

MAX_AHEAD = 200_000  # rows newer than the last load that a comparison leaves out one by one: their hashes are 7 MB
MAX_DIFFERENCES = 100_000  # rows told by key; a table of which more differ has to be read again as a whole


@dataclass(frozen=True)
class Comparison:
    """A comparison, and what it leaves to be kept and to be healed. ``compared`` are the digests of the buckets that were hashed."""

    spec: TableSpec
    scope: Scope
    result: ParityResult
    buckets: ComparedBuckets
    source: Digest
    compared: Digest


def compare_table(engine: Engine, spec: TableSpec, *, is_full: bool = False) -> Comparison:
    """Compare a table with its source. ``is_full``: every bucket is hashed on the source, whatever is known of it.

    Raises ``PrerequisiteError`` if the table was never loaded, or its schema or entry changed since, and ``LoadConflict`` if other
    runs go on committing it meanwhile.
    """
    for _ in range(MAX_REPLANS + 1):
        state = engine.warehouse.read_state([spec.id])
        engine.mirror.repair(state, [spec.id])
        # The truth's own watermark, as the mirror takes a copy only when a load moved it.
        status = replace(engine.mirror.status(spec.id), watermark=state.watermarks.get(spec.id))
        try:
            comparison = _compare(engine, spec, status, is_full)
        except SchemaMoved:
            continue
        if newest(engine, spec) == status.load_id:
            return comparison
    raise LoadConflict(
        f"other runs committed the table, or its schema moved, {MAX_REPLANS + 1} times while it was compared.",
        safe="Nothing was changed.",
        remedy="Compare it when the other run is over.",
        table=spec.id,
    )


def newest(engine: Engine, spec: TableSpec) -> str | None:
    """Return the table's last load, asked of the warehouse."""
    watermark = engine.warehouse.read_state([spec.id]).watermarks.get(spec.id)
    return watermark.load_id if watermark else None


def _compare(engine: Engine, spec: TableSpec, status: TableStatus, is_full: bool) -> Comparison:
    found, schema, watermark = _describe(engine, spec, status)
    as_of = engine.source.observe(replace(found, cursor=None)).observed_at
    scope, quarantined = _make_scope(engine, found, schema, watermark)
    stored = engine.warehouse.read_parity(spec)
    scope = replace(scope, cut=parity.choose_cut(found, schema, stored, engine.warehouse.side().measure(scope)))
    stored = {name: bucket for name, bucket in stored.items() if parity.is_of_cut(scope.cut, name)}
    warehouse = engine.warehouse.side().hash_buckets(scope, ())
    known = {**dict.fromkeys(stored, Digest()), **_committed_days(engine, scope), **warehouse}
    due = parity.choose_due(scope.cut, stored, known, as_of, is_full=is_full)
    stretches = parity.cut_stretches(scope, known, due)
    source = engine.source.side().hash_buckets(scope, stretches)
    differing = parity.differing(source, warehouse, due)
    first = _list_rows(engine, scope, _Differing(differing, source, warehouse, {**source, **known}))
    differences, late, in_flight = _look_again(engine, scope, first)
    hashed = {
        name: StoredBucket(source.get(name, Digest()), warehouse.get(name, Digest()), as_of)
        for name in {*due, *source}
        if name in source or name in warehouse
    }
    standing = {name: bucket for name, bucket in stored.items() if name not in hashed and name not in due}
    result = ParityResult(
        table=spec.id,
        outcome="equal",
        mode=spec.mode,
        source_rows=_sum([*source.values(), *(bucket.source for bucket in standing.values())]).rows,
        warehouse_rows=_sum(list(warehouse.values())).rows,
        late=late,
        in_flight=in_flight + len(scope.ahead),
        quarantined=quarantined,
        marked=engine.warehouse.side().count_marked(scope) if scope.marked == "gone" else 0,
        left_out=tuple(sorted(set(_names(raw_columns(found, schema))) - set(_names(scope.columns)) | _dropped(found))),
        differing_days=parity.days_of_buckets(scope.cut, differing),
        buckets=len(hashed) + len(standing),
        hashed_buckets=len(hashed),
        oldest_at=min((bucket.checked_at for bucket in standing.values()), default=as_of),
        source_as_of=as_of,
        warehouse_as_of=status.data_as_of,
        differences=tuple(differences),
    )
    compared = _sum([warehouse[name] for name in hashed if name in warehouse])
    buckets = ComparedBuckets(hashed, frozenset({*hashed, *standing}))
    of_source = _sum([*source.values(), *(bucket.source for bucket in standing.values())])
    return Comparison(found, scope, judge(found, result), buckets, of_source, compared)


def judge(spec: TableSpec, result: ParityResult) -> ParityResult:
    """Return the result with its differences counted, and its outcome."""
    counts = {kind: sum(one.rows for one in result.differences if one.kind == kind) for kind in ("missing", "extra", "different")}
    if not spec.key:  # a row in quarantine has nothing by which it could be left out
        counts["missing"] = max(0, counts["missing"] - result.quarantined)
    keeps = spec.mode == "incremental" and spec.deletes == "ignore"
    kept, extra = (counts["extra"], 0) if keeps else (0, counts["extra"])
    shown = [one for one in result.differences if not (keeps and one.kind == "extra")]
    unsettled = sum(one.rows for one in shown if one.row.state == "open" and not (one.kind == "extra" and spec.mode == "incremental"))
    return replace(
        result,
        outcome="differs" if counts["missing"] + extra + counts["different"] else "equal",
        missing=counts["missing"],
        extra=extra,
        different=counts["different"],
        kept=kept,
        unsettled=unsettled,
    )


def _describe(engine: Engine, spec: TableSpec, status: TableStatus) -> tuple[TableSpec, TableSchema, Watermark]:
    known = engine.mirror.schema(spec.id)
    sync = f"Run `daybreak sync {spec.source} {spec.name}` first."
    if status.watermark is None or known is None:
        raise PrerequisiteError([f"{spec.id} was never loaded, so there is nothing to compare."], safe="Nothing was read.", remedy=sync)
    found, schema = describe_table(engine.source, spec, known)
    is_other = is_reread(found, status.watermark, (), identify_key(found, engine.mask_key)) or known.shape != schema.shape
    if is_other or changes_of(engine, found, schema):
        told = f"{spec.id}: its schema or its entry changed since the last load, so the two cannot be compared column by column."
        raise PrerequisiteError([told], safe="Nothing was changed.", remedy=sync)
    return found, schema, status.watermark


def _make_scope(engine: Engine, spec: TableSpec, schema: TableSchema, watermark: Watermark) -> tuple[Scope, int]:
    """Return what is compared, and how many rows are left out because they are in quarantine."""
    columns = [one for one in raw_columns(spec, schema) if spec.masks.get(one.name) != "hmac" and one.name not in watermark.unfilled]
    waiting = engine.warehouse.find_waiting(spec, None)
    scope = Scope(spec, schema, tuple(columns), Cut("hash"), engine.chunk_rows, time_zone=engine.time_zone)
    scope = replace(scope, marked=treat_marked(spec, watermark))
    if spec.key:
        scope = replace(scope, aside=tuple(engine.source.side().hash_keys(scope, [tuple(json.loads(key)) for key in waiting.keys])))
    if spec.cursor:
        settled = parity.settled_until(watermark)
        scope = replace(scope, value=watermark.value, settled=settled)
        ahead = engine.source.side().list_ahead(scope, MAX_AHEAD + 1)
        if len(ahead) > MAX_AHEAD:
            raise PrerequisiteError(
                [f"{spec.id}: more than {MAX_AHEAD:,} rows changed since the last load, so too little of it can be compared."],
                safe="Nothing was changed.",
                remedy=f"Run `daybreak sync {spec.source} {spec.name}` first.",
            )
        scope = replace(scope, ahead=tuple(ahead))
    if spec.partition:
        days = engine.source.partition_range(spec, engine.time_zone)
        first = max(spec.partition.start, datetime.fromisoformat(days[0]).date()) if days else spec.partition.start
        scope = replace(scope, first_day=first, end_day=engine.today())
    return scope, len(waiting.keys) + waiting.unnamed


def treat_marked(spec: TableSpec, watermark: Watermark | None) -> Marked:
    """Return what a comparison makes of rows that are marked as deleted."""
    if watermark is None or not watermark.has_marks:
        return "none"
    return "gone" if spec.marks_deleted else "unlike"


def _committed_days(engine: Engine, scope: Scope) -> Mapping[str, Digest]:
    """Return the days that were loaded, as buckets without rows: what was never loaded is the next sync's, not a difference."""
    first, end = scope.first_day, scope.end_day
    if first is None or end is None:
        return {}
    days = [day for day in engine.mirror.days(scope.spec.id) if day and first <= day < end]
    return {f"{day}/": Digest() for day in (*days, NO_DAY)}


@dataclass(frozen=True)
class _Differing:
    """Buckets that differ, their digests on both sides, and the ``territory``: all buckets of the first cut, which tell where they are."""

    names: Sequence[str]
    source: Mapping[str, Digest]
    warehouse: Mapping[str, Digest]
    territory: Mapping[str, Digest]

    def rows(self, name: str) -> int:
        return max(side.get(name, Digest()).rows for side in (self.source, self.warehouse))


def _list_rows(engine: Engine, scope: Scope, buckets: _Differing) -> tuple[list[HashedRow], list[HashedRow]]:
    """Return the rows of buckets that differ, on both sides. A large one is cut again first, so that few rows travel."""
    small = [name for name in buckets.names if buckets.rows(name) <= parity.LISTED_ROWS]
    large = [name for name in buckets.names if buckets.rows(name) > parity.LISTED_ROWS]
    if (listed := sum(map(buckets.rows, small))) > parity.MAX_LISTED:
        raise _too_many(scope, f"{len(small):,} buckets with {listed:,} rows differ")
    found: tuple[list[HashedRow], list[HashedRow]] = ([], [])
    if small:
        asked, stretches = _ask_only(scope, small, buckets.territory)
        found[0].extend(engine.source.side().list_rows(asked, stretches))
        found[1].extend(engine.warehouse.side().list_rows(asked, ()))
    if large:
        asked, stretches = _ask_only(scope, large, buckets.territory)
        finer = replace(asked, cut=replace(scope.cut, digits=scope.cut.digits + parity.MORE_DIGITS))
        source, warehouse = engine.source.side().hash_buckets(finer, stretches), engine.warehouse.side().hash_buckets(finer, ())
        parts = _Differing(parity.differing(source, warehouse, warehouse), source, warehouse, buckets.territory)
        for side, more in zip(found, _list_rows(engine, replace(finer, only=()), parts), strict=True):
            side.extend(more)
    return found


def _ask_only(scope: Scope, buckets: Sequence[str], territory: Mapping[str, Digest]) -> tuple[Scope, Sequence[Stretch]]:
    """Return the scope of just these buckets, and the pieces of the source that hold them."""
    bases: dict[str, Digest] = {}
    for name in (*territory, *buckets):
        base = f"{name.partition('/')[0]}/"
        bases[base] = bases.get(base, Digest()) + territory.get(name, Digest())
    stretches = parity.cut_stretches(scope, bases, {f"{name.partition('/')[0]}/" for name in buckets})
    return replace(scope, only=tuple(buckets), only_digits=scope.cut.digits), stretches


def _look_again(engine: Engine, scope: Scope, first: tuple[Sequence[HashedRow], Sequence[HashedRow]]) -> tuple[list[Difference], int, int]:
    """Look at each row that differs once more, wherever it is now. Returns what differs still, what is late, and what is in flight."""
    suspects = parity.compare_rows(*first)
    if not scope.spec.key or not suspects:
        return suspects, 0, 0
    if len(suspects) > MAX_DIFFERENCES:
        raise _too_many(scope, f"{len(suspects):,} rows differ")
    asked = [one.row for one in suspects]
    # Twice, as the first look had its rows at other instants, and perhaps not all: a row may have moved to a day that was not listed.
    confirmed = parity.confirm(look_up(engine, scope, asked), last := look_up(engine, scope, asked))
    ahead = {row.key_hash for row in last[0] if row.state == "ahead"}
    late = [one for one in confirmed if one.row.state == "late"]
    return [one for one in confirmed if one.row.state not in ("late", "ahead")], len(late), len(ahead)


def look_up(engine: Engine, scope: Scope, rows: Sequence[HashedRow]) -> tuple[Sequence[HashedRow], Sequence[HashedRow]]:
    """Return what stands under the keys of ``rows`` now, on both sides; the source first, so that a load in between is no difference."""
    source = engine.source.side().find_rows(scope, rows)
    return source, engine.warehouse.side().find_rows(scope, rows)


def _too_many(scope: Scope, what: str) -> ParityBroken:
    return ParityBroken(
        f"source and warehouse are not the same: {what}, far more than can be told one by one.",
        safe="Nothing was changed.",
        remedy=f"Run `daybreak sync {scope.spec.source} {scope.spec.name}`; if that does not help, the table has to be loaded anew.",
        table=scope.spec.id,
    )


def _names(columns: Sequence[object]) -> list[str]:
    return [str(getattr(column, "name", column)) for column in columns]


def _dropped(spec: TableSpec) -> set[str]:
    return {name for name, mask in spec.masks.items() if mask == "drop"}


def _sum(digests: Sequence[Digest]) -> Digest:
    return sum(digests, Digest())
