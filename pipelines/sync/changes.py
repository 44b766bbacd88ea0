"""What a sync makes of the source's schema now: where the table is, and which moves the contract and people allow."""

from dataclasses import replace

from pipelines.errors import PrerequisiteError, TableMissing
from pipelines.sync.context import Engine
from pipelines.sync.protocols import Source
from pipelines.sync.schema import Known, check_names, follow_names, names_now, plan_changes
from pipelines.sync.shape import SchemaChange, TableSchema
from pipelines.sync.spec import TableSpec


def describe_table(source: Source, spec: TableSpec, known: TableSchema | None) -> tuple[TableSpec, TableSchema]:
    """Return the table's schema now, and the entry by which it can be read: one that is ``known`` may have another name since.

    Raises ``PrerequisiteError`` if it is gone, lacks a declared column, or has columns that the warehouse cannot tell apart.
    """
    try:
        schema = source.describe(spec)
    except TableMissing:
        name = source.find_relation(spec, known.identity) if known else None
        if name is None:
            raise
        spec = replace(spec, followed=name)
        schema = source.describe(spec)
    except PrerequisiteError as error:
        raise _explain(source, spec, known, error) from error
    check_names(spec, schema)
    return spec, schema


def follow_gates(engine: Engine, spec: TableSpec, schema: TableSchema) -> TableSpec:
    """Return the entry as its gates are judged: an expectation goes with its column if that has another name since."""
    history = [version.schema for version in engine.mirror.schema_history(spec.id)] if spec.expectations else []
    return follow_names(spec, names_now(history, schema))


def _explain(source: Source, spec: TableSpec, known: TableSchema | None, error: PrerequisiteError) -> PrerequisiteError:
    """Return the error with what declared columns are called now, as far as the table is known."""
    if known is None:
        return error
    bare = replace(spec, key=(), cursor=None, partition=None, masks={}, mode="snapshot")
    try:
        names = names_now([known], source.describe(bare))
    except PrerequisiteError:
        return error
    declared = [*spec.key, *([spec.cursor] if spec.cursor else []), *([spec.partition.column] if spec.partition else []), *spec.masks]
    told = [
        f"`{name}` is now called `{names[name]}`: write that in the entry `{spec.name}`."
        for name in dict.fromkeys(declared)
        if name in names
    ]
    return PrerequisiteError([*error.problems, *told], safe=error.safe, remedy=error.remedy) if told else error


def changes_of(engine: Engine, spec: TableSpec, schema: TableSchema) -> tuple[SchemaChange, ...]:
    """Return the moves from the table's last committed schema to ``schema``. Raises ``SchemaRefused`` if a person must allow them."""
    return plan_changes(spec, Known(engine.mirror.schema(spec.id), engine.mirror.approvals(spec.id)), schema)
