"""Compares each table's schema in the source with the last committed one and says what a sync would do about it. Writes nothing.

Between two syncs only the two states can be compared: a column that was dropped and added again is a new one, and a change that
was taken back is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.errors import ConfigError, DaybreakError, PrerequisiteError, SchemaRefused
from pipelines.evolution.impact import Touched, list_descendants, list_touched
from pipelines.evolution.moves import list_moves
from pipelines.settings import Settings
from pipelines.sources import open_source
from pipelines.state.attempts import measure_pace
from pipelines.sync.changes import describe_table, known_of, refuse_bare_masks
from pipelines.sync.model import SchemaVersion
from pipelines.sync.plan import is_reread
from pipelines.sync.protocols import Source
from pipelines.sync.schema import JudgedChange, columns_to_fill, identify_changes, is_restart, judge_changes, raw_columns, standing_columns
from pipelines.sync.shape import SchemaChange, TableSchema
from pipelines.sync.spec import SourceSpec, TableSpec
from pipelines.warehouses import open_dialect
from pipelines.warehouses.dialect import Dialect
from pipelines.warehouses.load_ddl import apply_changes, keep_table
from pipelines.wiring import open_mirror

State = Literal["nothing to do", "not loaded yet", "not in the catalog", "safe", "approved", "needs approval", "breaking"]
# From the best to the worst.
ORDER: Sequence[State] = ("nothing to do", "not loaded yet", "not in the catalog", "safe", "approved", "needs approval", "breaking")


@dataclass(frozen=True)
class TablePlan:
    """What a table's migration means.

    ``rows_to_read`` are read again whole because their values are not known yet, ``rows_to_fill`` only for ``columns_to_fill``;
    ``seconds`` is about how long that takes, at the pace of the table's last loads. ``approval`` names the changes that wait.
    """

    table: str  # id
    state: State
    changes: Sequence[JudgedChange] = ()
    statements: Sequence[str] = ()
    rows_to_read: int = 0
    rows_to_fill: int = 0
    columns_to_fill: Sequence[str] = ()
    seconds: float | None = None
    touched: Sequence[Touched] = ()
    problem: str | None = None
    approval: str | None = None


def plan_source(settings: Settings, source: SourceSpec, manifest: Mapping[str, Any]) -> Sequence[TablePlan]:
    """Plan every table of a source, and name those that the catalog does not have.

    Raises ``SourceUnavailable`` if it does not answer; a table that is gone is breaking.
    """
    with open_source(source.name, settings.source_url(source)) as opened:
        plans, names = [], set[str]()
        for spec in source.tables:
            plan, name = _plan_table(settings, opened, spec, manifest)
            plans.append(plan)
            names.add(name)
        schemas = dict.fromkeys(spec.schema for spec in source.tables)
        others = [name for schema in schemas for name in opened.list_tables(schema) if name not in names]
    return [*plans, *(TablePlan(f"{source.name}.{name}", "not in the catalog") for name in others)]


def to_tell(plans: Sequence[TablePlan]) -> Sequence[TablePlan]:
    """Return the plans of tables with something to do or to decide."""
    return [plan for plan in plans if ORDER.index(plan.state) >= ORDER.index("safe")]


def worst(plans: Sequence[TablePlan]) -> State:
    """Return the state that a person must hear of first: of a change itself, or of what it does to what stands on the table."""
    states: list[State] = [plan.state for plan in plans]
    return max([*states, *(touched.mark for plan in plans for touched in plan.touched)], key=ORDER.index, default="nothing to do")


def _plan_table(settings: Settings, source: Source, spec: TableSpec, manifest: Mapping[str, Any]) -> tuple[TablePlan, str]:
    """Return a table's plan, and what the source calls the table."""
    mirror = open_mirror(settings.state_url)
    before = mirror.schema(spec.id)
    try:
        found, after = describe_table(source, spec, before)
    except (PrerequisiteError, ConfigError) as error:
        return TablePlan(spec.id, "breaking", touched=list_descendants(manifest, spec), problem=_tell(error)), spec.source_table
    if before is None:
        return TablePlan(spec.id, "not loaded yet"), found.source_table
    try:
        refuse_bare_masks(mirror, spec, after)
    except SchemaRefused as error:
        return TablePlan(spec.id, "breaking", touched=list_descendants(manifest, spec), problem=_tell(error)), found.source_table
    judged = judge_changes(spec, before, after)
    if not judged:
        return TablePlan(spec.id, "nothing to do"), found.source_table
    worst_change: State = max((change.judgement for change in judged), key=ORDER.index)
    approval = identify_changes(spec, known_of(mirror, spec), judged) if worst_change == "needs approval" else None
    state: State = "approved" if approval in mirror.approvals(spec.id) else worst_change
    moves = tuple(change.change for change in judged if change.change)
    statements = _plan_ddl(open_dialect(settings.warehouse_url), spec, moves, mirror.schema_history(spec.id))
    again, filled = _count_rows(settings, spec, after, moves)
    pace = measure_pace(mirror, spec.id)
    return TablePlan(
        table=spec.id,
        state=state,
        changes=judged,
        statements=statements,
        rows_to_read=again,
        rows_to_fill=filled,
        columns_to_fill=columns_to_fill(spec, after, moves),
        seconds=(again + filled) / pace if pace and again + filled else None,
        touched=list_touched(manifest, spec, [column.name for column in raw_columns(spec, before)], list_moves(spec, before, after)),
        approval=approval,
    ), found.source_table


def _plan_ddl(to: Dialect, spec: TableSpec, moves: Sequence[SchemaChange], history: Sequence[SchemaVersion]) -> list[str]:
    """Return the statements that the warehouse will run, from what is on record of its columns."""
    version = history[-1].version + 1 if history else 1
    if is_restart(spec, moves):
        return [keep_table(to, spec, version, ())]
    return apply_changes(to, spec, moves, version, standing_columns(spec, [known.schema for known in history]))


def _count_rows(settings: Settings, spec: TableSpec, after: TableSchema, moves: Sequence[SchemaChange]) -> tuple[int, int]:
    """Return how many rows are read again whole, and how many for their new columns alone."""
    status = open_mirror(settings.state_url).status(spec.id)
    rows = status.total_rows or 0
    if columns_to_fill(spec, after, moves):
        return 0, rows
    mask_key_id = status.watermark.mask_key_id if status.watermark else ""  # its key is another matter than the schema
    return (rows if is_reread(spec, status.watermark, moves, mask_key_id) else 0), 0


def _tell(error: DaybreakError) -> str:
    return f"{error.what} {error.remedy}".strip()
