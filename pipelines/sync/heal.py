"""What is done about the differences that a comparison found, and what is kept of it.

Rows that are missing or different are read again by key, through the gates and into the ledger like any load. Rows that are gone
from the source are deleted where the table follows deletes, by such a load too, but never many at once unless a person says so.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from pipelines.sync import parity
from pipelines.sync.context import Engine
from pipelines.sync.model import TableResult
from pipelines.sync.reconcile import Comparison, judge, look_up, treat_marked
from pipelines.sync.reread import Removal, reread_keys
from pipelines.sync.sides import Difference, ParityResult, Scope


def heal_table(engine: Engine, comparison: Comparison, overruled_by: str | None = None) -> ParityResult:
    """Make the rows that differ equal, and look at them once more. ``overruled_by``: who lets more rows be deleted than the guard does."""
    spec, result = comparison.spec, comparison.result
    if not spec.key:
        told = "rows without a key cannot be read again one by one"
        return replace(result, reason=told if result.outcome == "differs" else None)
    doubled = [one for one in result.differences if one.kind == "different" and one.rows > 1]
    broken = [one for one in result.differences if one.kind != "extra" and one not in doubled]
    follows = spec.mode != "incremental" or spec.deletes == "reconcile"
    gone = [one for one in result.differences if one.kind == "extra" and follows]
    held = parity.why_not_delete(spec, len(gone), comparison.compared, comparison.source) if gone else None
    if held and overruled_by is None:
        gone = []
    reread = _reread(engine, comparison, broken, None)
    # In the other modes a load removes what it asked for and did not find, whether it is told to or not.
    removed = _reread(engine, comparison, gone, Removal(overruled_by if held else None))
    scope = _scope_now(engine, comparison) if broken or gone else comparison.scope
    left = _look_after(engine, scope, [*broken, *gone])
    differences = [one for one in result.differences if one not in broken and one not in gone] + left
    deleted = sum(entry.counts.deleted for one in (reread, removed) if one for entry in one.loads)
    reasons = [one.held_reason for one in (reread, removed) if one and one.held_reason]
    if held and overruled_by is None:
        reasons.append(f"nothing was deleted: {held}")
    if doubled:
        reasons.append(f"{len(doubled):,} keys stand in the warehouse more than once, which no load by key can mend")
    healed = replace(
        result,
        differences=tuple(differences),
        warehouse_rows=result.warehouse_rows
        + sum(one.kind == "missing" for one in broken)
        - sum(one.kind == "missing" for one in left)
        - deleted,
        reread=max(0, len(broken) - sum(one.kind != "extra" for one in left)),
        deleted=deleted,
        marked=engine.warehouse.side().count_marked(scope) if scope.marked == "gone" else 0,
        overruled_by=overruled_by if held else None,
        reason="; ".join(reasons) or None,
    )
    judged = judge(spec, healed)
    return replace(judged, outcome="held") if held and overruled_by is None else judged


def _reread(engine: Engine, comparison: Comparison, differences: Sequence[Difference], removal: Removal | None) -> TableResult | None:
    if not differences:
        return None
    return reread_keys(engine, comparison.spec, [one.row.key for one in differences], removal)


def _look_after(engine: Engine, scope: Scope, touched: Sequence[Difference]) -> list[Difference]:
    """Return which of the healed rows are not the same yet; those that went into quarantine are known."""
    if not touched:
        return []
    source, warehouse = look_up(engine, scope, [one.row for one in touched])
    waiting = {tuple(json.loads(key)) for key in engine.warehouse.find_waiting(scope.spec, None).keys}
    return [one for one in parity.compare_rows(source, warehouse) if one.row.key not in waiting]


def _scope_now(engine: Engine, comparison: Comparison) -> Scope:
    """Return the scope as of now: the column of the marks may have come with the rows that were marked."""
    spec = comparison.spec
    return replace(comparison.scope, marked=treat_marked(spec, engine.warehouse.read_state([spec.id]).watermarks.get(spec.id)))


def keep_result(engine: Engine, comparison: Comparison, result: ParityResult) -> None:
    """Keep what a comparison came to: in the warehouse, and in the mirror, which people look at."""
    engine.warehouse.record_parity(comparison.spec, result, comparison.buckets)
    engine.mirror.record_parity(result.table, result.numbers)
