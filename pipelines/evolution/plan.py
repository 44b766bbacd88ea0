"""Compares each table's schema in the source with the last committed one and says what a sync would do about it. Writes nothing.

Between two syncs only the two states can be compared: a column that was dropped and added again is a new one, and a change that
was taken back is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.errors import DaybreakError, PrerequisiteError
from pipelines.evolution.impact import Touched, list_descendants, list_touched
from pipelines.evolution.moves import list_moves
from pipelines.settings import Settings
from pipelines.sources import open_source
from pipelines.sync.plan import is_reread
from pipelines.sync.protocols import Source
from pipelines.sync.schema import JudgedChange, check_names, judge_changes, raw_columns
from pipelines.sync.shape import SchemaChange
from pipelines.sync.spec import SourceSpec, TableSpec
from pipelines.warehouses.duckdb_sql import apply_changes
from pipelines.wiring import open_mirror

State = Literal["nothing to do", "not loaded yet", "safe", "needs approval", "breaking"]
ORDER: Sequence[State] = ("nothing to do", "not loaded yet", "safe", "needs approval", "breaking")  # from the best to the worst


@dataclass(frozen=True)
class TablePlan:
    """What a table's migration means. ``rows_to_read`` are those that are read again because their values are not known yet."""

    table: str  # id
    state: State
    changes: Sequence[JudgedChange] = ()
    statements: Sequence[str] = ()
    rows_to_read: int = 0
    touched: Sequence[Touched] = ()
    problem: str | None = None


def plan_source(settings: Settings, source: SourceSpec, manifest: Mapping[str, Any]) -> Sequence[TablePlan]:
    """Plan every table of a source. Raises ``SourceUnavailable`` if it does not answer; a table that is gone is breaking."""
    with open_source(source.name, settings.source_url(source)) as opened:
        return [_plan_table(settings, opened, spec, manifest) for spec in source.tables]


def to_tell(plans: Sequence[TablePlan]) -> Sequence[TablePlan]:
    """Return the plans of tables with something to do or to decide."""
    return [plan for plan in plans if plan.state not in ("nothing to do", "not loaded yet")]


def worst(plans: Sequence[TablePlan]) -> State:
    """Return the state that a person must hear of first: of a change itself, or of what it does to what stands on the table."""
    states: list[State] = [plan.state for plan in plans]
    return max([*states, *(touched.mark for plan in plans for touched in plan.touched)], key=ORDER.index, default="nothing to do")


def _plan_table(settings: Settings, source: Source, spec: TableSpec, manifest: Mapping[str, Any]) -> TablePlan:
    mirror = open_mirror(settings.state_url)
    status, before = mirror.status(spec.id), mirror.schema(spec.id)
    try:
        after = source.describe(spec)
        check_names(spec, after)
    except PrerequisiteError as error:
        return TablePlan(spec.id, "breaking", touched=list_descendants(manifest, spec), problem=_tell(error))
    if before is None:
        return TablePlan(spec.id, "not loaded yet")
    judged = judge_changes(spec, before, after)
    if not judged:
        return TablePlan(spec.id, "nothing to do")
    moves: tuple[SchemaChange, ...] = tuple(change.change for change in judged if change.change)
    mask_key_id = status.watermark.mask_key_id if status.watermark else ""  # its key is another matter than the schema
    rows = status.total_rows or 0 if is_reread(spec, status.watermark, moves, mask_key_id) else 0
    state: State = max((change.judgement for change in judged), key=ORDER.index)
    columns = [column.name for column in raw_columns(spec, before)]
    touched = list_touched(manifest, spec, columns, list_moves(spec, before, after))
    return TablePlan(spec.id, state, judged, apply_changes(spec, moves), rows, touched)


def _tell(error: DaybreakError) -> str:
    return f"{error.what} {error.remedy}".strip()
